"""Cross entropy of the chosen words; -100 marks all others."""

import torch.nn.functional as F


def loss(logits, labels):
    return {"total": F.cross_entropy(logits.transpose(1, 2), labels)}
