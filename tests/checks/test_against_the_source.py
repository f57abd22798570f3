"""What data say of themselves against where it comes from: statistics of training images, returns of episodes."""

from __future__ import annotations

from typing import Any

import pytest

from repro.checks.registry import run_check
from repro.contract.bench import Bench
from repro.contract.paper import Paper
from repro.findings import Finding, Outcome
from tests.planted_bugs.planting import settings_of


def found(paper: str, check: str, **changes: Any) -> Finding:
    settings = settings_of(paper=paper)
    read = Paper.from_config({**settings, "data": {**settings["data"], **changes}})
    (options,) = (declared.options for declared in read.properties if declared.name == check)
    (finding,) = run_check(check, Bench(read), options)
    return finding


@pytest.mark.parametrize(("off", "outcome"), [(0.0, Outcome.PASSED), (1e-3, Outcome.FAILED)])
def test_the_mean_must_be_that_of_the_training_images(
    off: float, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    from repro.papers.resnet import data

    mean = data.per_pixel_mean
    monkeypatch.setattr(data, "per_pixel_mean", lambda images: mean(images) + 255 * off)
    finding = found("resnet", "statistics_of_training")
    assert finding.outcome is outcome, finding
    assert "1197 training examples" in finding.expected


def test_statistics_of_settings_that_do_not_exist_are_not_run() -> None:
    read = Paper.from_config(settings_of(paper="resnet"))
    options = {"tensor": "image", "over": ["batch"], "without": {"crops": 0}}
    (finding,) = run_check("statistics_of_training", Bench(read), options)
    assert finding.outcome is Outcome.NOT_RUN and "crops" in finding.reason


@pytest.mark.parametrize("carried", [False, True])
def test_the_returns_that_training_logs_are_those_of_whole_episodes(
    carried: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gymnasium")
    from repro.papers.ppo.environments import Environment

    reset = Environment.reset

    def without_reset(self: Environment) -> Any:
        total = self.total
        observation = reset(self)
        self.total = total if carried else self.total
        return observation

    monkeypatch.setattr(Environment, "reset", without_reset)
    finding = found("ppo", "finished_returns")
    assert finding.outcome is (Outcome.FAILED if carried else Outcome.PASSED), finding
    assert not carried or "set back to 0" in finding.likely[0]
