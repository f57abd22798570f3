"""`list`, `status` and `report`: what they read, and that they compute nothing."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from repro.commands import main
from repro.commands.list import papers
from repro.findings import Evidence, Finding, Gate, Outcome
from repro.phases import ORDER
from repro.tracking.run_folder import RunFolder

Captured = pytest.CaptureFixture[str]
PASSED = {phase: Evidence(phase, Gate.PASSED, "fine", questions={"answered": 1, "total": 5}) for phase in ORDER}


def a_run(runs: Path, paper: str = "mine", run: str = "aaaaaaaaaaaa") -> RunFolder:
    return RunFolder.create(runs, paper, run, {"title": "Mine", "scale": "laptop", "data": "dots"}, "model: {}\n")


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_list(folder: Path, capsys: Captured) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert "A tiny paper" in out and "arXiv:0000.00001v1 · own · data dots · 2 reference numbers" in out
    assert "transformer" in out


def test_list_json(folder: Path, capsys: Captured) -> None:
    assert main(["list", "--json"]) == 0
    tiny = next(one for one in json.loads(capsys.readouterr().out)["papers"] if one["name"] == "tiny")
    assert tiny["data"] == ["dots"] and tiny["reference_numbers"] == 2


def test_list_names_the_line_of_broken_yaml(folder: Path, capsys: Captured) -> None:
    (folder / "conf/paper/broken.yaml").write_text("paper:\n  name: x\n   title: y\n")
    assert main(["list"]) == 2
    assert "conf/paper/broken.yaml line 3" in capsys.readouterr().err


def test_every_shipped_paper_is_complete() -> None:
    for paper in papers():
        assert paper["title"] and paper["data"] and paper["reference_numbers"], paper


def test_status_without_a_run(folder: Path, capsys: Captured) -> None:
    assert main(["status"]) == 0
    assert "No run yet" in capsys.readouterr().out


def test_status_of_a_paper_without_a_run(folder: Path, capsys: Captured) -> None:
    a_run(folder / "runs")
    assert main(["status", "paper=tiny"]) == 0
    assert "No run of tiny yet" in capsys.readouterr().out
    assert main(["status", "paper=tinny"]) == 2
    err = capsys.readouterr().err
    assert "There is no paper 'tinny'" in err and "Near: tiny" in err


def test_status_shows_a_phase_that_ran_alone(folder: Path, capsys: Captured) -> None:
    a_run(folder / "runs").write_evidence(PASSED["model"])
    main(["status"])
    assert capsys.readouterr().out.startswith("mine  analysis to do  model ✓  …")


def test_status_goes_on_below_its_own_beginning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from repro.commands.status import as_text
    from repro.tracking.run_folder import list_runs

    run = a_run(folder / "runs")
    for phase in ORDER[:-1]:
        run.write_evidence(PASSED[phase])
    lines = as_text(list_runs("runs"), width=40).splitlines()
    assert lines[0].startswith("mine  analysis ✓") and len(lines[0]) <= 40
    assert all(line.startswith("      ") for line in lines[1:])


def test_status_of_a_paper_lists_its_older_runs_with_what_chose_them(folder: Path, capsys: Captured) -> None:
    small = {"title": "Mine", "scale": "smoke", "overrides": ["paper=mine", "scale=smoke", "phases=[data]"]}
    old = RunFolder.create(folder / "runs", "mine", "bbbbbbbbbbbb", small, "model: {}\n")
    old.write_evidence(PASSED["analysis"])
    os.utime(old.root / "run.json", (1, 1))
    a_run(folder / "runs")
    main(["status", "paper=mine"])
    out = capsys.readouterr().out
    assert "older: analysis ✓  data to do  …   questions 1/5   run bbbbbbbbbbbb (scale=smoke) " in out


def test_list_of_a_paper_that_has_only_just_begun(folder: Path, capsys: Captured) -> None:
    (folder / "conf/paper/fresh.yaml").write_text("paper: {name: fresh, title: null}\n")
    assert main(["list"]) == 0
    assert "fresh        no title yet" in capsys.readouterr().out


def test_status_of_a_gate_that_failed(folder: Path, capsys: Captured) -> None:
    run = a_run(folder / "runs")
    run.write_evidence(PASSED["analysis"])
    run.write_evidence(PASSED["data"])
    finding = Finding("causal", "decoder", Outcome.FAILED, "leaks")
    run.write_evidence(Evidence("model", Gate.FAILED, "", findings=(finding,)))
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "mine  analysis ✓  data ✓  model ✗ causal  loss to do  …   questions 2/10   run aaaaaaaaaaaa just now"
    )


def test_status_of_a_whole_run(folder: Path, capsys: Captured) -> None:
    run = a_run(folder / "runs")
    for evidence in PASSED.values():
        run.write_evidence(evidence)
    run.write_verdict({"sentence": "None of 27 printed results tested.", "exit_code": 0, "rows": []})
    run.report().write_text("<html>")
    code = run.use_code("ffffffffffff", {})
    write(code / "processes/seed-1/process.json", {"process": "seed-1", "status": "failed", "error": "x\nOSError: y"})
    write(
        code / "studies/learning_rate.json",
        {
            "direction": "minimize",
            "trials": [
                {"state": "complete", "value": 2.0, "params": {"learning_rate": 1e-3}},
                {"state": "complete", "value": 1.0, "params": {"learning_rate": 6.1e-4}},
                {"state": "pruned", "value": None},
            ],
        },
    )
    assert main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "all gates ✓   None of 27 printed results tested   questions 8/40" in lines[0]
    assert lines[1].strip() == "seed-1 failed: OSError: y"
    assert lines[2].strip() == "sweep learning_rate: 3 trials: 2 complete, 1 pruned   best learning_rate 0.00061"
    assert lines[3].strip() == "runs/mine/aaaaaaaaaaaa/report.html"


def test_status_says_what_runs_now(folder: Path, capsys: Captured) -> None:
    run = a_run(folder / "runs")
    process = {"process": "seed-1", "status": "running", "update": 1210, "updates": 2000}
    write(run.use_code("ffffffffffff", {}) / "processes/seed-1/process.json", process)
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "command": "repro run", "since": "now"}
    write(run.root / "owner.json", owner)
    main(["status"])
    assert f"running: seed-1 at update 1,210 of 2,000 (process {os.getpid()})" in capsys.readouterr().out
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write(run.root / "owner.json", {**owner, "pid": gone.pid})
    main(["status"])
    assert "seed-1 stopped at update 1,210; the same run command resumes it" in capsys.readouterr().out


def test_status_counts_older_runs_and_takes_json(folder: Path, capsys: Captured) -> None:
    old = a_run(folder / "elsewhere", run="bbbbbbbbbbbb")
    os.utime(old.root / "run.json", (1, 1))
    a_run(folder / "elsewhere")
    main(["status", "runs_folder=elsewhere"])
    out = capsys.readouterr().out
    assert "run aaaaaaaaaaaa" in out and "1 older" in out
    assert main(["status", "runs_folder=elsewhere", "--json"]) == 0
    assert [run["run"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]


def test_report_is_rebuilt_and_keeps_the_code(folder: Path, capsys: Captured) -> None:
    run = a_run(folder / "runs")
    run.write_evidence(PASSED["analysis"])
    assert main(["report"]) == 4  # nothing decided yet
    assert "runs/mine/aaaaaaaaaaaa/report.html" in capsys.readouterr().out and run.report().is_file()
    run.write_evidence(Evidence("data", Gate.FAILED, "broken"))
    assert main(["report", "paper=mine"]) == 1
    run.write_verdict({"sentence": "1 of 1.", "exit_code": 3, "rows": []})
    assert main(["report", "run=aaaa"]) == 3
    capsys.readouterr()
    assert main(["report", f"run={run.root}", "--json"]) == 3
    json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("words", [[], ["run=zzz"], ["paper=nothing"]])
def test_report_of_nothing(folder: Path, words: list[str], capsys: Captured) -> None:
    assert main(["report", *words]) == 2
    assert "Known: none yet" in capsys.readouterr().err


def test_a_run_that_cannot_be_written_is_read_all_the_same(folder: Path, capsys: Captured) -> None:
    run = a_run(folder / "runs")
    run.write_evidence(PASSED["analysis"])
    (run.root / "report.html").mkdir()  # stands for a colleague's folder: nothing can be written there
    assert main(["report", "paper=mine"]) == 4
    captured = capsys.readouterr()
    assert (
        "No verdict yet" in captured.out
        and "Not rebuilt: Cannot write runs/mine/aaaaaaaaaaaa/report.html" in captured.err
    )
    assert main(["report", "paper=mine", "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["header"]["run"] == run.run_id


def test_a_damaged_file_hides_no_other_paper(folder: Path, capsys: Captured) -> None:
    (a_run(folder / "runs", "broken").root / "verdict.json").write_text("{")
    a_run(folder / "runs")
    assert main(["status"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "broken  runs/broken/aaaaaaaaaaaa/verdict.json line 1 is not JSON: " + out[0].rpartition(": ")[2]
    assert any(line.startswith("mine    analysis to do") for line in out)
    assert main(["status", "--json"]) == 0
    told = {run["paper"]: run for run in json.loads(capsys.readouterr().out)["runs"]}
    assert "is not JSON" in told["broken"]["fault"] and told["mine"]["gates"] == {}
    assert main(["report", "paper=broken"]) == 2
    assert capsys.readouterr().err.count("is not JSON") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [(["run=a", "runs=[b]"], "run, runs"), (["runs=[b]", "against=a"], "runs, against")],
)
def test_what_report_cannot_do_at_once(words: list[str], said: str, folder: Path, capsys: Captured) -> None:
    assert main(["report", *words]) == 2
    assert f"report: {said} cannot be given together" in capsys.readouterr().err


def test_report_of_a_paper_without_a_run_says_how_to_start_one(folder: Path, capsys: Captured) -> None:
    a_run(folder / "runs", run="badbadbadbad")
    assert main(["report", "paper=bad"]) == 2  # a paper is named, not the beginning of a run's id
    err = capsys.readouterr().err
    assert "There is no run of bad in" in err and "Known: mine" in err and "run paper=bad" in err


@pytest.mark.parametrize(
    "words", [["--help"], ["run", "--help"], ["list"], ["status"], ["report"], ["run", "paper=nix"]]
)
def test_what_computes_nothing_imports_no_torch_and_is_quick(folder: Path, words: list[str]) -> None:
    a_run(folder / "runs")
    lazy = ["torch", "lightning", "pandas", "optuna", "wandb"]
    if words[0] in ("list", "status") or "--help" in words:
        lazy += ["hydra", "rich", "numpy", "scipy"]
    code = (
        "import sys\nfrom repro.commands import main\nmain(sys.argv[1:])\n"
        f"sys.stderr.write('heavy ' + str(sorted(set({lazy}) & set(sys.modules))))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stderr.endswith("heavy []"), done.stderr
    # processor time, which neighbours on the machine hardly change; on an idle one it is what a person waits
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert took < (0.5 if "hydra" in lazy else 3.0)


def test_head_gets_no_complaint(folder: Path) -> None:
    script = f"{sys.executable} -m repro list | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=folder)
    assert done.stdout.strip() == "0" and "Broken" not in done.stderr and "Traceback" not in done.stderr
