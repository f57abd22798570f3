"""W&B holds row for row what the store holds, and its troubles trouble nobody else."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest

from repro.findings import Evidence, Gate
from repro.tracking.run_folder import RunFolder
from repro.tracking.wandb_mirror import WandbMirror, steps
from tests.tracking import wandb_file

OFFLINE = {"wandb": "offline", "project": "repro", "entity": None}


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path / "runs", "fake", "abc123abc123", {"scale": "smoke"}, "model: {width: 64}\n")
    folder.use_code("f00", {"python": "3.11"})
    return folder


def process(folder, name="seed-0", kind="reproduction", updates=50, status="finished"):
    store = folder.process(name)
    store.begin({"process": name, "kind": kind, "seed": 0, "name": "", "changes": {}})
    for update in range(10, updates + 1, 10):
        store.append(update, "train", {"total": 5.0 / update, "rate": math.nan if update == 20 else 1e-3 / 3})
        if update % 20 == 0:
            store.append(update, "validation", {"bleu": 0.1 * update})
    store.write_metrics({"bleu": 27.3}, update=updates)
    store.end(status, update=updates)
    return store


def expected(store):
    """The rows as the file must hold them."""
    return comparable([{"_step": update, **values} for update, values in steps(store.rows)])


def comparable(rows):
    """NaN as text, since it equals nothing."""
    return [{k: "NaN" if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()} for row in rows]


def test_every_row_of_every_process_lies_in_the_offline_files(folder, capfd):
    # more rows than a block of the log holds, so that records are split
    stores = [
        process(folder, updates=4000),
        process(folder, "learning_rate-000", "learning_rate", status="pruned"),
        process(folder, "ablation-none-seed-0", "ablation", status="diverged"),
    ]
    process(folder, "memorise-10", "memorise")
    folder.write_evidence(Evidence("model", Gate.PASSED, "14 checks", seconds=2.0))
    folder.write_verdict(
        {"sentence": "1 of 1", "rows": [{"id": "bleu", "paper": 27.3, "ours": "NaN", "verdict": "match"}]}
    )
    folder.report("html").write_text("<html>")
    said = []
    mirror = WandbMirror(folder, OFFLINE, said.append)
    mirror.mirror()
    for store in stores:
        path = wandb_file.offline_file(folder.wandb, store.record["wandb_id"])
        assert comparable(wandb_file.history(path)) == expected(store)
        run = wandb_file.run(path)
        assert (run.run_group, run.job_type, list(run.tags)) == ("fake", store.record["kind"], ["abc123abc123"])
        assert wandb_file.summary(path)["final/test/bleu"] == 27.3
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        assert config["model"] == {"width": 64} and config["process"]["process"] == store.record["process"]
    gates = wandb_file.offline_file(folder.wandb, json.loads((folder.root / "wandb.json").read_text())["id"])
    assert wandb_file.run(gates).job_type == "gates"
    assert wandb_file.summary(gates)["gate/model"] == "passed"
    assert {artifact.type for artifact in wandb_file.artifacts(gates)} >= {"report"}
    (table,) = gates.parent.glob("files/media/table/*.json")
    content = json.loads(table.read_text())
    assert content["data"][0][content["columns"].index("paper")] == 27.3
    assert len(list(folder.wandb.glob("offline-run-*"))) == 4

    # a second run has no news: no file changes
    before = sorted(path.name for path in folder.wandb.iterdir())
    mirror.mirror()
    assert sorted(path.name for path in folder.wandb.iterdir()) == before
    assert mirror.sync_command == f"wandb sync {folder.wandb}/offline-run-*"
    mirror.close()
    assert said == []
    assert capfd.readouterr() == ("", "")


def test_a_resumed_process_keeps_its_id_and_no_row_is_doubled(folder):
    store = process(folder, updates=30, status="interrupted")
    mirror = WandbMirror(folder, OFFLINE, pytest.fail)
    mirror.mirror()
    first = store.record["wandb_id"]
    store.begin({})
    store.supersede_after(20)
    store.append(30, "train", {"total": 9.0})
    mirror.mirror()  # under way: not yet
    store.append(40, "train", {"total": 1.0})
    store.end("finished", update=40)
    mirror.mirror()
    mirror.close()
    assert store.record["wandb_id"] == first
    assert len(list(folder.wandb.glob("offline-run-*"))) == 1
    path = wandb_file.offline_file(folder.wandb, first)
    assert comparable(wandb_file.history(path)) == expected(store)
    assert [row["_step"] for row in wandb_file.history(path)] == [10, 20, 30, 40]


def test_when_it_cannot_start_it_is_said_once_and_made_up_for_later(folder, monkeypatch):
    import wandb

    def refuse(*_, **__):
        raise wandb.errors.CommError("no service\nlong story")

    store = process(folder)
    process(folder, "seed-1")
    said = []
    with monkeypatch.context() as patch:
        patch.setattr(wandb, "init", refuse)
        mirror = WandbMirror(folder, OFFLINE, said.append)
        mirror.mirror()
        mirror.mirror()
        mirror.close()
    assert len(said) == 1 and "CommError: no service." in said[0] and "Nothing is lost" in said[0]
    assert mirror.sync_command is None
    later = WandbMirror(folder, OFFLINE, said.append)
    later.mirror()
    later.close()
    assert len(said) == 1
    path = wandb_file.offline_file(folder.wandb, store.record["wandb_id"])
    assert comparable(wandb_file.history(path)) == expected(store)


DYING = """
import os, signal, subprocess, sys
from repro.tracking.run_folder import RunFolder
from repro.tracking.wandb_mirror import WandbMirror
import wandb
folder = RunFolder(sys.argv[1])
said = []
mirror = WandbMirror(folder, {"wandb": "offline", "project": "repro"}, said.append)
init, count = wandb.init, 0
def dying(*arguments, **keywords):
    global count
    run = init(*arguments, **keywords)
    count += 1
    if count == 2:
        command = ["ps", "-o", "pid=,comm=", "--ppid", str(os.getpid())]
        children = subprocess.run(command, capture_output=True, text=True)
        for line in children.stdout.splitlines():
            pid, command = line.split()
            if "wandb" in command:
                os.kill(int(pid), signal.SIGKILL)
    return run
wandb.init = dying
mirror.mirror()
mirror.mirror()
mirror.close()
print("said", len(said), said)
"""


def test_when_its_service_dies_halfway_the_run_goes_on(folder):
    for seed in range(3):
        process(folder, f"seed-{seed}")
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(folder.root)], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("said 1 "), done.stdout + done.stderr
    mirrored = [store.record.get("wandb") is not None for store in folder.processes()]
    assert mirrored == [True, False, False]


def test_disabled_it_is_not_even_imported(folder):
    process(folder)
    code = (
        "import sys; from repro.tracking.run_folder import RunFolder\n"
        "from repro.tracking.wandb_mirror import WandbMirror\n"
        f"mirror = WandbMirror(RunFolder({str(folder.root)!r}), {{'wandb': 'disabled'}}, print)\n"
        "mirror.mirror(); mirror.close(); assert 'wandb' not in sys.modules and mirror.sync_command is None"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
