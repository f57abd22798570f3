"""Trains one process of training in several of the operating system's, with gradients averaged over them.

Each takes its part of every batch, so that the paper's batch size, and with it the science, does not depend on how many
there are. Its loss is weighed by its share of what the loss is a mean over, examples or the entries of the tensor that
`loss_mean_over` names, so that gradients and logged scalars are those of the whole batch.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.fabric  # sets the level of its log, which is corrected below
import torch
from torch.multiprocessing.spawn import ProcessException

from repro.contract.paper import Paper
from repro.errors import ComponentError, ReproError
from repro.tracking.store import ProcessStore, metrics_of
from repro.training.fabric import Wrapped, make_fabric
from repro.training.interruption import STOPPING, SignalWatch
from repro.training.loop import Loop, Progress
from repro.training.process import ProcessSpec, Result

# each process would announce itself; here, because the children import this module before they start
logging.getLogger(lightning.fabric.__name__).setLevel(logging.WARNING)


def train_distributed(
    spec: ProcessSpec, paper: Paper, store: ProcessStore, device: torch.device, progress: Progress | None
) -> Result:
    """As `train`, over `spec.devices` processes; pruning (`report`) is for single ones only.

    Raises:
        ReproError: what `train` raises, whichever process met it first.
    """
    fabric = make_fabric(spec, device)
    task = pickle.dumps((spec, paper))  # as bytes, and the result too: Fabric would take frozen records apart
    with tempfile.TemporaryDirectory() as messages, _forwarded_signals(), _followed(store, spec, progress):
        try:
            answer = fabric.launch(_one_of_several, task, store.folder, messages, torch.get_num_threads())
        except ProcessException as error:
            raise _first_error(Path(messages)) or ComponentError(
                f"{spec.process}: one of {spec.devices} processes died: {str(error).strip().splitlines()[-1]}"
            ) from error
    result = pickle.loads(answer)  # noqa: S301  written just now by our own process
    assert isinstance(result, Result)
    return result


def _one_of_several(fabric: Any, task: bytes, folder: Path, messages: str, threads: int) -> bytes:
    """One life of the loop in one of the processes: unpickles the task, returns the result pickled."""
    spec, paper = pickle.loads(task)  # noqa: S301  written just now by our own parent
    torch.set_num_threads(threads)
    try:
        with SignalWatch() as signals:
            result = Loop(spec, paper, ProcessStore(folder), Wrapped(fabric, spec.precision), signals).run()
        return pickle.dumps(result)
    except ReproError as error:
        # torch hands on only the text of an exception; the parent raises the error itself
        (Path(messages) / f"{fabric.global_rank}.pickle").write_bytes(pickle.dumps(error))
        raise


def _first_error(messages: Path) -> ReproError | None:
    """The error of the first process that met one."""
    files = sorted(messages.glob("*.pickle"), key=lambda path: int(path.stem))
    if not files:
        return None
    error = pickle.loads(files[0].read_bytes())  # noqa: S301  written just now by our own process
    assert isinstance(error, ReproError)
    return error


@contextlib.contextmanager
def _forwarded_signals() -> Iterator[None]:
    """A stopping signal to this process reaches the children; they stop at the next logged update and save."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def forward(number: int, _: object) -> None:
        for child in multiprocessing.active_children():
            if child.pid is not None:
                os.kill(child.pid, number)

    # Ctrl-C at a terminal reaches the children by itself; twice would end them unsaved
    before = {
        number: signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else forward) for number in STOPPING
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextlib.contextmanager
def _followed(store: ProcessStore, spec: ProcessSpec, progress: Progress | None) -> Iterator[None]:
    """Calls `progress` with what the children write to the store, about once a second."""
    if progress is None:
        yield
        return
    done = threading.Event()

    def follow() -> None:
        shown = -1
        while not done.wait(1.0):
            rows = [row for row in store.rows if row["split"] == "train"]
            if rows and rows[-1]["update"] != shown:
                row = rows[-1]
                shown = row["update"]
                left = row["time"] / max(1, shown) * (spec.updates - shown)
                progress(shown, spec.updates, metrics_of(row), left)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
