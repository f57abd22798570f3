"""The curve of an accepted run goes into the table, provenance and all, and a run that is not accepted is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from repro.commands.report import main
from repro.errors import ConfigError, ExitCode, ReproError, TableError
from repro.phases.verdict import judge_run
from repro.reference import load_table
from repro.reference.append import with_record, write_record
from repro.report.record import record_curve, tolerances_of
from repro.tracking.run_folder import RunFolder
from tests.phases.made_runs import TABLE, judged_from, make

LOSSES = {0: (3.0, 2.0, 1.0), 1: (3.1, 2.2, 1.0), 2: (2.9, 1.8, 1.0)}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "reference_numbers").mkdir()
    place = tmp_path / "reference_numbers" / "small.yaml"
    place.write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    return place


def accepted(tmp_path: Path, scores: dict[int, float] | None = None, **more: object) -> RunFolder:
    folder = make(tmp_path / "runs", "aaa", scores or dict.fromkeys(LOSSES, 94.0), losses=LOSSES, **more)  # type: ignore[arg-type]
    judged = judge_run(judged_from(folder))
    folder.write_verdict(judged.to_json())
    return folder


def test_a_new_curve_with_its_provenance(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accepted(tmp_path, overrides=("paper=small", "model.width=8", "runs_folder=x", "reproduction.seeds=3"))
    assert main(["run=aaa", "record=validation.loss"]) is ExitCode.OK
    assert "Recorded curve_validation_loss: 3 points" in capsys.readouterr().out
    record = load_table(path).record("curve_validation_loss")
    # standard deviations 0.1, 0.2 and 0 over three seeds: t(2; 1 − 0.025/3) = 7.6488, times sd · √(2/3); then rounding
    assert record.points == ((10.0, 3.0, 0.62), (20.0, 2.0, 1.2), (30.0, 1.0, 3e-5))
    assert record.setting == "analogue" and not record.counts
    assert "our run aaa, code a81f0c22d9e4, seeds 0, 1, 2" in record.where and "torch 2.0" in record.where
    assert record.requires.scale == "laptop" and record.requires.data == "toy"
    assert record.requires.overrides == ("model.width=8", "reproduction.updates=30")
    assert record.tolerance is not None and record.tolerance.value == 1.2
    assert "3 further seeds" in record.tolerance.reason and "t with 2 degrees of freedom" in record.tolerance.reason
    text = path.read_text()
    assert "  # the only printed result" in text and text.endswith("consistency: {}\n")


def test_recorded_anew_it_replaces_itself(path: Path, tmp_path: Path) -> None:
    folder = accepted(tmp_path)
    record_curve(folder, "course")
    first = path.read_text()
    record_curve(folder, "course")
    assert path.read_text() == first and first.count("  course:") == 1 and len(load_table(path).records) == 2


def test_a_run_that_is_not_accepted(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ReproError, match="it does not match the paper in score"):
        record_curve(accepted(tmp_path, {0: 80.0, 1: 80.1, 2: 80.2}), "course")
    with pytest.raises(ReproError, match="seed-1 did not finish"):
        record_curve(accepted(tmp_path, statuses={1: "diverged"}), "course")
    assert path.read_text() == TABLE


def test_what_was_not_recorded_and_one_seed(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Recorded were: validation\.loss"):
        record_curve(accepted(tmp_path), "validation.accuracy")
    one = make(tmp_path / "one", "bbb", {0: 94.0})
    one.write_verdict({"rows": [], "exit_code": 4})
    with pytest.raises(ReproError, match="1 seed ended in this run; a curve needs 2"):
        record_curve(one, "course")


def test_zero_spread_leaves_rounding() -> None:
    assert tolerances_of(((10.0, 3.0), (20.0, 2.0)), [0.0, 0.0], 3) == (3e-5, 3e-5)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_as_many_new_seeds_stay_within_at_all_steps_in_95_of_100_runs(seeds: int) -> None:
    generator = np.random.default_rng(seeds)
    inside = 0
    for _ in range(600):
        old, new = generator.standard_normal((2, seeds, 8)) * np.linspace(0.01, 1, 8)
        means = tuple(enumerate(old.mean(axis=0).tolist()))
        widths = tolerances_of(means, old.std(axis=0, ddof=1).tolist(), seeds)
        inside += bool((abs(new.mean(axis=0) - old.mean(axis=0)) <= widths).all())
    assert inside / 600 > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 600)


def test_a_table_that_would_be_invalid_is_not_written(path: Path) -> None:
    with pytest.raises(TableError):
        write_record(path, "bad", {"kind": "curve"})
    assert path.read_text() == TABLE
    assert with_record("paper: x\n", "a", {}) == "paper: x\n"
