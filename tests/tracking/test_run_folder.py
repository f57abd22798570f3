"""One user at a time, results of other code kept apart, and runs found by what a person would type."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from repro.errors import RunFolderError
from repro.findings import Evidence, Finding, Gate, Outcome
from repro.tracking.run_folder import RunFolder, command_line, find_run, list_runs


def make(tmp_path, paper="transformer", run="3f9a1c00aa11"):
    return RunFolder.create(tmp_path / "runs", paper, run, {"title": "A title", "scale": "laptop"}, "paper: {}\n")


def test_creating_again_keeps_the_day_of_creation(tmp_path):
    first = make(tmp_path).description
    again = RunFolder.create(tmp_path / "runs", "transformer", "3f9a1c00aa11", {"scale": "smoke"}, "").description
    assert again["created"] == first["created"]
    assert (first["format"], first["run"], first["paper"], again["scale"]) == (
        1,
        "3f9a1c00aa11",
        "transformer",
        "smoke",
    )


def test_an_unwritable_runs_folder_is_said_clearly(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunFolderError, match="runs_folder"):
        make(tmp_path)


def test_a_second_process_is_told_who_holds_the_folder(tmp_path):
    folder = make(tmp_path)
    attempt = (
        "import sys; from repro.tracking.run_folder import RunFolder\n"
        f"with RunFolder({str(folder.root)!r}).lock(): pass"
    )
    with folder.lock():
        done = subprocess.run([sys.executable, "-c", attempt], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "RunFolderError" in done.stderr and f"process {os.getpid()} on" in done.stderr
    assert command_line() in done.stderr
    with folder.lock():  # freed by the first
        pass


def test_evidence_comes_back_and_its_history_grows(tmp_path):
    folder = make(tmp_path)
    failed = Finding("causal", "decoder", Outcome.FAILED, "leaks", likely=("mask off by one",))
    folder.write_evidence(Evidence("model", Gate.FAILED, "13 of 14 checks", (failed,), fingerprint="f1"))
    folder.write_evidence(Evidence("model", Gate.PASSED, "14 checks", (), fingerprint="f2"))
    newest = folder.read_evidence("model")
    assert newest is not None and newest.outcome is Gate.PASSED and newest.created
    assert [(line["outcome"], line["failed"]) for line in folder.evidence_history] == [
        ("failed", ["causal"]),
        ("passed", []),
    ]
    assert list(folder.evidence) == ["model"] and folder.read_evidence("loss") is None


def test_the_newest_code_is_the_one_used_last_even_when_an_edit_is_undone(tmp_path):
    folder = make(tmp_path)
    with pytest.raises(RunFolderError, match="trained nothing yet"):
        folder.code()
    assert folder.processes() == [] and folder.studies() == {}
    for fingerprint in ("aaa", "bbb", "aaa", "aaa"):
        folder.use_code(fingerprint, {"python": "3.11"})
    assert folder.newest_code == "aaa"
    folder.process("seed-0").begin({"process": "seed-0", "kind": "reproduction"})
    assert [store.folder.name for store in folder.processes(kind="reproduction")] == ["seed-0"]
    assert folder.processes("bbb") == []


def test_the_settings_are_those_that_the_run_resolved(tmp_path):
    folder = make(tmp_path)
    assert folder.settings == {"paper": {}}
    (folder.root / "config.yaml").write_text("paper: [", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"(?s)config\.yaml is not YAML: .*line 2") as caught:
        folder.settings  # noqa: B018
    assert "writes it anew" in caught.value.hint
    (folder.root / "config.yaml").unlink()
    assert folder.settings == {}


def test_a_table_is_registered_once(tmp_path):
    folder = make(tmp_path)
    first = folder.register_table({"hash": "one"})
    assert folder.register_table({"hash": "two"}) == first and first["hash"] == "one"


def test_runs_are_found_by_path_prefix_and_paper(tmp_path):
    one, two = make(tmp_path, run="3f9a1c00aa11"), make(tmp_path, run="3fbb00000000")
    os.utime(one.root / "run.json", (1, 1))
    runs = tmp_path / "runs"
    assert find_run(one.root).root == one.root
    assert find_run("3f9", runs).root == one.root
    assert find_run("transformer", runs).root == two.root  # the latest
    assert [folder.run_id for folder in list_runs(runs)] == [two.run_id, one.run_id]
    with pytest.raises(RunFolderError, match=r"Several runs begin with '3f'.*3f9a1c00aa11"):
        find_run("3f", runs)
    with pytest.raises(RunFolderError, match=r"There is no run 'zzz'.*transformer/3f"):
        find_run("zzz", runs)
    with pytest.raises(RunFolderError, match="none yet"):
        find_run("zzz", tmp_path / "nowhere")


def test_the_recorded_command_holds_no_secret(monkeypatch):
    monkeypatch.setattr(
        sys,
        "argv",
        ["/x/repro/__main__.py", "run", "paper=t", "secret.key=hunter2", "sweep.storage=postgresql://u:p@h"],
    )
    assert command_line() == "python -m repro run paper=t secret.key=*** sweep.storage=***"
