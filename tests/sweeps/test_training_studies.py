"""The whole engine on a small paper of a person's own, really trained in real workers."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repro.commands.display import JsonDisplay, PlainDisplay
from repro.configuration import compose
from repro.configuration.compose import Composed
from repro.configuration.identity import run_id
from repro.errors import ConfigError, ExitCode
from repro.sweeps.ablation import ablation_study
from repro.sweeps.command import run_sweep
from repro.sweeps.deviations import edited_since
from repro.sweeps.learning_rate import learning_rate_study
from repro.sweeps.pool import Pool
from repro.sweeps.processes import plain
from repro.tracking.run_folder import RunFolder


@pytest.fixture(scope="module")
def workers(line_folder: Path) -> Iterator[Pool]:
    """One worker for the module: importing torch is what costs."""
    sys.path.insert(0, str(line_folder))
    with Pool(1, 1) as pool:
        yield pool
    sys.path.remove(str(line_folder))


def opened(folder: Path, *overrides: str) -> tuple[Composed, RunFolder]:
    composed = compose(["paper=line", *overrides])
    return composed, RunFolder(folder / "line" / "0123456789ab")


@pytest.mark.usefixtures("in_line_folder")
def test_learning_rates(workers: Pool, tmp_path: Path) -> None:
    """Mean squares of a line: the Hessian of (w, b) is diag(2/3, 2), so descent is stable below a rate of 2/2 = 1."""
    composed, folder = opened(tmp_path)
    said: list[tuple[str, int, int, float | None]] = []
    record = learning_rate_study(composed, folder, workers, lambda *what: said.append(what))
    rates = {rate["rate"]: rate for rate in record["rates"]}
    assert sorted(rates) == pytest.approx([1e-4, 1e-2, 0.1, 1.0, 1e2], rel=1e-9)
    assert record["paper_value"] == 0.1 and record["paper_inside"] is True
    assert rates[0.1]["falls"] and rates[0.1]["final"] < 0.1 < rates[0.1]["initial"]
    assert not rates[1e-4]["falls"] and not rates[1e2]["falls"]
    assert record["usable"][0] <= 0.1 <= record["usable"][1] <= 1.0 + 1e-9
    assert record["best_rate"] in rates and "the paper's 0.1 lies inside" in record["summary"]
    worst = next(trial for trial in record["trials"] if trial["params"]["learning_rate"] == 1e2)
    assert worst["state"] == "diverged" and "total became" in worst["error"]
    assert json.loads(folder.study_path("learning_rate").read_text())["usable"] == record["usable"]
    process = folder.process("learning_rate-000").record
    assert (process["kind"], process["learning_rate"], process["status"]) == ("learning_rate", 1e-4, "finished")
    assert process["changes"] == {"training.rate": 1e-4} and process["threads"] == 1
    assert said[-1][:3] == ("learning rates · 1 diverged", 5, 5)
    before = sorted(path.stat().st_mtime_ns for path in folder.root.rglob("trajectory.jsonl"))
    assert learning_rate_study(composed, folder, workers)["usable"] == record["usable"]
    assert sorted(path.stat().st_mtime_ns for path in folder.root.rglob("trajectory.jsonl")) == before


@pytest.mark.usefixtures("in_line_folder")
def test_ablations(workers: Pool, tmp_path: Path) -> None:
    """Without its bias the line misses the 1 of y = 2 x + 1: the mean square of what is left is 1 at best."""
    composed, folder = opened(tmp_path)
    record = ablation_study(composed, folder, workers, names=["no_bias"])
    effect = next(effect for effect in record["effects"] if effect["metric"] == "error")
    assert (effect["name"], effect["n"], effect["missing"]) == ("no_bias", 3, [])
    assert effect["mean"] == pytest.approx(1.0, abs=0.15)
    assert effect["interval"][0] < effect["mean"] < effect["interval"][1]
    assert [run["name"] for run in record["runs"]] == ["baseline", "no_bias"]
    (store,) = (
        one for one in folder.processes(kind="ablation") if (one.record["name"], one.record["seed"]) == ("no_bias", 1)
    )
    assert store.record["changes"] == {"model.bias": False} and store.record["name"] == "no_bias"
    assert store.metrics["metrics"]["error"] > 0.9
    one_more = ablation_study(composed, folder, workers, ["no_bias"], 4, study="ablation-more")
    assert next(e for e in one_more["effects"] if e["metric"] == "error")["n"] == 4
    assert len(list(folder.root.rglob("trajectory.jsonl"))) == 8, "three of the four seeds were there already"


@pytest.mark.usefixtures("in_line_folder")
def test_an_ablation_that_is_added_or_edited_trains_nothing_else_again(workers: Pool, tmp_path: Path) -> None:
    composed, folder = opened(tmp_path)
    ablation_study(composed, folder, workers, ["no_bias"], 2)
    before = {path: path.stat().st_mtime_ns for path in folder.root.rglob("trajectory.jsonl")}
    assert len(before) == 4

    added, same = opened(tmp_path, "+ablations.slow={changes: {training.rate: 1e-4}, own: true}")
    assert run_id(added.config) == run_id(composed.config), "a declaration is no part of what identifies a run"
    record = ablation_study(added, same, workers, ["no_bias", "slow"], 2)
    assert {effect["name"] for effect in record["effects"]} == {"no_bias", "slow"}
    after = {path: path.stat().st_mtime_ns for path in folder.root.rglob("trajectory.jsonl")}
    assert len(after) == 6 and before.items() <= after.items()

    edited, same = opened(tmp_path, "+ablations.slow={changes: {training.rate: 1e-5}, own: true}")
    assert edited_since(record, plain(edited)) == {"slow"} and not edited_since(record, plain(added))
    again = ablation_study(edited, same, workers, ["no_bias", "slow"], 2)
    assert next(run["changes"] for run in again["runs"] if run["name"] == "slow") == {"training.rate": 1e-5}
    assert len(list(folder.root.rglob("trajectory.jsonl"))) == 8, "the edited one is another run"


@pytest.mark.usefixtures("in_line_folder")
def test_a_part_that_cannot_be_built_is_a_named_failure_and_the_others_stand(workers: Pool, tmp_path: Path) -> None:
    composed, folder = opened(tmp_path)
    record = ablation_study(composed, folder, workers, ["no_bias", "no_model"], 2, 12, mode="both")
    states = {run["name"]: run["state"] for run in record["runs"]}
    assert states == {
        "baseline": "complete",
        "no_bias": "complete",
        "no_model": "failed",
        "all_removed": "failed",
        "only_no_bias": "failed",  # without all others, so without a model
        "only_no_model": "complete",  # the bias alone is gone
    }
    error = next(run["error"] for run in record["runs"] if run["name"] == "no_model")
    assert "seed 0: " in error and "a bug of the person's" in error and "line/model.py" in error
    lost = next(e for e in record["effects"] if e["name"] == "no_model" and e["metric"] == "error")
    assert lost["n"] == 0 and lost["mean"] is None and lost["missing"] == [0, 1]


@pytest.mark.usefixtures("in_line_folder")
def test_a_paper_without_a_key_for_its_rate_says_what_to_declare(workers: Pool, tmp_path: Path) -> None:
    composed, folder = opened(tmp_path, "gauntlet.learning_rate.parameter=null")
    with pytest.raises(ConfigError, match=r"gauntlet.learning_rate.parameter: missing"):
        learning_rate_study(composed, folder, workers)


@pytest.fixture
def one_pool(workers: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command gets the module's workers instead of starting its own, which the slow test below sees."""
    monkeypatch.setattr("repro.sweeps.command.Pool", lambda *_: contextlib.nullcontext(workers))


def swept(kind: str, *overrides: str, display: Any = None) -> tuple[ExitCode, str]:
    stream = io.StringIO()
    composed = compose([f"sweep={kind}", "paper=line", "workers=1", *overrides])
    code = run_sweep(composed, kind, (display or PlainDisplay)(stream))
    return code, stream.getvalue()


@pytest.mark.usefixtures("in_line_folder", "one_pool")
def test_the_command_prints_what_failed_and_returns_its_code(tmp_path: Path) -> None:
    code, text = swept("ablation", f"runs_folder={tmp_path}", "sweep.seeds=2", "sweep.updates=12")
    assert code is ExitCode.GATE_FAILED
    assert "3 trials: 2 complete, 1 failed" in text
    assert "trial 2 (ablation=no_model) failed: seed 0: " in text and "a bug of the person's" in text
    assert "no_bias" in text and "95 % interval" in text


@pytest.mark.usefixtures("in_line_folder", "one_pool")
def test_a_sweep_of_the_persons_own(tmp_path: Path) -> None:
    code, text = swept("bias", f"runs_folder={tmp_path}")
    assert code is ExitCode.OK
    best, worst = text.splitlines()[2:4]
    assert "True" in best and "False" in worst and "2 trials: 2 complete" in text
    _, as_json = swept("bias", f"runs_folder={tmp_path}", display=JsonDisplay)
    record = json.loads(as_json.splitlines()[-1])
    assert record["event"] == "sweep" and record["best"]["params"] == {"model.bias": True}


@pytest.mark.usefixtures("in_line_folder", "one_pool")
def test_the_sweep_of_rates_searches_and_prunes(tmp_path: Path) -> None:
    code, text = swept("learning_rate", f"runs_folder={tmp_path}", "sweep.trials=9")
    assert code is ExitCode.OK
    assert "· 9 trials: " in text and " diverged" in text and "learns · best" in text and "← the paper's" in text
    assert "learn, the paper's 0.1 lies inside." in text


@pytest.mark.slow
@pytest.mark.usefixtures("in_line_folder")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_sweep_resumes_from_checkpoints_to_the_same_numbers(
    in_line_folder: Path, tmp_path: Path, number: int
) -> None:
    """The command itself, killed in the middle of trials; trajectories equal those of a run that was left alone."""
    words = [
        "ablation",
        "paper=line",
        "sweep.names=[no_bias]",
        "sweep.seeds=1",
        "sweep.updates=60",
        "training.pause=0.05",
    ]
    start = [sys.executable, "-m", "repro", "sweep", *words, "workers=2", "threads=1"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    killed, alone = tmp_path / "killed", tmp_path / "alone"
    first = subprocess.Popen([*start, f"runs_folder={killed}"], cwd=in_line_folder, env=environment)
    while len(list(killed.rglob("checkpoint.pt"))) < 2:
        assert first.poll() is None
        time.sleep(0.05)
    first.send_signal(number)
    assert first.wait(20) == {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    for folder in (killed, alone):
        subprocess.run([*start, f"runs_folder={folder}"], cwd=in_line_folder, env=environment, check=True, timeout=60)

    def losses(folder: Path) -> dict[str, list[Any]]:
        (run,) = (folder / "line").iterdir()
        found = {}
        for store in RunFolder(run).processes():
            assert store.status == "finished"
            found[store.folder.name] = [
                (row["update"], row["split"], row.get("total"), row.get("error")) for row in store.rows
            ]
        return found

    assert losses(killed) == losses(alone)
