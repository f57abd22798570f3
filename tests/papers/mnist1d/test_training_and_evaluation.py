"""Loss, update and accuracy against numbers worked by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from repro.papers.mnist1d.evaluation import evaluate
from repro.papers.mnist1d.loss import cross_entropy
from repro.papers.mnist1d.model import Logistic
from repro.papers.mnist1d.training import Training


def test_cross_entropy_by_hand() -> None:
    # softmax of [ln 3, 0] is [3/4, 1/4]
    logits = torch.tensor([[math.log(3), 0.0], [math.log(3), 0.0]])
    total = cross_entropy(logits, torch.tensor([0, 1]))["total"]
    assert total.item() == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2)
    assert cross_entropy(torch.zeros(5, 10), torch.arange(5))["total"].item() == pytest.approx(math.log(10))


def test_the_first_step_of_adam_is_the_learning_rate() -> None:
    torch.manual_seed(0)
    model = Logistic().double()
    before = [p.detach().clone() for p in model.parameters()]
    training = Training(model, cross_entropy, learning_rate=0.01)
    batch = {"signal": torch.randn(100, 40, dtype=torch.float64), "digit": torch.randint(10, (100,))}
    values = training.update(batch)
    for old, new in zip(before, model.parameters(), strict=True):
        gradient = new.grad
        assert gradient is not None
        # both moments, corrected for their start at zero, are the first gradient and its square
        torch.testing.assert_close(new, old - 0.01 * gradient / (gradient.abs() + 1e-8), rtol=0, atol=1e-12)
    assert values["learning_rate"] == 0.01 and 0 <= float(values["accuracy"]) <= 100


class Fixed:
    """Three signals in two batches."""

    def batches(self, split: str) -> Any:
        assert split == "test"
        yield {"signal": torch.eye(10)[:2], "digit": torch.tensor([0, 1])}
        yield {"signal": torch.eye(10)[2:3], "digit": torch.tensor([9])}


def test_accuracy_by_hand() -> None:
    model = nn.Identity().train()
    found = evaluate(model, Fixed())
    assert found["accuracy"] == pytest.approx(200 / 3)
    right = math.log(math.e + 9) - 1  # -log softmax of the one among nine zeros
    assert found["loss"] == pytest.approx((2 * right + right + 1) / 3)
    assert model.training
