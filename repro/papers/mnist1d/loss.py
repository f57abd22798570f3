"""Cross entropy of the digits, the loss of all four models (authors' notebooks/train.py; the paper names none)."""

from __future__ import annotations

from torch import Tensor


def cross_entropy(logits: Tensor, digit: Tensor) -> dict[str, Tensor]:
    """Mean negative log-probability of the right digit.

    Args:
        logits: [b, classes], unnormalised.
        digit: [b], the right class of each signal.

    Returns:
        total: a scalar in nats per signal, what is minimised.
    """
    log_p = logits.log_softmax(dim=-1)  # [b, classes]
    return {"total": -log_p.gather(-1, digit[:, None]).mean()}
