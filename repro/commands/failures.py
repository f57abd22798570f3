"""What a person sees when a command does not end well: one message, what to do next, the code; never a traceback."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from repro.commands.words import printable
from repro.configuration.secrets import mask_text
from repro.errors import ExitCode, ReproError

#: The codes of a run that was stopped from outside and goes on with the same command.
STOPPED = (ExitCode.INTERRUPTED, ExitCode.TERMINATED)

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

#: Where a traceback of the harness goes: the folder of the run that works now, once there is one.
_run_folder: Path | None = None


class Terminated(KeyboardInterrupt):
    """SIGTERM. Whatever leaves a resumable run on Ctrl-C does the same on this."""


def working_in(folder: Path | None) -> None:
    """Name the run folder that takes the traceback if the harness fails."""
    global _run_folder
    _run_folder = folder


def guarded(command: Callable[[], ExitCode], words: Sequence[str]) -> ExitCode:
    """The exit code of `command`; every way in which it can fail is turned into a message on stderr and a code."""
    previous = None
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread:
        previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        code = command()
        sys.stdout.flush()
        return code
    except ReproError as error:
        if error.exit_code in STOPPED:
            return _resumable(str(error), words, error.exit_code)
        return say(error)
    except SystemExit as error:
        # workers on SIGTERM, argparse after --help, or code that was called and must not end us as if all were well
        if error.code in STOPPED:
            return _resumable("Terminated.", words, ExitCode(error.code))
        where = _raised_at(error)
        return ExitCode.OK if where is None else say(_ended_by(error, where))
    except Terminated:
        return _resumable("Terminated.", words, ExitCode.TERMINATED)
    except KeyboardInterrupt:
        return _resumable("Interrupted.", words, ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # whoever read our output has gone; the interpreter must not complain when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.INTERRUPTED if words[:1] in (["run"], ["check"], ["sweep"]) else ExitCode.OK
    except OSError as error:
        if error.errno in _NO_ROOM:
            where = f" while writing {error.filename}" if error.filename else ""
            return say(
                ReproError(
                    f"The disk is full{where}.",
                    "Make room, or choose another disk with runs_folder=…; then the same command resumes.",
                )
            )
        return _own_failure(error)
    except Exception as error:  # noqa: BLE001 (the one place that catches all: it says that the harness failed)
        return _own_failure(error)
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, previous if previous is not None else signal.SIG_DFL)


def _raised_at(error: BaseException) -> str | None:
    """ "model.py:12" of the line that raised; None where it was argparse, which has printed what was asked for."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return None if Path(last.filename).name == "argparse.py" else f"{last.filename}:{last.lineno}"


def _ended_by(error: SystemExit, where: str) -> ReproError:
    fault = ReproError(
        f"{where} ended the process with sys.exit({error.code!r}).",
        "Let it raise an error instead, which is then reported with its phase.",
    )
    fault.exit_code = ExitCode.GATE_FAILED
    return fault


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def say(error: ReproError) -> ExitCode:
    """Print an error and its exit code to stderr, its secrets masked; returns the code."""
    _print(str(error), error.exit_code)
    return error.exit_code


def _print(text: str, code: ExitCode) -> None:
    sys.stdout.flush()
    print(printable(mask_text(f"{text}\nexit code {code.value}"), sys.stderr), file=sys.stderr, flush=True)


def _resumable(what: str, words: Sequence[str], code: ExitCode) -> ExitCode:
    if words[:1] in (["run"], ["check"], ["sweep"]):
        what += f"\nWhat is done is kept; to go on: python -m repro {shlex.join(words)}"
    elif words[:1] == ["quiz"]:
        what += "\nEach answer is kept; the same command asks what is open."
    _print(what, code)
    return code


def _own_failure(error: Exception) -> ExitCode:
    text = mask_text("".join(traceback.format_exception(error)))
    try:
        place = str(_keep(text))
    except OSError as failed:
        place = f"nowhere ({failed.strerror}); it reads:\n{text}"
    _print(
        f"The harness itself failed, not your code: {type(error).__name__}: {error}\n"
        f"The traceback is in {place}\nA report of it, with that file, is welcome.",
        ExitCode.HARNESS,
    )
    return ExitCode.HARNESS


def _keep(text: str) -> Path:
    name = time.strftime("failure-%Y%m%d-%H%M%S")
    if _run_folder is not None and _run_folder.is_dir():
        path = _run_folder / f"{name}-{os.getpid()}.txt"
        path.write_text(text, encoding="utf-8")
        return path
    handle, temporary = tempfile.mkstemp(prefix=f"repro-{name}-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return Path(temporary)
