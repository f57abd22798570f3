"""Accuracy on held-out signals (Table 1).

Which of the accuracies measured while training counts is not decided here: the record of the reference table says it
(`statistic`, best or last), and the harness keeps them all.
"""

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
        model: called as model(signal).
        data: gives batches(split).
        split: "validation" or "test".
        device: where the model is; None asks its parameters.

    Returns:
        accuracy: signals whose likeliest digit is the right one, in per cent.
        loss: mean cross entropy, in nats per signal.
    """
    if device is None:
        device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    right, nll, n = 0, 0.0, 0
    try:
        for batch in data.batches(split):
            signal, digit = batch["signal"].to(device), batch["digit"].to(device)
            logits = model(signal)  # [b, classes]
            right += int((logits.argmax(-1) == digit).sum())
            nll += F.cross_entropy(logits.double(), digit, reduction="sum").item()
            n += len(digit)
    finally:
        model.train(was_training)
    return {"accuracy": 100 * right / n, "loss": nll / n}
