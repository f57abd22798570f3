"""How far two numbers may lie apart before a check calls them different; every bound derives from dtype and size."""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Rounding of float32. Careful code computes a softmax or a norm in float32 whatever its input, so results that come
#: from another order of summation are never held to more than this, even in float64.
FLOAT32 = torch.finfo(torch.float32).eps


def largest(*values: Tensor) -> float:
    """The largest finite absolute value."""
    found = [float(v.detach().abs().nan_to_num(0.0, 0.0, 0.0).max()) for v in values if v.numel()]
    return max(found, default=0.0)


def same_program(reference: Tensor) -> float:
    """Bound for the same operations on tensors of the same shape, where only numbers that must not matter changed.

    Every kernel then adds the same numbers in the same order, so results are equal bit for bit; 8 eps leaves room for
    a mask of -1e9 where another writes -inf.
    """
    dtype = reference.dtype if reference.is_floating_point() else torch.float64
    return 8 * torch.finfo(dtype).eps * max(largest(reference), 1e-30)


def other_order(*references: Tensor) -> float:
    """Bound for the same sums in another order or shape: 100 float32 roundings of the largest value (1.2e-5 of it)."""
    return 100 * FLOAT32 * max(largest(*references), 1e-30)


def why_same_program() -> str:
    return "8 eps of the dtype times the largest value: the same operations on the same shapes give the same bits"


def why_other_order() -> str:
    return "100 eps of float32 times the largest value: another order of summation moves less than that"


def difference(a: Tensor, b: Tensor) -> Tensor:
    """|a - b| elementwise; equal infinities and NaN in both places count as no difference, in one as infinite."""
    a, b = a.detach().double(), b.detach().double()
    gap = (a - b).abs()
    gap = torch.where(a == b, torch.zeros_like(gap), gap)
    gap = torch.where(a.isnan() & b.isnan(), torch.zeros_like(gap), gap)
    return torch.where(gap.isnan(), torch.full_like(gap, math.inf), gap)


def number(value: float) -> str:
    """A number as messages print it: 4 significant digits."""
    return f"{value:.4g}"
