"""Cross entropy of the next token, padding left out."""

import torch.nn as nn

criterion = nn.CrossEntropyLoss(ignore_index=0)


def loss(logits, target):
    return {"total": criterion(logits.reshape(-1, logits.shape[-1]), target.reshape(-1))}
