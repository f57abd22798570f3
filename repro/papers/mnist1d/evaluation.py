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


@torch.no_grad()
def pictures(model: nn.Module, data: Any, device: torch.device | str | None = None) -> dict[str, dict[str, Any]]:
    """Test signals as the model sees them: three that it gets right, three that it gets wrong, where surest."""
    model.eval()
    batch = next(iter(data.batches("test")))
    sure, guess = model(batch["signal"].to(device)).softmax(-1).cpu().max(-1)  # [b] each
    right = guess == batch["digit"]
    shown = {}
    for word, which in (("right", right), ("wrong", ~right)):
        for number, i in enumerate(torch.where(which, sure, -1.0).topk(3).indices.tolist(), 1):
            if which[i]:
                caption = f"a {batch['digit'][i]}" + ("" if right[i] else f", taken for a {guess[i]}")
                shown[f"{word} {number}"] = {"lines": batch["signal"][i], "caption": caption}
    return shown
