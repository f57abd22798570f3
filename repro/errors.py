"""Every error that a user can meet, each with the exit code of the command that meets it."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What `python -m repro` returns; `--help` prints this list."""

    OK = 0  # no row mismatches and at least one is decided
    GATE_FAILED = 1  # a gate failed, or training diverged
    USAGE = 2  # wrong usage, configuration, table or data folder
    MISMATCH = 3  # a row mismatches (better than printed counts too)
    UNDECIDED = 4  # nothing decided, or a step is still to do
    HARNESS = 5  # the harness itself failed
    INTERRUPTED = 130  # Ctrl-C; the same command resumes
    TERMINATED = 143  # SIGTERM; the same command resumes


#: With several runs in one command, the worst code wins; this is the order from worst to best.
WORST_FIRST = (
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
    ExitCode.HARNESS,
    ExitCode.USAGE,
    ExitCode.GATE_FAILED,
    ExitCode.MISMATCH,
    ExitCode.UNDECIDED,
    ExitCode.OK,
)


def worst(codes: list[ExitCode]) -> ExitCode:
    """The code that stands for several runs: the first of `WORST_FIRST` that occurs; `OK` for none."""
    return next((code for code in WORST_FIRST if code in codes), ExitCode.OK)


class ReproError(Exception):
    """An error with a message for the user: what was got, what was needed, where, and what to do next."""

    exit_code: ExitCode = ExitCode.USAGE

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[type[ReproError], tuple[str, str]]:
        # exceptions cross process borders in sweeps; the default would lose the hint
        return type(self), (self.message, self.hint)


class ConfigError(ReproError):
    """The composed configuration is wrong: unknown paper, override, value or type."""


class TableError(ReproError):
    """The reference table is wrong; the message lists every fault with its line."""


class DataError(ReproError):
    """Data cannot be had: missing folder, wrong checksum, no network."""


class ComponentError(ReproError):
    """The person's own component raised or breaks the contract; the message holds their traceback, shortened."""


class ImportFailedError(ComponentError):
    """A module of the person's cannot be imported; whichever check met it first says nothing of its own."""


class NotWrittenError(ComponentError):
    """A component is needed that the paper's config does not name yet: the step that needs it is not run, not wrong."""

    def __init__(self, component: str) -> None:
        super().__init__(f"{component}: the config names none yet.")
        self.component = component

    def __reduce__(self) -> tuple[type[ReproError], tuple[str]]:  # type: ignore[override]
        return type(self), (self.component,)


class RunFolderError(ReproError):
    """The run folder cannot be used: not writable, disk full, or in use by another process."""


class DivergedError(ReproError):
    """Training met a value that is not finite; the message names update, term and, where known, module."""

    exit_code = ExitCode.GATE_FAILED


class HarnessError(ReproError):
    """The harness itself failed; a report of it is welcome."""

    exit_code = ExitCode.HARNESS
