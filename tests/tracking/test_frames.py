"""Frames hold what the store holds, with NaN where nothing was measured, and cost no torch."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

import repro
from repro.errors import RunFolderError
from repro.tracking.files import write_json
from repro.tracking.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path / "runs", "fake", "abc123abc123", {"scale": "smoke"}, "model: {width: 64}\n")
    folder.use_code("f00", {"python": "3.11"})
    return folder


def test_trajectories_of_all_processes_in_one_frame(folder):
    for seed in (0, 1):
        with folder.process(f"seed-{seed}") as store:
            store.begin({"process": f"seed-{seed}", "kind": "reproduction", "name": "", "seed": seed})
            store.append(10, "train", {"total": 2.0 + seed}, time=0.5)
            store.append(10, "validation", {"bleu": math.nan})
            store.write_metrics({"bleu": 27.0 + seed}, update=10)
    run = repro.load(folder.root)
    frame = run.trajectories
    assert list(frame.columns) == ["process", "kind", "name", "seed", "update", "split", "time", "total", "bleu"]
    assert frame.query("split == 'train'").set_index("seed")["total"].to_dict() == {0: 2.0, 1: 3.0}
    assert frame["bleu"].isna().all() and frame["total"].dtype == "float64"
    assert run.metrics["bleu"].tolist() == [27.0, 28.0]
    assert run.config == {"model": {"width": 64}} and run.path == folder.root and run.evidence == {}


def test_trials_and_rows(folder):
    trials = [
        {
            "number": 0,
            "state": "finished",
            "params": {"learning_rate": 1e-3},
            "value": 2.5,
            "process": "learning_rate-000",
        },
        {
            "number": 1,
            "state": "diverged",
            "params": {"learning_rate": 1e-1},
            "value": "NaN",
            "error": "total became nan",
        },
    ]
    write_json(folder.study_path("learning_rate"), {"study": "learning_rate", "trials": trials})
    folder.write_verdict({"rows": [{"id": "bleu", "ours": math.nan, "verdict": "not_run"}]})
    run = repro.load("abc", folder.root.parents[1])
    assert run.trials["params.learning_rate"].tolist() == [1e-3, 1e-1]
    assert run.trials["value"][0] == 2.5 and math.isnan(run.trials["value"][1])
    assert run.rows["verdict"].tolist() == ["not_run"] and math.isnan(run.rows["ours"][0])


def test_a_run_that_has_trained_nothing_gives_empty_frames_with_their_columns(tmp_path):
    folder = RunFolder.create(tmp_path, "fake", "abc", {}, "")
    run = repro.load(folder.root)
    assert len(run.trajectories) == len(run.trials) == len(run.rows) == len(run.metrics) == 0
    assert {"seed", "update", "split"} <= set(run.trajectories.columns)
    with pytest.raises(RunFolderError, match="There is no run 'zzz'"):
        repro.load("zzz", tmp_path)


def test_loading_imports_no_torch():
    code = "import sys, repro; repro.load; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
