"""A penalty on a gradient must keep its graph; other uses of a gradient without one are nobody's mistake."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from repro.checks.penalty import penalty_trains
from repro.checks.registry import run_check
from repro.findings import Finding, Outcome

from .small_papers import REGRESSION, bench_of


class Penalised:
    """One update by SGD whose loss holds a penalty on the slope, an attack, or a weight made of two gradients."""

    def __init__(self, model: nn.Module, loss: Any, backward: Any = Tensor.backward, *, way: str = "") -> None:
        self.model, self.loss, self.backward, self.way = model, loss, backward, way
        self.optimiser = torch.optim.SGD(model.parameters(), lr=0.01)

    def update(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self.model.eval()
        x = batch["x"].detach().requires_grad_()
        total = self.loss(self.model(x), batch["y"])["total"]
        if self.way in ("graph", "no graph"):
            (slope,) = torch.autograd.grad(self.model(x).sum(), x, create_graph=self.way == "graph")
            total = total + 10 * ((slope.norm(dim=1) - 1) ** 2).mean()
        elif self.way == "attack":
            (slope,) = torch.autograd.grad(total, x, retain_graph=True)
            total = total + functional.mse_loss(self.model(x.detach() + 0.1 * slope.sign()), batch["y"])
        elif self.way == "weight":
            (slope,) = torch.autograd.grad(total, x, retain_graph=True)
            total = total + slope.norm() * self.model(x).square().mean()
        self.optimiser.zero_grad()
        self.backward(total)
        self.optimiser.step()
        return {"loss": total.detach()}


def found(way: str) -> Finding:
    bench = bench_of(REGRESSION, training={"_target_": f"{__name__}.Penalised", "way": way})
    (finding,) = run_check(penalty_trains.name, bench)
    return finding


def test_a_penalty_without_a_graph_is_a_constant() -> None:
    finding = found("no graph")
    assert finding.outcome is Outcome.FAILED
    assert "create_graph" in finding.likely[0]


@pytest.mark.parametrize("way", ["graph", "attack", "weight"])
def test_other_gradients_pass(way: str) -> None:
    assert found(way).outcome is Outcome.PASSED


def test_an_update_without_one_is_not_judged() -> None:
    assert found("").outcome is Outcome.NOT_RUN
