"""Turns Ctrl-C, SIGTERM and SIGUSR2 (Slurm's warning before preemption) into one orderly stop that can be resumed."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

from repro.errors import ExitCode, ReproError

#: SIGUSR2 is what submitit and our Slurm launcher ask for ahead of preemption.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)


class Interrupted(ReproError):  # noqa: N818  InterruptedError is Python's own
    """Training was stopped from outside after a checkpoint; the same command resumes it."""

    def __init__(self, message: str, hint: str = "", exit_code: ExitCode = ExitCode.INTERRUPTED) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[type[Interrupted], tuple[str, str, ExitCode]]:  # type: ignore[override]
        return type(self), (self.message, self.hint, self.exit_code)


class StopInside(BaseException):
    """Raised by a signal inside an evaluation, which may be long; no `except Exception` of the person's catches it."""


class SignalWatch:
    """While open, a stopping signal sets `requested` and training stops after the update that is under way.

    With `immediate` set (during an evaluation) the signal raises `StopInside` there and then. A second signal is not
    waited for: the handlers that stood before are back, so it ends the process. Signals reach the main thread only;
    elsewhere the watch stays silent.
    """

    def __init__(self) -> None:
        self.requested: signal.Signals | None = None
        self.immediate = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            # None: a handler that was not set from Python, which cannot be put back
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    def _note(self, number: int, _: FrameType | None) -> None:
        self.requested = signal.Signals(number)
        self._restore()
        if self.immediate:
            raise StopInside

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.INTERRUPTED if self.requested is signal.SIGINT else ExitCode.TERMINATED
