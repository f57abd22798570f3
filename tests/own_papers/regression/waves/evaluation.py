"""Root mean squared error of a split."""

from __future__ import annotations

import torch


def evaluate(model, data, split: str = "test") -> dict[str, float]:
    model.eval()
    squares, n = 0.0, 0
    with torch.no_grad():
        for batch in data.batches(split):
            squares += float((model(batch["x"]) - batch["y"]).square().sum())
            n += len(batch["x"])
    return {"rmse": (squares / n) ** 0.5}
