from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from repro.commands import main

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_nothing_is_overwritten(capsys: Captured) -> None:
    Path("own_new").mkdir()
    Path("own_new/model.py").write_text("mine")
    assert main(["new", "own_new", "--yes"]) == 2
    err = capsys.readouterr().err
    assert "1 file is already there, and nothing is overwritten:\n  own_new/model.py" in err
    assert Path("own_new/model.py").read_text() == "mine" and not Path("conf").exists()


def test_a_second_time_lists_every_file(capsys: Captured) -> None:
    assert main(["new", "own_new", "--yes"]) == 0
    assert "Next: python -m repro run paper=own_new" in capsys.readouterr().out
    assert main(["new", "own_new", "--yes"]) == 2
    assert "10 files are already there" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, said",
    [
        (["My-Paper"], "need one that a Python package can have"),
        (["class"], "need one that a Python package can have"),
        (["transformer"], "There is a paper 'transformer' already"),
        (["json"], "'json' is taken by"),
        (["torch"], "'torch' is taken by"),
        (["runs"], "'runs' is taken by"),
        (["mine", "--type", "visoin"], "Near: vision"),
        (["mine", "--tricky", "part=x"], "missing hidden_in, guard"),
    ],
)
def test_what_cannot_be_made(words: list[str], said: str, capsys: Captured) -> None:
    assert main(["new", *words, "--yes"]) == 2
    assert said in capsys.readouterr().err and not list(Path().iterdir())


def test_a_terminal_is_asked_for_the_type_first(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    lines = iter(["visoin", "vision"])

    def typed(prompt: str) -> str:
        return next(lines, "")

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", typed)
    assert main(["new", "own_new"]) == 0
    assert "There is no type of paper 'visoin'. Near: vision." in capsys.readouterr().out
    assert "override /type: vision" in Path("conf/paper/own_new.yaml").read_text()


def test_ctrl_d_keeps_what_was_answered_and_leaves_the_rest(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    lines = iter(["vision", "A Small Paper", "", "it learns", "no colours"])

    def typed(prompt: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", typed)
    assert main(["new", "own_new"]) == 0
    assert "10 files" in capsys.readouterr().out
    config = Path("conf/paper/own_new.yaml").read_text()
    assert "A Small Paper" in config and "it learns" in config and "no colours" in config


def test_what_stands_beside_the_next_commands_is_a_comment_to_the_shell(capsys: Captured) -> None:
    assert main(["new", "own_new", "--yes"]) == 0
    lines = [line.removeprefix("Next:").strip() for line in capsys.readouterr().out.splitlines()[-2:]]
    words = [shlex.split(line, comments=True) for line in lines]
    assert words == [["python", "-m", "repro", command, "paper=own_new"] for command in ("run", "session")]
