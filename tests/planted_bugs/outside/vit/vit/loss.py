"""Cross entropy with smoothed labels."""

import torch.nn.functional as F


def loss(logits, label, smoothing=0.1):
    return {"total": F.cross_entropy(logits, label, label_smoothing=smoothing)}
