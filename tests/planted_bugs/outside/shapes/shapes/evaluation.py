"""Error rate and loss of a split."""

from __future__ import annotations

import torch
import torch.nn.functional as F


@torch.no_grad()
def evaluate(model, data, split="test"):
    was = model.training
    model.eval()
    wrong, loss, n = 0, 0.0, 0
    for batch in data.batches(split):
        logits = model(batch["image"])
        wrong += (logits.argmax(dim=1) != batch["label"]).sum().item()
        loss += F.cross_entropy(logits, batch["label"], reduction="sum").item()
        n += batch["label"].size(0)
    model.train(was)
    return {"error": 100 * wrong / n, "loss": loss / n}
