"""The first bad value is found where it was planted: parameter, module, loss term, backward, growth."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from repro.checks.non_finite import find_first


class Middle(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)  # type: ignore[operator]


class Net(nn.Module):
    def __init__(self, function: object = torch.tanh) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.middle = Middle(function)
        self.last = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"y": self.last(self.middle(self.first(x)))}


def loss(y: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"total": y.square().mean()}


BATCH = {"x": torch.ones(2, 3)}


def test_healthy_model_has_none() -> None:
    assert find_first(Net(), BATCH, loss) is None


@pytest.mark.parametrize(("function", "kind"), [(lambda x: x / 0, "infinity"), (lambda x: (x * 0 - 1).log(), "NaN")])
def test_module_is_named(function: object, kind: str) -> None:
    found = find_first(Net(function), BATCH, loss)
    assert found is not None
    assert (found.module, found.kind, found.step) == ("middle", kind, "forward")
    assert "get_submodule('middle')" in found.replay


def test_parameter_batch_and_loss_are_told_apart() -> None:
    net = Net()
    with torch.no_grad():
        net.last.bias[0] = float("nan")
    found = find_first(net, BATCH, loss)
    assert found is not None and (found.module, found.step) == ("last.bias", "parameters")
    found = find_first(Net(), {"x": torch.full((2, 3), float("inf"))}, loss)
    assert found is not None and (found.tensor, found.step) == ("x", "batch")
    found = find_first(Net(), BATCH, lambda y: {"nll": y.sum() / 0, "total": y.sum() / 0})
    assert found is not None and (found.tensor, found.step) == ("nll", "loss")


def test_backward_of_a_root_at_zero() -> None:
    found = find_first(Net(lambda x: (x * 0).sqrt()), BATCH, loss)
    assert found is not None and found.step == "backward" and found.module in ("first", "middle")


def test_growth_is_traced_to_its_module() -> None:
    found = find_first(Net(lambda x: x * 1e5), BATCH, loss)
    assert found is not None and (found.module, found.kind) == ("middle", "growth")
