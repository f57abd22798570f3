"""Bits per character over a split."""

import math

import torch
from torch.nn import functional as F


@torch.inference_mode()
def evaluate(model, data, split="test"):
    model.eval()
    nats, n = 0.0, 0
    for batch in data.batches(split):
        logits = model(batch["tokens"].to(model.cos.device))
        y = batch["targets"].to(logits.device)
        nats += F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum").item()
        n += y.numel()
    model.train()
    return {"bits_per_character": nats / n / math.log(2)}
