"""Flags, overrides and `--help` of every command."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import NoReturn

from repro.commands.words import printable
from repro.errors import ConfigError, ExitCode

#: What each exit code of `run` means.
MEANING = {
    ExitCode.OK: "no row mismatches, and at least one is decided",
    ExitCode.GATE_FAILED: "a gate failed, or training diverged",
    ExitCode.USAGE: "wrong usage, configuration, reference table or data folder",
    ExitCode.MISMATCH: "a row mismatches (better than printed counts too)",
    ExitCode.UNDECIDED: "nothing decided, or a step is still to do",
    ExitCode.HARNESS: "the harness itself failed",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C; the same command resumes",
    ExitCode.TERMINATED: "terminated; the same command resumes",
}


#: The codes of a command that reads files and prints: it judges no row, and there is nothing to resume.
READER = {code: MEANING[code] for code in (ExitCode.USAGE, ExitCode.HARNESS)}
#: Those of a command that trains or checks, whatever else it may return.
WORKER = {**READER, **{code: MEANING[code] for code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED)}}


def exit_codes(meaning: Mapping[ExitCode, str] = MEANING) -> str:
    """The table of the exit codes that a command can return."""
    lines = ["exit codes:", *(f"  {code.value:<3}  {meaning[code]}" for code in ExitCode if code in meaning)]
    if ExitCode.INTERRUPTED in meaning:
        lines.append("  Several runs in one command: the worst of 130, 143, 5, 2, 1, 3, 4, 0.")
    return "\n".join(lines)


class Parser(argparse.ArgumentParser):
    """argparse whose errors are ours and whose help ends with examples and exit codes, by default those of `run`."""

    def __init__(
        self, command: str, description: str, examples: Sequence[str], exits: Mapping[ExitCode, str] = MEANING
    ) -> None:
        shown = "\n".join(f"  python -m repro {example}" for example in examples)
        super().__init__(
            prog=f"python -m repro {command}",
            description=description,
            epilog=f"examples:\n{shown}\n\n{exit_codes(exits)}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.command = command

    def format_help(self) -> str:
        return printable(super().format_help())

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{self.command}: {message}.", f"Flags and examples: python -m repro {self.command} --help")

    def overrides(self, what: str) -> None:
        self.add_argument("overrides", nargs="*", metavar="key=value", help=what)

    def json(self, what: str) -> None:
        self.add_argument("--json", action="store_true", help=what)

    def composing(self) -> None:
        """The flags of commands that compose a configuration."""
        self.overrides("choices and values of the configuration, such as paper=transformer scale=smoke model.width=64")
        self.add_argument(
            "--cfg",
            choices=["job"],
            metavar="job",
            help="print the composed configuration, secrets masked, and stop",
        )
        self.add_argument(
            "-m",
            "--multirun",
            action="store_true",
            help="run every combination of overrides that hold several values: a,b",
        )
        self.json("one JSON object a line instead of the display, for other programs")


def settings(overrides: Sequence[str], known: Sequence[str], command: str) -> dict[str, str]:
    """The overrides of commands that compose nothing, as a dict. ConfigError for a key that is not in `known`."""
    found: dict[str, str] = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or key not in known or not value:
            raise ConfigError(
                f"{command}: got {override!r}, need one of {', '.join(f'{name}=…' for name in known)}.",
                f"Examples: python -m repro {command} --help",
            )
        found[key] = value
    return found
