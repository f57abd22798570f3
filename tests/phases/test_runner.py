"""Phases as gates, on a small paper of a person's own: what is reused, what is redone, what stops, how it ends."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.commands import main
from repro.configuration import compose
from repro.configuration.identity import run_id
from repro.phases.fingerprints import module_file, phase_fingerprint, source_fingerprint
from repro.tracking.run_folder import RunFolder

RUN = ["paper=waves", "scale=smoke", "runs_folder=runs", "tracking.wandb=disabled"]
PAPER = Path(__file__).parents[1] / "own_papers" / "regression"
FORWARD = "return self.output(torch.tanh(self.hidden(x)))"
GATES = "phases=[analysis,data,model,loss]"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    shutil.copytree(PAPER, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """A command is one process each time; in one process the person's modules must be read anew."""
    module_file.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "waves"]:
        del sys.modules[name]


def written(folder: Path) -> dict[str, int]:
    """When the evidence of each phase was written, by phase."""
    return {path.stem: path.stat().st_mtime_ns for path in folder.glob("runs/waves/*/evidence/*.json")}


def edit(folder: Path, file: str, before: str, after: str) -> None:
    path = folder / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    forget()


def test_a_second_run_reuses_and_an_edit_redoes_what_follows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", GATES, *RUN])
    first = written(folder)

    forget()
    main(["run", GATES, *RUN])
    assert written(folder) == first, "a phase was redone although nothing changed"

    edit(folder, "waves/model.py", FORWARD, f"{FORWARD}  # the same, said differently")
    main(["run", GATES, *RUN])
    redone = {phase for phase, time in written(folder).items() if time != first[phase]}
    assert redone == {"model", "loss"}
    capsys.readouterr()


def test_a_failed_gate_stops_names_the_line_and_ends_with_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(folder, "waves/model.py", FORWARD, f"{FORWARD}[:, :0]")
    code = main(["run", GATES, *RUN])
    out = capsys.readouterr().out
    assert code == 1
    assert "Stopped at model" in out
    assert "waves/model.py" in out
    assert not list(folder.glob("runs/waves/*/evidence/loss.json"))
    assert list(folder.glob("runs/waves/*/report.html")), "a stopped run has a report too"


def test_keep_going_runs_on_and_still_ends_with_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(folder, "waves/model.py", FORWARD, f"{FORWARD}.detach()")
    code = main(["run", GATES, "keep_going=true", *RUN])
    assert code == 1
    assert "keep_going" in capsys.readouterr().out
    assert list(folder.glob("runs/waves/*/evidence/loss.json"))


def test_an_import_error_shows_the_persons_own_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(
        folder,
        "waves/model.py",
        "from torch import Tensor, nn",
        "from torch import Tensor, nn\nimport nothing_of_this_name",
    )
    code = main(["run", GATES, *RUN])
    out = capsys.readouterr().out
    assert code == 1
    assert "waves/model.py:7" in out and "nothing_of_this_name" in out
    assert "Traceback" not in out and "components.py" not in out
    assert "Likely" not in out, "what cannot be imported has none of the bugs of the check that met it"


def test_a_paper_that_leaves_the_process_passes_no_gate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(folder, "waves/loss.py", "    return {", "    raise SystemExit(0)\n    return {")
    assert main(["run", "phases=[loss]", *RUN]) == 1
    out = capsys.readouterr().out
    assert "waves/loss.py" in out and "SystemExit: 0" in out


def test_a_forward_without_a_return_is_said_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(folder, "waves/model.py", FORWARD, FORWARD.removeprefix("return "))
    assert main(["run", "phases=[model]", *RUN]) == 1
    out = capsys.readouterr().out
    assert out.count("model.forward returned None") == 1 and "Is its `return` missing?" in out


def test_stdout_holds_json_alone_whatever_the_paper_prints(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(folder, "waves/model.py", FORWARD, f"print('hello'); {FORWARD}")
    main(["run", "phases=[model]", "--json", *RUN])
    captured = capsys.readouterr()
    assert [json.loads(line) for line in captured.out.splitlines()] and "hello" in captured.err


def test_results_of_the_code_before_an_edit_are_called_that(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (made,) = [folder / "runs/waves" / run_id(compose(RUN).config)]
    run = RunFolder(made)
    with run.process("seed-0", "0123456789ab") as store:
        store.begin({"process": "seed-0", "kind": "reproduction", "seed": 0, "name": "", "updates": 1})
        store.end("finished", update=1)
    run.use_code("0123456789ab", {})
    forget()
    main(["run", "phases=[analysis]", *RUN])
    command = "python -m repro run paper=waves scale=smoke"
    assert f"These results are of the code before its last edit: {command}" in capsys.readouterr().out


def test_data_that_cannot_be_built_is_said_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(folder, "waves/data.py", "self.batch_size = batch_size\n", "raise ValueError('no such waves')\n")
    code = main(["run", "phases=[data]", *RUN])
    out = capsys.readouterr().out
    assert code == 1
    assert "data does not run" in out and out.count("ValueError: no such waves") == 1
    assert "Likely" not in out, "no bug of a check is likely where none of them ran"
    (written_evidence,) = folder.glob("runs/waves/*/evidence/data.json")
    (finding,) = json.loads(written_evidence.read_text())["findings"]
    assert (finding["component"], finding["outcome"]) == ("data", "error")
    assert "waves/data.py" in finding["location"]


def test_a_missing_component_is_to_do_and_ends_with_4(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "conf/paper/waves.yaml"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("loss:")))
    code = main(["run", GATES, *RUN])
    assert code == 4
    assert "to do" in capsys.readouterr().out


def test_two_runs_on_one_folder_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from repro.tracking.run_folder import RunFolder

    main(["run", "phases=analysis", *RUN])
    (root,) = folder.glob("runs/waves/*")
    with RunFolder(root).lock():
        code = main(["run", "phases=analysis", *RUN])
    assert code == 2
    assert "is in use by process" in capsys.readouterr().err


def test_an_unwritable_run_folder_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "taken").write_text("a file where the folder should be")
    code = main(["run", "phases=analysis", *[word for word in RUN if "runs_folder" not in word], "runs_folder=taken"])
    assert code == 2
    assert "taken" in capsys.readouterr().err


def test_secrets_appear_in_no_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "hunter2-of-the-test"
    main(
        [
            "run",
            "phases=analysis",
            *RUN,
            f"+storage.url=postgresql://me:{secret}@127.0.0.1/x",
            f"+secret.token={secret}",
        ]
    )
    captured = capsys.readouterr()
    assert secret not in captured.out + captured.err
    for path in folder.glob("runs/**/*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_an_unknown_phase_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "phases=[modle]", *RUN]) == 2
    err = capsys.readouterr().err
    assert "modle" in err and "model" in err


def test_fingerprints_follow_imports_below_the_papers_folder(folder: Path) -> None:
    from repro.configuration import compose
    from repro.contract.paper import Paper

    (folder / "waves/parts.py").write_text("WIDTH = 1\n")
    edit(
        folder,
        "waves/model.py",
        "from torch import Tensor, nn",
        "from torch import Tensor, nn\n\nfrom waves.parts import WIDTH",
    )
    paper = Paper.from_config(compose(RUN).config)
    before = {phase: phase_fingerprint(phase, paper) for phase in ("data", "model", "loss")}, source_fingerprint(paper)
    (folder / "waves/parts.py").write_text("WIDTH = 2\n")
    after = {phase: phase_fingerprint(phase, paper) for phase in ("data", "model", "loss")}, source_fingerprint(paper)
    assert before[0]["data"] == after[0]["data"]
    assert before[0]["model"] != after[0]["model"] and before[0]["loss"] != after[0]["loss"]
    assert before[1] != after[1]


@pytest.mark.slow
def test_the_time_of_the_pass_that_trained_is_kept(folder: Path) -> None:
    def spent() -> float:
        (path,) = folder.glob("runs/waves/*/evidence/reproduction.json")
        return float(json.loads(path.read_text())["seconds"])

    only = ["run", *RUN, "phases=[reproduction]"]
    main([*only, "reproduction.seeds=2", "reproduction.max_seeds=2"])
    first = spent()
    forget()
    main([*only, "reproduction.seeds=2", "reproduction.max_seeds=2"])
    assert spent() == first, "a pass that only read the seeds hides what they took"
    forget()
    main([*only, "reproduction.seeds=3", "reproduction.max_seeds=3"])
    assert spent() > first


@pytest.mark.slow
def test_a_broken_training_leaves_the_recorded_course_and_is_told_while_it_trains(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a person would: accept a run, record its curve, break the code, run again."""
    from repro.commands.report import main as report

    only = ["run", *RUN, "phases=[reproduction]", "reproduction.evaluate_every=100", "reproduction.solved=null"]
    only += ["reproduction.seeds=6", "reproduction.max_seeds=6"]
    main(only)
    capsys.readouterr()
    assert report(["paper=waves", "record=validation.rmse"]) == 0, capsys.readouterr().err
    assert "Recorded curve_validation_rmse: 3 points" in capsys.readouterr().out
    forget()
    main([*only, "reproduction.first_seed=6"])  # other seeds, the same course
    out = capsys.readouterr().out
    assert "off course" not in out and "1 recorded curve: 1 is followed." in out
    edit(folder, "waves/training.py", "lr=learning_rate", "lr=learning_rate / 300")
    main(only)
    out = capsys.readouterr().out
    assert "off course at step 100: rmse on validation" in out and "1 recorded curve: 1 is left." in out
    assert out.index("off course at step 100") < out.index("reproduction  6 seeds"), "told only at the end"


def test_a_single_check_runs_in_its_own_phase_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "check.only=initialisation", *RUN]) == 0
    out = capsys.readouterr().out
    assert " ✓ model " in out and " ✓ data " not in out and " ✓ loss " not in out
    assert main(["check", "check.only=gae_oracle_agrees", *RUN]) == 2
    assert "gates no phase of waves" in capsys.readouterr().err
