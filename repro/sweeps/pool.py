"""A pool of worker processes: import once, run many tasks, lose neither a failure nor a process.

Workers are plain subprocesses with a socket each, in sessions of their own, so that Ctrl-C in the terminal reaches only
the controller; what they print goes to a log file. A task whose worker is killed is given to another worker (at most
`retries` times) and resumes from its checkpoint.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any

from repro.errors import ExitCode, HarnessError
from repro.sweeps.tasks import Died, Ended, Event, Failed, Interrupted, Started, Task

#: sys.path travels as it is: the folder of a person's own paper is on it, wherever the command was started
BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from repro.sweeps.worker import main; main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == 'torch')"
)
POLL = 0.2  # seconds between looks at the workers' exit states
MAX_START_FAILURES = 3  # workers in a row that die before they are ready
LOG_TAIL = 600  # characters of a dead worker's output that are shown


@dataclass
class Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    log: IO[bytes]
    ready: bool = False
    task: Task | None = None


class Pool:
    """Up to `workers` processes of `threads` threads each; they start when the first tasks come.

    Use as a context manager: leaving it by Ctrl-C, SIGTERM or an error asks the workers to finish their update and
    checkpoint, waits `grace` seconds at most, and leaves no process behind; a second Ctrl-C does not wait.

    `log_folder`: keeps worker-<n>.log there; None: a temporary file. `import_torch=False` makes workers that import
    only what their tasks do.
    """

    def __init__(
        self,
        workers: int,
        threads: int,
        *,
        log_folder: Path | None = None,
        retries: int = 2,
        grace: float = 60.0,
        import_torch: bool = True,
    ) -> None:
        self.workers, self.threads, self.retries, self.grace = workers, threads, retries, grace
        self.log_folder = log_folder
        self.import_torch = import_torch
        self.alive: list[Worker] = []
        self.queue: deque[Task] = deque()
        self.attempts: dict[str, int] = {}
        self.happened: deque[Event] = deque()
        self.started_workers = 0
        self.start_failures = 0
        self.stopping = False
        self.previous_handler: Any = None

    # the tasks

    @property
    def outstanding(self) -> int:
        """Tasks submitted whose last event has not been handed out."""
        return len(self.attempts)

    @property
    def free(self) -> int:
        """Workers that nothing waits for."""
        return max(0, self.workers - self.outstanding)

    @property
    def process_ids(self) -> dict[str, int]:
        """Operating-system process id of the worker of each running task."""
        return {worker.task.id: worker.process.pid for worker in self.alive if worker.task}

    def submit(self, task: Task) -> None:
        if task.id in self.attempts:
            raise ValueError(f"task {task.id} is already in the pool")
        self.attempts[task.id] = 0
        self.queue.append(task)
        self.assign()

    def prune(self, task_id: str) -> None:
        """Ask a task to stop for good: its last event is `Pruned`, or what it came to before it heard."""
        for worker in self.alive:
            if worker.task and worker.task.id == task_id:
                self.tell(worker, "prune", task_id)

    def wait(self, timeout: float | None = None) -> list[Event]:
        """Events since the last call, at least one; none when nothing is outstanding or `timeout` seconds passed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.happened and self.attempts:
            self.look(POLL)
            self.assign()
            if deadline is not None and time.monotonic() >= deadline:
                break
        events = list(self.happened)
        self.happened.clear()
        for event in events:
            if isinstance(event, Ended):
                del self.attempts[event.task]
        return events

    def events(self) -> Iterator[Event]:
        """Every event until nothing is outstanding; tasks may be submitted meanwhile."""
        while self.attempts:
            yield from self.wait()

    def run(self, tasks: Iterable[Task], on_event: Callable[[Event], None] | None = None) -> dict[str, Ended]:
        """Run all tasks; the last event of each by its id, in the order given."""
        tasks = list(tasks)
        for task in tasks:
            self.submit(task)
        ended: dict[str, Ended] = {}
        for event in self.events():
            if on_event is not None:
                on_event(event)
            if isinstance(event, Ended):
                ended[event.task] = event
        return {task.id: ended[task.id] for task in tasks}

    # the workers

    def assign(self) -> None:
        """Start the workers that are missing and hand out waiting tasks."""
        idle = [worker for worker in self.alive if worker.ready and worker.task is None]
        for worker in idle:
            if not self.queue:
                return
            task = self.queue.popleft()
            worker.task = task
            self.attempts[task.id] += 1
            self.tell(worker, "task", task)
            self.happened.append(Started(task.id, self.attempts[task.id]))
        starting = sum(not worker.ready for worker in self.alive)
        for _ in range(min(self.workers - len(self.alive), len(self.queue) - starting)):
            self.alive.append(self.start())

    def start(self) -> Worker:
        """Start one worker. Its end of the socket is the only descriptor it inherits, so our death closes it."""
        ours, theirs = socket.socketpair()
        log = self.open_log()
        threads = str(self.threads)
        environment = os.environ | {
            # read when the libraries load: must be set before the import
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "PYTHONUNBUFFERED": "1",
        }
        path = json.dumps([entry or os.getcwd() for entry in sys.path])
        needs = "torch" if self.import_torch else "-"
        process = subprocess.Popen(
            [sys.executable, "-c", BOOTSTRAP, path, str(theirs.fileno()), threads, needs],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        return Worker(process, Connection(ours.detach()), log)

    def open_log(self) -> IO[bytes]:
        if self.log_folder is None:
            return tempfile.TemporaryFile()
        self.log_folder.mkdir(parents=True, exist_ok=True)
        self.started_workers += 1
        return open(self.log_folder / f"worker-{self.started_workers}.log", "w+b")

    def tell(self, worker: Worker, kind: str, content: object) -> None:
        # one that died is found by `look`, which queues its task again
        with suppress(BrokenPipeError, ConnectionResetError):
            worker.connection.send((kind, content))

    def look(self, timeout: float) -> None:
        """Take what the workers said within `timeout` seconds, and bury the dead."""
        wait([worker.connection for worker in self.alive], timeout)
        for worker in list(self.alive):
            # read the exit state first: a worker that ends now has said its last word already
            ended = worker.process.poll() is not None
            if not self.hear(worker) or ended:
                self.bury(worker)

    def hear(self, worker: Worker) -> bool:
        """Take all messages of one worker; False when its end of the socket is closed."""
        try:
            while worker.connection.poll():
                message = worker.connection.recv()
                if message == "ready":
                    worker.ready, self.start_failures = True, 0
                    continue
                if isinstance(message, Interrupted) and not self.stopping:
                    continue  # somebody else ended this worker: as if it had died
                if isinstance(message, Ended):
                    worker.task = None
                self.happened.append(message)
        except (EOFError, ConnectionResetError):
            return False
        return True

    def bury(self, worker: Worker) -> None:
        """Remove a dead worker; its task goes to the head of the queue, or fails when it has died too often."""
        self.alive.remove(worker)
        try:
            code = worker.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = self.kill(worker)
        reason = f"its worker {named_exit(code)}"
        tail = self.close_log(worker)
        worker.connection.close()
        if not worker.ready:
            self.start_failures += 1
            if self.start_failures >= MAX_START_FAILURES:
                raise HarnessError(f"{self.start_failures} workers in a row died while they started: {reason}", tail)
        task = worker.task
        if task is None:
            return
        again = self.attempts[task.id] <= self.retries and not self.stopping
        self.happened.append(Died(task.id, reason, again))
        if again:
            self.queue.appendleft(task)
        elif self.stopping:
            self.happened.append(Interrupted(task.id))
        else:
            times = f"{reason}, {self.attempts[task.id]} times" if self.attempts[task.id] > 1 else reason
            hint = " (the system kills what needs too much memory this way)" if code == -signal.SIGKILL else ""
            self.happened.append(Failed(task.id, f"{times}{hint}" + (f"\n{tail}" if tail else "")))

    def close_log(self, worker: Worker) -> str:
        """The end of what the worker printed."""
        size = worker.log.seek(0, os.SEEK_END)
        worker.log.seek(max(0, size - LOG_TAIL))
        tail = worker.log.read().decode(errors="replace").strip()
        worker.log.close()
        return tail

    def kill(self, worker: Worker) -> int:
        """Kill a worker and whatever it started."""
        with suppress(ProcessLookupError):
            os.killpg(worker.process.pid, signal.SIGKILL)
        return worker.process.wait()

    # the end

    def stop(self) -> list[Event]:
        """Ask every task to checkpoint and stop; the events until all have, or were killed after `grace` seconds."""
        self.stopping = True
        self.happened.extend(Interrupted(task.id) for task in self.queue)
        self.queue.clear()
        for worker in self.alive:
            if worker.task:
                self.tell(worker, "stop", worker.task.id)
        events: list[Event] = []
        deadline = time.monotonic() + self.grace
        while any(worker.task for worker in self.alive) and time.monotonic() < deadline:
            self.look(POLL)
        for worker in [worker for worker in self.alive if worker.task]:
            self.kill(worker)
            self.bury(worker)
        events.extend(self.wait(0))
        return events

    def close(self) -> None:
        """End all workers; idle ones leave by themselves, the others are killed."""
        for worker in self.alive:
            self.tell(worker, "end", None)
        for worker in self.alive:
            if worker.task is None:
                with suppress(subprocess.TimeoutExpired):
                    worker.process.wait(timeout=5)
            if worker.process.poll() is None:
                self.kill(worker)
            worker.connection.close()
            worker.log.close()
        self.alive.clear()

    def __enter__(self) -> Pool:
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self.previous_handler = signal.signal(signal.SIGTERM, raise_terminated)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None and not self.stopping:
                self.stop()
        finally:
            self.close()
            if self.previous_handler is not None:
                signal.signal(signal.SIGTERM, self.previous_handler)
                self.previous_handler = None


def raise_terminated(number: int, frame: FrameType | None) -> None:
    """Unwind on SIGTERM as on Ctrl-C, so that workers checkpoint; the exit code says which it was."""
    raise SystemExit(int(ExitCode.TERMINATED))


def named_exit(code: int) -> str:
    """ "was killed by SIGKILL" for a negative exit code, else "exited with code 3"."""
    if code < 0:
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"
    return f"exited with code {code}"
