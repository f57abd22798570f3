"""Driving a schedule: counters found and moved, recursive schedulers never accused after a skip, patterns named."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from repro.checks.schedule import counters_of, deviation_pattern, drive_updates, interesting_updates, moved
from repro.oracles.schedules import inverse_square_root, milestones


def rate(step: int) -> float:
    return inverse_square_root(step, 64, 10)


@pytest.mark.parametrize(
    ("observed", "word"),
    [
        (lambda s: rate(s - 1) if s > 1 else 0.0, "counts from 0"),
        (lambda s: rate(s + 1), "before the update"),
        (lambda s: 3 * rate(s), "height"),
        (lambda s: 0.1, "never changes"),
        (lambda s: rate(max(1, s - 1)), "off by one"),
    ],
)
def test_pattern_of_a_deviation(observed: Any, word: str) -> None:
    seen = {step: observed(step) for step in range(2 if word == "counts from 0" else 1, 30)}
    assert word in deviation_pattern(rate, seen, rate(10))


def test_counters_are_found_and_moved() -> None:
    first = {"step": 1, "scheduler": {"last_epoch": 1, "base": 5}, "history": [1.0]}
    second = {"step": 2, "scheduler": {"last_epoch": 2, "base": 5}, "history": [0.5]}
    assert counters_of(first, second) == [("step",), ("scheduler", "last_epoch")]
    there = moved(second, counters_of(first, second), 98)
    assert (there["step"], there["scheduler"]["last_epoch"], second["step"]) == (100, 100, 2)


def test_interesting_updates_hold_breaks_and_the_end() -> None:
    chosen = interesting_updates(100_000, [4000])
    assert {1, 3997, 4000, 4003, 99_998, 100_000} <= set(chosen)
    assert len(chosen) < 130


class Stepwise:
    """Training around a multiplicative scheduler, whose rate a moved counter alone cannot give."""

    def __init__(self) -> None:
        self.optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        self.scheduler = torch.optim.lr_scheduler.MultiStepLR(self.optimiser, [30, 60])

    def update(self) -> float:
        lr = float(self.optimiser.param_groups[0]["lr"])
        self.optimiser.step()
        self.scheduler.step()
        return lr

    def state_dict(self) -> dict[str, Any]:
        return copy.deepcopy({"optimiser": self.optimiser.state_dict(), "scheduler": self.scheduler.state_dict()})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimiser.load_state_dict(state["optimiser"])
        self.scheduler.load_state_dict(state["scheduler"])


def test_unbroken_drive_of_a_recursive_schedule_agrees() -> None:
    training = Stepwise()
    chosen = interesting_updates(80, [30, 60])
    seen, how = drive_updates(training, training.update, 80, chosen, 60.0, jump=False)
    assert how == "every update driven to 80"
    assert all(seen[step] == pytest.approx(milestones(step, 0.1, [30, 60])) for step in chosen)


def test_time_that_runs_out_is_said() -> None:
    training = Stepwise()
    seen, how = drive_updates(training, training.update, 10**9, [1, 2, 10**9], 0.0, jump=True)
    assert "skipped" in how or "not decided" in how
    assert seen[1] == 0.1
