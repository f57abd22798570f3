"""The commands as a person types them, each in a process of its own, with the network cut where the system lets us."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

RUN = ["run", "paper=transformer", "scale=smoke"]


def offline() -> list[str]:
    """A prefix that runs a command in a network namespace with loopback only; empty where that is not allowed."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return []
    prefix = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    allowed = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    return prefix if allowed else []


def repro(folder: Path, *words: str, cut: bool = True) -> subprocess.CompletedProcess[str]:
    command = [*(offline() if cut else []), sys.executable, "-m", "repro", *words]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=900
    )


def run_folder(folder: Path) -> Path:
    (root,) = folder.glob("runs/transformer/*")
    return root


def final(root: Path) -> dict:
    (path,) = root.glob("code/*/processes/seed-0/metrics.json")
    return json.loads(path.read_text())


def trajectory(root: Path) -> list[dict]:
    from repro.tracking.store import ProcessStore

    (path,) = root.glob("code/*/processes/seed-0")
    return [{key: value for key, value in row.items() if key != "time"} for row in ProcessStore(path).rows]


def test_one_command_from_the_paper_to_the_report(tmp_path: Path) -> None:
    first = repro(tmp_path, *RUN)
    assert first.returncode == 0, first.stdout + first.stderr
    for phase in ("analysis", "data", "model", "loss", "training", "evaluation", "gauntlet", "reproduction"):
        assert f"✓ {phase}" in first.stdout
    assert "None of 46 printed results tested." in first.stdout
    assert "number words" in first.stdout
    assert "scale=paper" in first.stdout, "rows that were not run say which command runs them"
    assert "wandb sync" in first.stdout
    root = run_folder(tmp_path)
    for name in ("report.html", "report.md", "report.json", "verdict.json", "registered_table.json"):
        assert (root / name).stat().st_size > 0
    rows = json.loads((root / "verdict.json").read_text())["rows"]
    verdicts = {row["id"]: row["verdict"] for row in rows}
    assert list(verdicts.values()).count("paper_inconsistent") >= 11

    again = repro(tmp_path, *RUN)
    assert again.returncode == 0, again.stdout + again.stderr
    assert json.loads((root / "verdict.json").read_text())["rows"] == rows

    listed = repro(tmp_path, "status")
    assert listed.returncode == 0 and "transformer" in listed.stdout
    reported = repro(tmp_path, "report", "paper=transformer")
    assert reported.returncode == 0 and "None of 46 printed results tested." in reported.stdout


def test_killed_and_restarted_gives_the_same_numbers(tmp_path: Path) -> None:
    words = [*RUN, "phases=[reproduction]", "reproduction.updates=40", "reproduction.checkpoint_every=7", "threads=1"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    done = repro(whole, *words, "tracking.wandb=disabled")
    assert done.returncode == 0, done.stdout + done.stderr

    command = [sys.executable, "-m", "repro", *words, "tracking.wandb=disabled"]
    process = subprocess.Popen(
        command, cwd=killed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for(lambda: any(killed.glob("runs/transformer/*/code/*/processes/seed-0/checkpoint.pt")))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = list(killed.glob("runs/transformer/*/code/*/processes/seed-0/metrics.json"))
    assert not finished, "it was killed too late to show anything"
    time.sleep(12)  # a worker that lost its controller finishes its update, checkpoints and goes
    again = repro(killed, *words, "tracking.wandb=disabled")
    assert again.returncode == 0, again.stdout + again.stderr
    assert final(run_folder(killed))["metrics"] == final(run_folder(whole))["metrics"]
    assert trajectory(run_folder(killed)) == trajectory(run_folder(whole))


def test_ctrl_c_leaves_a_run_that_the_same_command_resumes(tmp_path: Path) -> None:
    words = [*RUN, "phases=[reproduction]", "reproduction.updates=4000", "tracking.wandb=disabled"]
    command = [sys.executable, "-m", "repro", *words]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(lambda: any(tmp_path.glob("runs/transformer/*/code/*/processes/seed-0/checkpoint.pt")))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130, out
    assert "python -m repro run paper=transformer" in out, "it says how to go on"
    (record,) = tmp_path.glob("runs/transformer/*/code/*/processes/seed-0/process.json")
    assert json.loads(record.read_text())["status"] == "interrupted"


def test_the_same_seed_twice_is_the_same_trajectory(tmp_path: Path) -> None:
    words = [*RUN, "phases=[reproduction]", "threads=1", "tracking.wandb=disabled"]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        done = repro(tmp_path / name, *words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert trajectory(run_folder(tmp_path / "a")) == trajectory(run_folder(tmp_path / "b"))


def test_a_loss_that_is_not_finite_names_update_and_term(tmp_path: Path) -> None:
    words = [*RUN, "phases=[reproduction]", "training.peak=1e30", "tracking.wandb=disabled"]
    done = repro(tmp_path, *words)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "update" in done.stdout and "loss" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.skipif(not os.environ.get("REPRO_DATA"), reason="REPRO_DATA is not set: no real sentences here")
def test_real_sentences_report_bleu(tmp_path: Path) -> None:
    done = repro(tmp_path, *RUN, "data=multi30k")
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = final(run_folder(tmp_path))
    assert 0 <= metrics["metrics"]["bleu"] <= 100
    assert "tok:13a" in metrics["signatures"]["bleu"]


def test_a_missing_data_folder_says_where_it_looked(tmp_path: Path) -> None:
    done = repro(tmp_path, *RUN, "data=multi30k", "data.folder=/nowhere/at/all", "tracking.wandb=disabled")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "/nowhere/at/all" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def wait_for(happened: Callable[[], bool], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.1)
