"""Error on held-out images, of a single view of each (section 4.2: "the original 32×32 image")."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


@torch.no_grad()
def evaluate(
    model: nn.Module, data: Any, split: str = "test", device: torch.device | str | None = None
) -> dict[str, float]:
    """Metrics of `model` on a split, in eval mode; the mode is restored afterwards.

    Args:
        model: called as model(image).
        data: gives batches(split).
        split: "validation" or "test".
        device: where the model is; None asks its parameters.

    Returns:
        error: images whose likeliest class is not the right one, in per cent, as Table 6 prints it.
        accuracy: the others, in per cent.
        loss: mean cross entropy, in nats per image.
    """
    if device is None:
        device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    wrong, nll, n = 0, 0.0, 0
    try:
        for batch in data.batches(split):
            image, label = batch["image"].to(device), batch["label"].to(device)
            logits = model(image)  # [b, classes]
            wrong += int((logits.argmax(-1) != label).sum())
            nll += F.cross_entropy(logits.double(), label, reduction="sum").item()
            n += len(label)
    finally:
        model.train(was_training)
    return {"error": 100 * wrong / n, "accuracy": 100 * (n - wrong) / n, "loss": nll / n}
