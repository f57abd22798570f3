"""Trains one process: in this process, or over several devices; one that has ended already is read instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from repro.contract.paper import Paper
from repro.errors import DivergedError
from repro.tracking.store import ENDED, ProcessStore
from repro.training.devices import resolve
from repro.training.fabric import Backend, Plain, Wrapped, make_fabric
from repro.training.interruption import SignalWatch
from repro.training.loop import Loop, Progress, Report
from repro.training.process import ProcessSpec, Result


def train(
    spec: ProcessSpec,
    paper: Paper,
    store: ProcessStore,
    *,
    progress: Progress | None = None,
    report: Report | None = None,
) -> Result:
    """Trains `spec.updates` updates of `paper`, from the newest checkpoint in `store` if there is one.

    A process that already ended is not trained again: its result is read. The caller holds the run's lock.

    Raises:
        DivergedError: a total was not finite; the store says "diverged". Raised again when asked again.
        Interrupted: Ctrl-C, SIGTERM or SIGUSR2; the update was finished and saved.
        ComponentError: the person's code raised or broke the contract; the store says "failed".
        RunFolderError: the store cannot be written.
        ConfigError: the device or precision cannot be had.
    """
    record = store.record
    if record.get("status") in ENDED and (record["status"] != "finished" or record["update"] >= spec.updates):
        return result_of_ended(record, store)
    device = resolve(spec.device)
    threads_before = torch.get_num_threads()
    if spec.threads is not None:
        torch.set_num_threads(spec.threads)
    try:
        if spec.devices > 1:
            from repro.training.distributed import train_distributed  # here: Lightning takes a second to import

            return train_distributed(spec, paper, store, device, progress)
        with SignalWatch() as signals:
            return Loop(spec, paper, store, backend_of(spec, device), signals, progress, report).run()
    finally:
        torch.set_num_threads(threads_before)


def backend_of(spec: ProcessSpec, device: torch.device) -> Backend:
    if spec.precision == "32-true":
        return Plain(device)
    fabric = make_fabric(spec, device)
    fabric.launch()
    return Wrapped(fabric, spec.precision)


def result_of_ended(record: Mapping[str, Any], store: ProcessStore) -> Result:
    if record["status"] == "diverged":
        raise DivergedError(
            record["error"],
            "It is recorded so in the run folder; change the config or the code to train anew.",
        )
    return Result(
        process=record["process"],
        kind=record["kind"],
        seed=record["seed"],
        status=record["status"],
        update=record["update"],
        metrics=store.metrics.get("metrics", {}),
        seconds=record["seconds"],
        folder=store.folder,
        already_done=True,
        notes=tuple(record.get("notes", ())),
    )
