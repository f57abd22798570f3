"""Saved states: NumPy arrays go through a checkpoint as in a real run, whole objects do not and are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from repro.checks.registry import run_check
from repro.findings import Outcome

from .small_papers import REGRESSION, Points, bench_of


class Kept(Points):
    """Points in an order of NumPy's, with its position saved as people save it."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.random = np.random.RandomState(seed)
        self.order = self.random.permutation(40)

    def batches(self, split: str) -> Any:
        if split != "train":
            yield from super().batches(split)
            return
        while True:
            if len(self.order) == 0:
                self.order = self.random.permutation(40)
                return
            rows, self.order = self.order[:8], self.order[8:]
            yield {"x": self.x[rows], "y": self.y[rows]}

    def state_dict(self) -> dict[str, Any]:
        return {"random": self.random.get_state(), "order": self.order}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.random.set_state(state["random"])
        self.order = state["order"]


class Whole(Kept):
    def state_dict(self) -> dict[str, Any]:
        return {"random": self.random, "order": self.order}


@pytest.mark.parametrize("check", ["resume", "seeding"])
def test_arrays_go_through_a_checkpoint(check: str) -> None:
    (finding,) = run_check(check, bench_of(REGRESSION, data___target_=f"{__name__}.Kept"))
    assert finding.outcome is Outcome.PASSED, finding


def test_a_whole_object_is_named() -> None:
    (finding,) = run_check("resume", bench_of(REGRESSION, data___target_=f"{__name__}.Whole"))
    assert finding.outcome is Outcome.FAILED and finding.component == "data"
    assert finding.observed.startswith("data.state_dict()['random'] is a numpy.random.mtrand.RandomState")
    (finding,) = run_check("seeding", bench_of(REGRESSION, data___target_=f"{__name__}.Whole"))
    assert finding.outcome is Outcome.PASSED, finding


class Seeded(Points):
    """The order of each pass comes from the seed and the number of the pass, so only the position is saved."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed, self.done, self.given = seed, 0, 0

    def batches(self, split: str) -> Any:
        if split != "train":
            yield from super().batches(split)
            return
        order = np.random.default_rng([self.seed, self.done]).permutation(40)
        while self.given < 5:
            rows = order[8 * self.given : 8 * self.given + 8]
            self.given += 1
            yield {"x": self.x[rows], "y": self.y[rows]}
        self.done, self.given = self.done + 1, 0

    def state_dict(self) -> dict[str, Any]:
        return {"done": self.done, "given": self.given}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.done, self.given = state["done"], state["given"]


class Lost(Seeded):
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.given = state["given"]


@pytest.mark.parametrize("kind, outcome", [("Kept", "PASSED"), ("Seeded", "PASSED"), ("Lost", "FAILED")])
def test_a_stream_whose_order_the_seed_gives_resumes(kind: str, outcome: str) -> None:
    (finding,) = run_check("stream_resumes", bench_of(REGRESSION, data___target_=f"{__name__}.{kind}"))
    assert finding.outcome is Outcome[outcome], finding
