"""Every command's help, errors and exit codes, as a person meets them."""

from __future__ import annotations

import errno
import json
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from repro.commands import COMMANDS, failures, main
from repro.errors import DivergedError, ExitCode, HarnessError
from repro.findings import Evidence, Gate

Install = Callable[..., list[dict[str, Any]]]
Captured = pytest.CaptureFixture[str]


def fine(composed: Any, **_: Any) -> ExitCode:
    return ExitCode.OK


#: The exit codes that a command can return where they are not all of them.
CODES = {
    **dict.fromkeys(("list", "status", "new", "session", "quiz", "watch"), (0, 2, 5)),
    "sweep": (0, 1, 2, 5, 130, 143),
    "debug": (0, 1, 2, 4, 5, 130, 143),
    "report": (0, 1, 2, 3, 4, 5),
}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_shows_examples_and_the_exit_codes_of_this_command(command: str, capsys: Captured) -> None:
    assert main([*command.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert "python -m repro" in out and "examples:" in out
    shown = [int(line.split()[0]) for line in out.partition("exit codes:\n")[2].splitlines() if line[2:3].isdigit()]
    assert tuple(shown) == CODES.get(command, tuple(ExitCode))


def test_help_before_a_command_is_the_help_of_that_command(capsys: Captured) -> None:
    assert main(["help", "sweep"]) == 0
    assert capsys.readouterr().out.startswith("usage: python -m repro sweep")
    assert main(["help", "sweeep"]) == 2
    assert "Near: sweep" in capsys.readouterr().err


def test_no_command_at_all(capsys: Captured) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().out


def test_unknown_command(capsys: Captured) -> None:
    assert main(["rnu"]) == 2
    err = capsys.readouterr().err
    assert "'rnu'" in err and "Near: run" in err and "exit code 2" in err


@pytest.mark.parametrize("words", [["run", "--jsno"], ["list", "x=1"], ["run", "--cfg", "all"], ["report", "x=1"]])
def test_wrong_flags(words: list[str], capsys: Captured) -> None:
    assert main(words) == 2
    err = capsys.readouterr().err
    assert words[-1] in err and "--help" in err and "Traceback" not in err


def test_run_hands_on_the_composed_config(folder: Path, runner: Install, capsys: Captured) -> None:
    calls = runner(fine)
    assert main(["run", "paper=tiny", "model.width=3"]) == 0
    assert calls[0]["composed"].config.model.width == 3
    assert (calls[0]["command"], calls[0]["only"]) == ("run", None)
    captured = capsys.readouterr()
    assert captured.out.startswith("A tiny paper · arXiv:0000.00001v1 · scale laptop · data dots · run ")
    assert captured.err == f"Added from {folder}: conf/paper/, conf/data/, conf/type/, reference_numbers/\n"


def test_check_leaves_out_what_trains_long(folder: Path, runner: Install) -> None:
    calls = runner(fine)
    assert main(["check", "paper=tiny"]) == 0
    assert calls[0]["only"] == ["analysis", "data", "model", "loss", "training", "evaluation"]


def test_cfg_job_prints_and_runs_nothing(folder: Path, runner: Install, capsys: Captured) -> None:
    import yaml

    calls = runner(fine)
    assert main(["run", "paper=tiny", "+secret={a: planted}", "--cfg", "job"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["model"] == {"_target_": "tiny.Model", "width": 8} and shown["secret"] == "***"
    assert not calls


def test_multirun_runs_every_combination_and_the_worst_code_wins(
    folder: Path, runner: Install, capsys: Captured
) -> None:
    def by_width(composed: Any, **_: Any) -> ExitCode:
        return {1: ExitCode.OK, 2: ExitCode.GATE_FAILED, 3: ExitCode.MISMATCH}[composed.config.model.width]

    calls = runner(by_width)
    assert main(["run", "--multirun", "paper=tiny", "model.width=1,2,3"]) == 1
    assert [call["composed"].config.model.width for call in calls] == [1, 2, 3]
    assert "[2 of 3] paper=tiny model.width=2" in capsys.readouterr().err


def test_multirun_goes_on_after_an_error(folder: Path, runner: Install, capsys: Captured) -> None:
    calls = runner(fine)
    assert main(["run", "-m", "paper=tiny,tinny"]) == 2
    assert len(calls) == 1 and "no paper 'tinny'" in capsys.readouterr().err


def test_json_is_one_object_a_line(folder: Path, runner: Install, capsys: Captured) -> None:
    def two_events(composed: Any, display: Any, **_: Any) -> ExitCode:
        display.phase_started("data")
        display.phase_finished(Evidence("data", Gate.PASSED, "9 checks", data={"loss": float("nan")}))
        return ExitCode.UNDECIDED

    runner(two_events)
    assert main(["run", "paper=tiny", "--json"]) == 4
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["note", "phase_started", "phase_finished", "time", "finished"]
    assert events[2]["data"] == {"loss": "nan"} and events[-1]["exit_code"] == 4


def test_sweep_composes_its_kind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    calls: list[tuple[Any, ...]] = []
    fake = ModuleType("repro.sweeps.command")
    fake.run_sweep = lambda composed, kind, display: calls.append((composed, kind)) or ExitCode.OK  # type: ignore
    monkeypatch.setitem(sys.modules, "repro.sweeps.command", fake)
    assert main(["sweep", "ablation", "paper=tiny", "sweep.seeds=5"]) == 0
    composed, kind = calls[0]
    assert kind == "ablation" and composed.config.sweep.name == "ablation" and composed.config.sweep.seeds == 5


@pytest.mark.parametrize(("words", "said"), [([], "ablation, learning_rate"), (["ablatoin"], "Near: ablation")])
def test_sweep_of_what(words: list[str], said: str, capsys: Captured) -> None:
    assert main(["sweep", *words, "paper=tiny"]) == 2
    assert said in capsys.readouterr().err


# --- endings that are not good


def raising(error: BaseException) -> Callable[..., ExitCode]:
    def behaviour(composed: Any, **_: Any) -> ExitCode:
        raise error

    return behaviour


def test_an_error_of_ours_is_a_message_and_its_code(folder: Path, runner: Install, capsys: Captured) -> None:
    runner(raising(DivergedError("The loss is NaN at update 7.", "Look at the learning rate.")))
    assert main(["run", "paper=tiny"]) == 1
    assert capsys.readouterr().err.endswith("The loss is NaN at update 7.\nLook at the learning rate.\nexit code 1\n")


def test_code_that_leaves_the_process_is_no_success(folder: Path, runner: Install, capsys: Captured) -> None:
    runner(raising(SystemExit(0)))
    assert main(["run", "paper=tiny"]) == 1
    err = capsys.readouterr().err
    assert "test_main.py:" in err and "ended the process with sys.exit(0)" in err


def test_ctrl_c_before_anything_was_imported(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def interrupted(name: str) -> Any:
        raise KeyboardInterrupt

    fake = ModuleType("repro.commands")
    fake.__getattr__ = interrupted  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "repro.commands", fake)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("repro", run_name="__main__")
    assert ended.value.code == 130 and capsys.readouterr().err == "Interrupted.\nexit code 130\n"


def test_ctrl_c_says_how_to_go_on(folder: Path, runner: Install, capsys: Captured) -> None:
    runner(raising(KeyboardInterrupt()))
    assert main(["run", "paper=tiny", "phases=[data,model]"]) == 130
    assert "python -m repro run paper=tiny 'phases=[data,model]'" in capsys.readouterr().err


def test_sigterm_is_143_and_the_handler_before_comes_back(folder: Path, runner: Install, capsys: Captured) -> None:
    def killed(composed: Any, **_: Any) -> ExitCode:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("not reached")

    before = signal.getsignal(signal.SIGTERM)
    runner(killed)
    assert main(["run", "paper=tiny"]) == 143
    assert "to go on: python -m repro run paper=tiny" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_orderly_stop_of_training_stops_all_runs(folder: Path, runner: Install, capsys: Captured) -> None:
    from repro.training.interruption import Interrupted

    calls = runner(raising(Interrupted("Stopped after update 40.", exit_code=ExitCode.TERMINATED)))
    assert main(["run", "-m", "paper=tiny", "model.width=1,2"]) == 143
    err = capsys.readouterr().err
    assert len(calls) == 1 and "Stopped after update 40." in err and "to go on" in err


def test_the_harness_fails_and_keeps_the_traceback(folder: Path, runner: Install, capsys: Captured) -> None:
    def broken(composed: Any, **_: Any) -> ExitCode:
        place = failures._run_folder
        assert place is not None
        place.mkdir(parents=True)
        raise ZeroDivisionError("planted-secret")

    runner(broken)
    assert main(["run", "paper=tiny", "+secret={a: planted-secret}"]) == 5
    err = capsys.readouterr().err
    assert "harness itself failed" in err and "ZeroDivisionError: ***" in err and "Traceback (most" not in err
    (kept,) = folder.glob("runs/tiny/*/failure-*.txt")
    assert "in broken" in kept.read_text() and "planted-secret" not in kept.read_text()


def test_the_harness_fails_before_there_is_a_run_folder(
    folder: Path, runner: Install, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    runner(raising(RuntimeError("early")))
    assert main(["run", "paper=tiny"]) == 5
    (kept,) = tmp_path.glob("repro-failure-*.txt")
    assert str(kept) in capsys.readouterr().err


def test_a_harness_error_of_ours(folder: Path, runner: Install) -> None:
    runner(raising(HarnessError("lost")))
    assert main(["run", "paper=tiny"]) == 5


def test_a_full_disk(folder: Path, runner: Install, capsys: Captured) -> None:
    runner(raising(OSError(errno.ENOSPC, "No space left on device", "/x/y.json")))
    assert main(["run", "paper=tiny"]) == 2
    err = capsys.readouterr().err
    assert "disk is full while writing /x/y.json" in err and "runs_folder" in err


@pytest.mark.parametrize(
    "overrides",
    [
        ["tracking.api_key=planted-1"],
        ["+tracking.api_key=planted-1", "nothing=2"],
        ["+db=postgresql://u:planted-1@h/d"],
        ["+secret.a=planted-1"],
        ["+secret.a=planted-1", "--cfg", "job"],
        ["+x=${oc.env:TINY_PLANTED}", "--cfg", "job"],
        ["+x=${oc.env:TINY_PLANTED}", "runs_folder=${oc.env:TINY_PLANTED}"],
        ["-m", "+secret.a=planted-1,planted-2"],
        ["--json", "+secret.a=planted-1"],
    ],
)
def test_no_output_holds_a_secret(
    overrides: list[str], folder: Path, runner: Install, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINY_PLANTED", "planted-1")

    def talkative(composed: Any, display: Any, **_: Any) -> ExitCode:
        display.note(f"overrides {composed.overrides}, config {composed.config}")
        raise KeyboardInterrupt

    runner(talkative)
    main(["run", "paper=tiny", *overrides])
    captured = capsys.readouterr()
    assert "planted" not in captured.out + captured.err
