"""A study survives every death of workers and controller, tells each trial once, and names what went wrong."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from fake_tasks import fake_study

from repro.errors import ConfigError, RunFolderError
from repro.sweeps.pool import Pool
from repro.sweeps.storage import drop_torn_line, exclusively, journal_storage

HERE = Path(__file__).parent


def pool(workers: int = 2) -> Pool:
    return Pool(workers, 1, import_torch=False)


def told(folder: Path, name: str = "fake") -> dict[int, int]:
    """How often each trial was told, counted in the journal: op_code 6 sets a state; 1, 2 and 3 are final ones."""
    counts: dict[int, int] = {}
    for line in (folder / f"{name}.journal").read_text().splitlines():
        entry = json.loads(line)
        if entry["op_code"] == 6 and entry["state"] in (1, 2, 3):
            counts[entry["trial_id"]] = counts.get(entry["trial_id"], 0) + 1
    return counts


def attempts(folder: Path) -> dict[str, int]:
    return {path.parent.name: len(path.read_text().split()) for path in sorted(folder.glob("processes/*/started"))}


def points(*values: float, **options: Any) -> Any:
    return {"points": tuple({"x": value} for value in values), "trials": len(values), **options}


def test_points_are_run_in_order_and_never_again(tmp_path: Path) -> None:
    with pool() as workers:
        record = fake_study(tmp_path, **points(1.0, 3.0, 2.0)).run(workers)
    assert [trial["params"]["x"] for trial in record["trials"]] == [1.0, 3.0, 2.0]
    assert [trial["value"] for trial in record["trials"]] == [1.0, 9.0, 4.0]
    assert [trial["state"] for trial in record["trials"]] == ["complete"] * 3
    assert record["best"] == {"number": 0, "params": {"x": 1.0}, "value": 1.0}
    assert record["counts"] == {"complete": 3, "diverged": 0, "pruned": 0, "failed": 0, "running": 0, "queued": 0}
    assert record["trials"][1]["intermediate"] == [[1, 9.0 + 1], [2, 9.0 + 1 / 2], [3, 9.0 + 1 / 3]]
    assert record["status"] == "finished" and record["seconds_left"] == 0
    assert json.loads((tmp_path / "fake.json").read_text())["counts"] == record["counts"]
    again = fake_study(tmp_path, **points(1.0, 3.0, 2.0)).run(None)  # type: ignore[arg-type]
    assert again["best"] == record["best"], "a finished study needs no worker, nor Optuna"
    assert set(attempts(tmp_path).values()) == {1}


def test_a_study_can_be_extended(tmp_path: Path) -> None:
    with pool() as workers:
        fake_study(tmp_path, **points(1.0)).run(workers)
        record = fake_study(tmp_path, trials=4).run(workers)
    assert len(record["trials"]) == 4 and record["trials"][0]["params"] == {"x": 1.0}
    assert attempts(tmp_path)["fake-000-0"] == 1


def test_another_definition_under_the_same_name_is_refused(tmp_path: Path) -> None:
    with pool() as workers:
        fake_study(tmp_path, **points(1.0)).run(workers)
        with pytest.raises(ConfigError, match="begun with another updates"):
            fake_study(tmp_path, **points(1.0, updates=4)).run(workers)


def test_failed_diverged_and_dead_trials_are_named_and_the_others_stand(tmp_path: Path) -> None:
    study = fake_study(tmp_path, **points(1.0, -1.0, -2.0, -3.0, -4.0, 2.0))
    with Pool(2, 1, import_torch=False, retries=1) as workers:
        record = study.run(workers)
    states = {trial["params"]["x"]: trial for trial in record["trials"]}
    assert states[-1.0]["state"] == "failed" and "ZeroDivisionError: own bug" in states[-1.0]["error"]
    assert states[-2.0]["state"] == "diverged" and states[-2.0]["error"] == "loss is NaN at update 2"
    assert states[-3.0]["state"] == "diverged" and states[-3.0]["error"] == "loss is nan"
    assert states[-4.0]["state"] == "failed" and "exited with code 9, 2 times" in states[-4.0]["error"]
    assert states[-4.0]["deaths"] == [
        "fake-004-0: its worker exited with code 9; run again",
        "fake-004-0: its worker exited with code 9",
    ]
    assert [states[x]["value"] for x in (1.0, 2.0, -1.0, -2.0, -3.0)] == [1.0, 4.0, None, None, None]
    assert record["best"]["number"] == 0
    assert (record["counts"]["failed"], record["counts"]["diverged"]) == (2, 2)
    assert set(told(tmp_path).values()) == {1}


def test_failed_trials_are_tried_again_when_asked(tmp_path: Path) -> None:
    with pool() as workers:
        fake_study(tmp_path, **points(1.0, -1.0)).run(workers)
        record = fake_study(tmp_path, **points(1.0, -1.0), retry_failed=True).run(workers)
        assert [trial["params"]["x"] for trial in record["trials"]] == [1.0, -1.0, -1.0]
        record = fake_study(tmp_path, **points(1.0, -1.0), retry_failed=True).run(workers)
    assert [trial["params"]["x"] for trial in record["trials"]] == [1.0, -1.0, -1.0, -1.0]
    assert record["counts"]["failed"] == 3 and attempts(tmp_path) == {"fake-000-0": 1}
    assert set(told(tmp_path).values()) == {1}


def test_a_trial_tried_again_takes_the_place_of_no_planned_one(tmp_path: Path) -> None:
    first = ({"x": 1.0}, {"x": -1.0})
    with pool() as workers:
        fake_study(tmp_path, points=first, trials=2).run(workers)
        record = fake_study(tmp_path, points=first, trials=3, retry_failed=True).run(workers)
    assert len(record["trials"]) == 4 and [trial["params"]["x"] for trial in record["trials"]].count(-1.0) == 2


def test_several_seeds_give_a_mean_and_their_values(tmp_path: Path) -> None:
    with pool() as workers:
        record = fake_study(tmp_path, **points(1.0, -1.0, seeds=(0, 1, 2))).run(workers)
    good, bad = record["trials"]
    assert good["values_by_seed"] == {"0": 1.0, "1": 2.0, "2": 3.0} and good["value"] == 2.0
    assert good["metrics_by_seed"]["2"] == {"square": 3.0}
    assert sorted(good["processes"]) == ["fake-000-0", "fake-000-1", "fake-000-2"]
    assert bad["state"] == "failed" and bad["error"].count("seed ") == 3


def test_a_hopeless_trial_is_pruned_and_its_other_seeds_never_start(tmp_path: Path) -> None:
    values = (1.0, 1.1, 1.2, 1.3, 9.0)
    with pool(1) as workers:
        record = fake_study(tmp_path, **points(*values, updates=60, seconds=0.005, seeds=(0, 1), prune=True)).run(
            workers
        )
    assert [trial["state"] for trial in record["trials"]] == ["complete"] * 4 + ["pruned"]
    assert record["trials"][4]["processes"] == ["fake-004-0"]
    assert record["trials"][4]["intermediate"][-1][0] < 60
    assert record["counts"]["pruned"] == 1 and set(told(tmp_path).values()) == {1}


def test_a_killed_worker_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = fake_study(tmp_path, **points(1.0, 2.0, 3.0, updates=10, seconds=0.02))
    progressed, killed = study.progressed, []

    def kill_once(outcome: Any, seed: int, event: Any, workers: Pool) -> None:
        progressed(outcome, seed, event, workers)
        if not killed and event.task == "fake-001-0" and event.update == 3:
            killed.append(workers.process_ids[event.task])
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(study, "progressed", kill_once)
    with pool() as workers:
        record = study.run(workers)
    assert len(killed) == 1
    assert [trial["value"] for trial in record["trials"]] == [1.0, 4.0, 9.0]
    assert record["trials"][1]["deaths"] == ["fake-001-0: its worker was killed by SIGKILL; run again"]
    assert attempts(tmp_path) == {"fake-000-0": 1, "fake-001-0": 2, "fake-002-0": 1}
    assert set(told(tmp_path).values()) == {1}


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_killed_controller_is_resumed_and_every_trial_is_told_once(tmp_path: Path, number: int) -> None:
    command = [sys.executable, str(HERE / "study_controller.py"), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    first = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    while not (tmp_path / "processes" / "fake-003-0" / "count").exists():
        assert first.poll() is None, first.stderr and first.stderr.read()
        time.sleep(0.02)
    first.send_signal(number)
    first.communicate(timeout=20)
    record = json.loads((tmp_path / "fake.json").read_text())
    assert record["status"] == ("running" if number == signal.SIGKILL else "interrupted")
    assert record["counts"]["complete"] < 6
    subprocess.run(command, env=environment, check=True, timeout=30)
    record = json.loads((tmp_path / "fake.json").read_text())
    assert record["status"] == "finished"
    assert [trial["value"] for trial in record["trials"]] == [float(x * x) for x in range(6)]
    assert [trial["number"] for trial in record["trials"]] == list(range(6))
    assert told(tmp_path) == {number: 1 for number in range(6)}
    counts = attempts(tmp_path)
    assert sorted(counts) == [f"fake-{n:03d}-0" for n in range(6)] and sum(counts.values()) <= 8, counts
    assert counts["fake-000-0"] == 1, "a finished trial is not repeated"


def test_two_controllers_do_not_share_a_study(tmp_path: Path) -> None:
    with (
        exclusively(tmp_path / "fake.journal"),
        pool() as workers,
        pytest.raises(RunFolderError, match="study fake is being run by another process"),
    ):
        fake_study(tmp_path, **points(1.0)).run(workers)


def test_a_torn_journal_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "s.journal"
    study = optuna.create_study(storage=journal_storage(path), study_name="s")
    study.tell(study.ask(), 1.0)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code": 4, "trial')
    again = optuna.load_study(storage=journal_storage(path), study_name="s")
    again.tell(again.ask(), 0.5)
    assert path.read_bytes().startswith(whole + b"{")
    assert optuna.load_study(storage=journal_storage(path), study_name="s").best_value == 0.5
    drop_torn_line(tmp_path / "absent.journal")


def test_the_sampler_learns_that_divergence_is_worst(tmp_path: Path) -> None:
    with pool() as workers:
        fake_study(tmp_path, **points(1.0, -2.0)).run(workers)
    study = optuna.load_study(storage=journal_storage(tmp_path / "fake.journal"), study_name="fake")
    assert [trial.value for trial in study.trials] == [1.0, math.inf]
