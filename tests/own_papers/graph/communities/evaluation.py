"""Share of the split's nodes whose community is found."""

from __future__ import annotations

import torch


def evaluate(model, data, split: str = "test") -> dict[str, float]:
    model.eval()
    with torch.no_grad():
        (batch,) = data.batches(split)
        mask = batch[f"{split}_mask"]
        found = model(batch["features"], batch["edges"]).argmax(-1)
    return {"accuracy": float((found == batch["labels"])[mask].double().mean())}
