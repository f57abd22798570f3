"""Share of points whose stripe is found."""

from __future__ import annotations

import torch


def evaluate(model, data, split: str = "test") -> dict[str, float]:
    model.eval()
    right, n = 0, 0
    with torch.no_grad():
        for batch in data.batches(split):
            right += int((model(batch["points"]).argmax(-1) == batch["stripe"]).sum())
            n += len(batch["stripe"])
    return {"accuracy": right / n}
