"""Mean squared error of reconstructions from the mean of the code, without noise."""

from __future__ import annotations

import torch


def evaluate(model, data, split: str = "test") -> dict[str, float]:
    model.eval()
    squares, n = 0.0, 0
    with torch.no_grad():
        for batch in data.batches(split):
            x = batch["x"]
            noise = x.new_zeros(len(x), model.mean.out_features)
            squares += float((model(x, noise)[0] - x).square().sum())
            n += x.numel()
    return {"error": squares / n}
