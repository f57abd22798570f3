"""`python -m repro <command> [overrides]`: one file a command, imported when it is asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from types import ModuleType

from repro import __version__
from repro.commands.failures import guarded
from repro.commands.help import exit_codes
from repro.commands.words import printable
from repro.errors import ConfigError, ExitCode

#: Every command with the line that `--help` shows; the file of that name is the command.
COMMANDS = {
    "run": "run every phase of a paper, up to the verdict and the report",
    "check": "run the phases that need no long training: analysis to evaluation",
    "debug": "find the part that breaks an implementation which cannot memorise one batch",
    "sweep": "vary the learning rate, or leave out one declared part at a time",
    "list": "list the papers, their data sets and what they report",
    "status": "show how far each paper has come, and what runs now",
    "new": "write the files of a paper of your own, each saying what to write in it",
    "session": "the page of a step: its goal, your code, questions, likely bugs, what comes next",
    "quiz": "ask the checkpoint questions, and keep what you answered",
    "watch": "check the step that you write again at every save, with hints when you ask",
    "report": "rebuild the report of a run and print its verdicts",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Nothing but the code and the printed text comes back."""
    words = [*(sys.argv[1:] if argv is None else argv)]
    return int(guarded(lambda: dispatch(words), words))


def dispatch(words: Sequence[str]) -> ExitCode:
    """Import the module of the command that `words` begin with, and run it."""
    if words[:1] == ["help"] and len(words) > 1:
        words = [words[1], "--help"]
    if not words or words[0] in ("-h", "--help", "help"):
        print(printable(overview()))
        return ExitCode.OK if words else ExitCode.USAGE
    if words[0] == "--version":
        print(f"repro {__version__}")
        return ExitCode.OK
    if words[0] not in COMMANDS:
        near = get_close_matches(words[0], COMMANDS, n=2, cutoff=0.5)
        raise ConfigError(
            f"There is no command {words[0]!r}.",
            (f"Near: {', '.join(near)}. " if near else "") + f"Known: {', '.join(COMMANDS)} (python -m repro --help).",
        )
    # not `list(…)`: once imported, the command `list` is an attribute of this package and hides the builtin
    return load(words[0]).main([*words[1:]])


def load(name: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f"repro.commands.{name}")


def overview() -> str:
    """What `python -m repro --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [
        "repro reproduces a machine-learning paper step by step, and says truthfully whether its numbers hold.",
        "",
        "usage: python -m repro <command> [key=value …] [--help]",
        "",
        *(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()),
        "",
        "examples:",
        "  python -m repro run paper=transformer                  all phases, in minutes on a laptop",
        "  python -m repro check paper=transformer data=multi30k  the quick phases, on real sentences",
        "  python -m repro run paper=transformer --cfg job        print the whole configuration and stop",
        "  python -m repro run --help                             flags and overrides of one command",
        "",
        exit_codes(),
    ]
    return "\n".join(lines)
