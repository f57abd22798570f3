"""The negative bound with one sample, and the importance-weighted estimate of the negative log-likelihood with k."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch.distributions import Normal

from smudges.loss import gaussian_kl


def importance_weighted(log_weights):
    """log_weights [b, k] → [b]."""
    return torch.logsumexp(log_weights, dim=1) - math.log(log_weights.size(1))


@torch.no_grad()
def evaluate(model, data, split="test", samples=20, seed=5):
    was = model.training
    model.eval()
    rng = torch.Generator().manual_seed(seed)
    bound, nll, n = 0.0, 0.0, 0
    for batch in data.batches(split):
        x = batch["x"]
        mean, log_variance = model.encode(x)
        q = Normal(mean, (0.5 * log_variance).exp())
        prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
        log_weights = []
        for _ in range(samples):
            eps = torch.randn(mean.shape, generator=rng, dtype=mean.dtype)
            z = mean + eps * q.stddev
            log_px = -F.binary_cross_entropy_with_logits(model.decode(z), x, reduction="none").sum(-1)
            log_weights.append(log_px + prior.log_prob(z).sum(-1) - q.log_prob(z).sum(-1))
        bound += (gaussian_kl(mean, log_variance) - log_px).sum().item()
        nll -= importance_weighted(torch.stack(log_weights, dim=1)).sum().item()
        n += len(x)
    model.train(was)
    return {"negative_bound": bound / n, "negative_log_likelihood": nll / n}
