"""Noise that updates draw, judged against its declaration."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from repro.checks.handed import DRAWN, TIMES, judge_draws
from repro.checks.registry import CHECKS, CURRENT, load_all
from repro.contract.declarations import TensorDeclaration
from repro.findings import Outcome

NORMAL = TensorDeclaration("noise", ("batch", 3), random="normal")
STEP = TensorDeclaration("step", ("batch",), dtype="int64", random="uniform", range=(0, 99))
EVEN = TensorDeclaration("share", ("batch", 1), random="uniform")


@pytest.fixture(autouse=True)
def running() -> None:
    """Findings are made inside of a check."""
    load_all()
    CURRENT.set(CHECKS["handed_over"])


def draws(kind: str) -> list[Tensor]:
    made = torch.Generator().manual_seed(3)
    shapes = {
        "normal": lambda: torch.randn(DRAWN, 3, generator=made),
        "even": lambda: torch.rand(DRAWN, 1, generator=made),
        "step": lambda: torch.randint(0, 100, (DRAWN,), generator=made),
        "early": lambda: torch.randint(0, 99, (DRAWN,), generator=made),
        "late": lambda: torch.randint(1, 101, (DRAWN,), generator=made),
        "one step": lambda: torch.randint(0, 100, (1,), generator=made).expand(DRAWN),
        "one row": lambda: torch.randn(1, 3, generator=made).expand(DRAWN, 3),
        "half": lambda: 0.5 * torch.randn(DRAWN, 3, generator=made),
        "weighted": lambda: (torch.rand(DRAWN, generator=made).square() * 100).long(),
    }
    return [shapes[kind]() for _ in range(TIMES)]


@pytest.mark.parametrize(
    ("declared", "kind", "outcome", "says"),
    [
        (NORMAL, "normal", Outcome.PASSED, "as declared"),
        (EVEN, "even", Outcome.PASSED, "as declared"),
        (STEP, "step", Outcome.PASSED, "as declared"),
        (STEP, "early", Outcome.FAILED, "the last step is never drawn"),
        (STEP, "late", Outcome.FAILED, "leaves its range"),
        (STEP, "one step", Outcome.FAILED, "for the whole batch"),
        (STEP, "weighted", Outcome.WARNED, "not drawn evenly"),
        (NORMAL, "one row", Outcome.FAILED, "for the whole batch"),
        (NORMAL, "even", Outcome.FAILED, "not normal noise"),
        (NORMAL, "half", Outcome.FAILED, "not normal noise"),
    ],
)
def test_noise_is_judged_by_its_declaration(
    declared: TensorDeclaration, kind: str, outcome: Outcome, says: str
) -> None:
    finding = judge_draws(declared, draws(kind), "training.py:1")
    assert finding.outcome is outcome and says in finding.summary, finding


def test_noise_that_serves_every_update() -> None:
    (first, *_) = draws("normal")
    finding = judge_draws(NORMAL, [first] * 3, "training.py:1")
    assert finding.outcome is Outcome.FAILED and "serves every update" in finding.summary
