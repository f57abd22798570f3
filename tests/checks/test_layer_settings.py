"""Rates of dropout and momenta of batch normalisation: taken for their opposite, and right ones that look odd."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn

from repro.checks.registry import run_check
from repro.findings import Finding, Outcome

from .small_papers import REGRESSION, bench_of


class Settings(nn.Module):
    def __init__(
        self, dropout: float = 0.1, other_dropout: float = 0.3, used: str = "dropout", momentum: Any = 0.1
    ) -> None:
        super().__init__()
        rate = {"dropout": dropout, "kept": 1 - dropout, "other": other_dropout, "written": 0.5}[used]
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=momentum), nn.Dropout(rate))
        self.last = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.layers(x)).squeeze(-1)
        return out


def found(name: str, properties: tuple[dict[str, Any], ...] = (), **model: Any) -> Finding:
    bench = bench_of(REGRESSION, model={"_target_": f"{__name__}.Settings", "dropout": 0.1, **model})
    (finding,) = run_check(name, bench, *properties)
    return finding


def test_the_share_that_is_kept_is_no_rate() -> None:
    finding = found("dropout_rate", used="kept")
    assert finding.outcome is Outcome.FAILED
    assert "share that is kept" in finding.likely[0]


@pytest.mark.parametrize("model", [{}, {"used": "other", "other_dropout": 0.9}, {"used": "written"}])
def test_a_rate_of_the_config_or_of_the_code_passes(model: dict[str, Any]) -> None:
    assert found("dropout_rate", **model).outcome is Outcome.PASSED


def test_a_momentum_of_the_old_value_is_named() -> None:
    assert "TensorFlow" in found("batch_norm_momentum", momentum=0.99).likely[0]


@pytest.mark.parametrize("momentum", [0.1, 0.01, None, 1.0])
def test_other_momenta_pass(momentum: float | None) -> None:
    assert found("batch_norm_momentum", momentum=momentum).outcome is Outcome.PASSED


def test_a_declared_momentum_is_the_right_one() -> None:
    declared = ({"momentum": 0.99, "source": "section 3"},)
    assert found("batch_norm_momentum", declared, momentum=0.99).outcome is Outcome.PASSED
    assert found("batch_norm_momentum", declared, momentum=0.1).outcome is Outcome.FAILED
