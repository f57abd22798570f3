"""Calls of dropout are counted where they act, layers and functions alike, each with its line."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repro.checks.dropout_sites import Calls
from repro.checks.registry import run_check
from repro.contract.bench import Bench
from repro.contract.paper import Paper
from repro.findings import Outcome
from tests.planted_bugs.planting import settings_of


class Model(nn.Module):
    """Dropout as a layer, as a function, and inside of PyTorch's attention."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.dropout(self.layer(x), 0.2, self.training)
        x = nn.functional.dropout(x, 0.3, training=False)
        return nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=0.4 if self.training else 0.0)


@pytest.mark.parametrize(("training", "rates"), [(True, [0.1, 0.2, 0.4]), (False, [])])
def test_only_what_acts_is_counted(training: bool, rates: list[float]) -> None:
    with Calls() as calls:
        Model().train(training)(torch.ones(1, 2, 3, 4))
    assert [site.rate for site in calls.sites] == rates


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ({"equals": "2 + 5 * layers"}, Outcome.PASSED),
        ({"equals": "1 + 5 * layers"}, Outcome.FAILED),
        ({"equals": "3 + 5 * layers"}, Outcome.FAILED),
        ({}, Outcome.NOT_RUN),
    ],
)
def test_the_places_of_the_transformer(options: dict[str, Any], outcome: Outcome) -> None:
    (found,) = run_check("dropout_sites", Bench(Paper.from_config(settings_of())), options)
    assert found.outcome is outcome, found
    if outcome is Outcome.FAILED:
        assert "model.py:" in found.observed and "dropout" in found.likely[0]
