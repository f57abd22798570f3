"""Mean squared error."""

from __future__ import annotations

from torch import Tensor


def squared_error(prediction: Tensor, y: Tensor) -> dict[str, Tensor]:
    """total: mean of squared differences"""
    return {"total": (prediction - y).square().mean()}
