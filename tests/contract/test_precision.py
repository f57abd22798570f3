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


def test_constants_in_float32_are_widened_and_an_in_place_write_stays() -> None:
    table, x = torch.eye(3), torch.arange(9, dtype=torch.float64).view(3, 3)
    linear = torch.nn.Linear(3, 3)
    with working_precision(torch.float64):
        assert (x @ table).dtype is torch.float64 and torch.equal(x @ table, x)
        assert linear(x).dtype is torch.float64  # a layer that `model.double()` did not reach
        with working_precision(torch.float32):
            narrow = torch.zeros(3, 3)
        narrow[torch.arange(3), 0] = x[0]
        assert narrow.dtype is torch.float32 and narrow[:, 0].tolist() == [0, 1, 2]
    with pytest.raises(RuntimeError, match="dtype"):
        x @ table


def test_an_error_of_another_kind_is_the_first_one() -> None:
    with working_precision(torch.float64), pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        torch.ones(2, 3) @ torch.eye(2)
