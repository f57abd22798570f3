"""A worker process: imports once, then runs one task after another for the controller at the other end of its socket.

A worker never outlives its controller. When the socket closes, the running task is asked to stop (it finishes its
update and writes its checkpoint), and after `GRACE` seconds the process ends in any case.
"""

from __future__ import annotations

import importlib
import os
import signal
import threading
import time
import traceback
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from repro.errors import DivergedError, ReproError
from repro.sweeps.tasks import Diverged, Ended, Failed, Finished, Interrupted, Progress, Pruned, Stopped, Task

SIGNAL_EVERY = 0.25  # seconds
GRACE = 10.0  # seconds between the controller's death and the end of a task that does not stop by itself


class Control:
    """The task's line to the controller."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.sending = threading.Lock()
        self.task: str | None = None
        #: None while the task may run on; "pruned" or "interrupted" once it should checkpoint and raise `Stopped`.
        self.stop_reason: str | None = None
        self.ending = False

    def begin(self, task: str) -> None:
        self.task = task
        # a worker that is ending (SIGTERM, controller gone) starts nothing new
        self.stop_reason = "interrupted" if self.ending else None

    def stop(self, reason: str, task: str | None = None) -> None:
        """Ask the running task to stop; with `task`, only that one (it may have ended meanwhile)."""
        if task is None or task == self.task:
            self.stop_reason = self.stop_reason or reason

    def end(self) -> None:
        self.ending = True
        self.stop("interrupted")

    def interrupt(self) -> None:
        """Interrupt the running task as a signal would: the training loop watches signals, whatever sent them.

        Sent again until the task has ended, since the first may come before the loop has begun to watch.
        """
        self.stop("interrupted")

        def signal_it(task: str | None) -> None:
            while task is not None and self.task == task:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(SIGNAL_EVERY)

        threading.Thread(target=signal_it, args=(self.task,), daemon=True).start()

    def should_stop(self) -> bool:
        return self.stop_reason is not None

    @property
    def pruned(self) -> bool:
        return self.stop_reason == "pruned"

    def progress(self, update: int, updates: int, values: dict[str, float], eta: float | None = None) -> None:
        """Tell the controller that `update` of `updates` is done. Raises nothing when the controller is gone."""
        self.send(Progress(self.task or "", update, updates, values, eta))

    def send(self, message: object) -> None:
        with self.sending:
            try:
                self.connection.send(message)
            except (BrokenPipeError, ConnectionResetError):
                self.end()


def run_task(task: Task, control: Control) -> Ended:
    """Run one task to its last event. Whatever the task raises becomes an event: no failure is lost."""
    try:
        module, _, name = task.function.partition(":")
        function = getattr(importlib.import_module(module), name)
        result = function(control, **task.arguments)
        return Finished(task.id, result)
    except Stopped as stopped:
        return Pruned(task.id) if stopped.reason == "pruned" else Interrupted(task.id)
    except DivergedError as error:
        return Diverged(task.id, str(error))
    except ReproError as error:
        return Failed(task.id, str(error))
    except SystemExit as error:
        return Failed(task.id, f"the code called sys.exit({error.code!r})")
    except Exception as error:  # noqa: BLE001  (told to the controller, which names it to the user)
        return Failed(task.id, described(error))


def described(error: BaseException) -> str:
    """The error and the last frames that led to it, short enough for a table's footnote."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    lines = [f"  {frame.filename}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames]
    return "\n".join(["".join(traceback.format_exception_only(error)).strip(), *lines])


def listen(connection: Connection, control: Control, tasks: SimpleQueue[Task | None]) -> None:
    """Take the controller's messages until it says "end" or is gone."""
    while True:
        try:
            kind, content = connection.recv()
        except (EOFError, OSError):
            control.end()
            control.interrupt()
            tasks.put(None)
            # a daemon timer would die with this thread's interpreter; a task stuck in C code must not survive
            leave = threading.Timer(GRACE, os._exit, args=(1,))
            leave.daemon = True
            leave.start()
            return
        if kind == "task":
            tasks.put(content)
        elif kind == "prune":
            control.stop("pruned", content)
        elif kind == "stop" and content == control.task:
            control.interrupt()
        elif kind == "end":
            tasks.put(None)


def set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)


def main(descriptor: int, threads: int, torch_needed: bool) -> None:
    """Serve the controller on the socket `descriptor` until told to end."""
    # Ctrl-C is the controller's business; SIGTERM (a preempted node, a person's kill) asks for a checkpoint
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    control = Control(connection)
    tasks: SimpleQueue[Task | None] = SimpleQueue()

    def terminated(number: int, frame: Any) -> None:
        control.end()
        tasks.put(None)

    signal.signal(signal.SIGTERM, terminated)
    threading.Thread(target=listen, args=(connection, control, tasks), daemon=True).start()
    if torch_needed:
        set_threads(threads)
    control.send("ready")
    while (task := tasks.get()) is not None and not control.ending:
        control.begin(task.id)
        event = run_task(task, control)
        try:
            control.send(event)
        # a result that cannot be pickled may raise anything; the controller must still hear of the end
        except Exception as error:  # noqa: BLE001
            control.send(Failed(task.id, f"the result cannot be sent to the controller: {described(error)}"))
        control.task = None
