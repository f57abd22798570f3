"""Perplexity per token, and how often the likeliest token is the right one."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F


@torch.no_grad()
def evaluate(model, data, split="test"):
    was_training = model.training
    model.eval()
    nll, right, n = 0.0, 0, 0
    for batch in data.batches(split):
        logits = model(batch["tokens"])
        targets = batch["targets"]
        mask = targets != 0
        nll += F.cross_entropy(logits[mask], targets[mask], reduction="sum").item()
        right += (logits.argmax(-1) == targets)[mask].sum().item()
        n += mask.sum().item()
    model.train(was_training)
    return {"perplexity": math.exp(nll / n), "accuracy": 100 * right / n}
