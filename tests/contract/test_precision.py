"""Checks in float64 take code that names float32 for what it means: the precision of this model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from repro.contract.precision import working_precision

NAMED: list[Callable[[Tensor], Tensor]] = [
    lambda x: F.one_hot(x.argmax(dim=-1), 3).float(),
    lambda x: (x > 0).to(torch.float32),
    lambda x: (x > 0).to("cpu", torch.float32),
    lambda x: (x > 0).type(torch.float32),
    lambda x: x.softmax(dim=-1, dtype=torch.float32),
    lambda x: F.softmax(x, -1, dtype=torch.float32),
    lambda x: torch.zeros(3, 3, dtype=torch.float32),
    lambda x: torch.arange(3, dtype=torch.float32).expand(3, 3),
    lambda x: x.new_ones(3, 3, dtype=torch.float32),
    lambda x: torch.eye(3),
]


@pytest.mark.parametrize("make", NAMED)
def test_float32_by_name_is_the_working_precision(make: Callable[[Tensor], Tensor]) -> None:
    x = torch.arange(9.0).view(3, 3) - 4
    linear = torch.nn.Linear(3, 2)
    plain = linear(make(x))
    with working_precision(torch.float64):
        made = make(x.double())
        assert made.dtype is torch.float64
        torch.testing.assert_close(linear.double()(made).float(), plain.double(), rtol=1e-5, atol=1e-6)
    assert make(x).dtype is torch.float32 and torch.get_default_dtype() is torch.float32


def test_other_precisions_stay_and_an_inner_float32_holds() -> None:
    with working_precision(torch.float64):
        assert torch.ones(1).half().dtype is torch.float16
        assert torch.ones(1, dtype=torch.bfloat16).dtype is torch.bfloat16
        with working_precision(torch.float32):
            assert torch.ones(1, dtype=torch.bool).float().dtype is torch.float32
        assert torch.ones(1, dtype=torch.bool).float().dtype is torch.float64
    assert torch.get_default_dtype() is torch.float32


def test_gradients_flow_through() -> None:
    with working_precision(torch.float64):
        x = torch.ones(3, requires_grad=True)
        (x.float() * 2).sum().backward()
        assert x.grad is not None and x.grad.tolist() == [2, 2, 2]
