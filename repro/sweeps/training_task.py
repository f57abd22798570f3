"""One process of training as a task of the pool: seeds, trials and ablations all run through here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.errors import ComponentError, RunFolderError
from repro.sweeps.tasks import Stopped, Task

if TYPE_CHECKING:
    from repro.sweeps.worker import Control
    from repro.training.process import ProcessSpec

OBJECTIVE = "objective"  # among the values of a `Progress`: the training loss
WITHOUT_LOSS = "learning rates and ablations, which are compared by it, will not be run"
LOCK_SECONDS = 60.0  # the worker of a dead controller needs until then, at most, to leave a process's folder


def process_task(config: Mapping[str, Any], code_folder: Path, spec: ProcessSpec) -> Task:
    """The task that trains `spec` with the resolved `config` (plain containers) into <code_folder>/processes/<process>.

    Its result is that of `repro.training.train.train` as a dict: status, update, metrics, seconds, folder,
    already_done, resumed_from, notes.
    """
    folder = code_folder / "processes" / spec.process
    return Task(
        spec.process,
        "repro.sweeps.training_task:run_process",
        {"config": dict(config), "spec": spec, "folder": str(folder)},
    )


def run_process(control: Control, config: dict[str, Any], spec: ProcessSpec, folder: str) -> dict[str, Any]:
    """Train one process in this worker. Raises what `train` raises, and `Stopped` for a pruned or interrupted one."""
    from filelock import FileLock, Timeout

    from repro.contract.paper import Paper
    from repro.tracking.files import folder_errors
    from repro.tracking.store import ProcessStore
    from repro.training.interruption import Interrupted
    from repro.training.train import train

    place = Path(folder)
    with folder_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place / ".lock")

    def progress(update: int, updates: int, values: Mapping[str, float], eta: float) -> bool:
        name = loss_name(values)
        control.progress(update, updates, dict(values) | ({OBJECTIVE: values[name]} if name else {}), eta)
        return control.pruned

    try:
        with lock.acquire(timeout=LOCK_SECONDS):
            result = train(spec, Paper.from_config(config), ProcessStore(place), progress=progress)
    except Timeout:
        raise RunFolderError(
            f"{place} is in use by another process of training.",
            "Wait for it or stop it, then give the same command again.",
        ) from None
    except Interrupted:
        # SIGTERM may have come to this worker alone: it takes no further task, and the pool gives this one to another
        control.end()
        raise Stopped("interrupted") from None
    if result.status == "pruned":
        raise Stopped("pruned")
    return {
        "status": result.status,
        "update": result.update,
        "metrics": dict(result.metrics),
        "seconds": result.seconds,
        "folder": str(result.folder),
        "already_done": result.already_done,
        "resumed_from": result.resumed_from,
        "notes": list(result.notes),
    }


def loss_name(values: Iterable[str]) -> str | None:
    """Which of the scalars that `update` returns is the minimised loss: `total`, `loss`, or the first that ends so."""
    names = list(values)
    for name in ("total", "loss"):
        if name in names:
            return name
    return next((name for name in names if name.endswith(("total", "loss"))), None)


def training_losses(rows: list[dict[str, Any]], process: str) -> tuple[list[int], list[float]]:
    """(updates, losses) of a trajectory's training rows. Raises `ComponentError` when `update` returns no loss."""
    train = [row for row in rows if row["split"] == "train"]
    name = loss_name(train[0]) if train else None
    if name is None:
        logged = ", ".join(key for key in train[0] if key not in ("update", "split", "time")) if train else "nothing"
        raise ComponentError(
            f"{process}: training.update logs {logged}, but no loss.",
            "Return the minimised loss as 'total' or 'loss' among its scalars.",
        )
    return [row["update"] for row in train], [row[name] for row in train]
