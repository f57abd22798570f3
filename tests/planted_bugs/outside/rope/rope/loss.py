"""Cross entropy of the next character, in nats."""

from torch.nn import functional as F


def loss(logits, targets):
    return {"total": F.cross_entropy(logits.reshape(-1, logits.size(-1)), targets.reshape(-1))}
