"""Minus the log-probability of the tags under a linear-chain CRF (equation 3), a mean over sentences."""

import torch


def sequence_score(emissions, transition, start, end, tags, mask):
    """Score of the given path: [batch]."""
    rows = torch.arange(len(tags), device=tags.device)
    score = start[tags[:, 0]] + emissions[rows, 0, tags[:, 0]]
    for t in range(1, tags.shape[1]):
        step = transition[tags[:, t - 1], tags[:, t]] + emissions[rows, t, tags[:, t]]
        score = score + step * mask[:, t]
    last = mask.sum(1).long() - 1
    return score + end[tags[rows, last]]


def log_partition(emissions, transition, start, end, mask):
    """Log of the sum over all paths, by the forward recursion: [batch]."""
    alpha = start + emissions[:, 0]  # [batch, tags]
    for t in range(1, emissions.shape[1]):
        following = torch.logsumexp(alpha[:, :, None] + transition + emissions[:, t, None, :], dim=1)
        alpha = torch.where(mask[:, t, None] > 0, following, alpha)
    return torch.logsumexp(alpha + end, dim=1)


def loss(emissions, transition, start, end, tags, lengths):
    mask = (torch.arange(tags.shape[1], device=tags.device) < lengths[:, None]).to(emissions)
    gold = sequence_score(emissions, transition, start, end, tags, mask)
    return {"total": (log_partition(emissions, transition, start, end, mask) - gold).mean()}
