"""What every process of a sweep shares: the changed config, the run's device and precision, the folder of the code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.contract.paper import Paper, to_plain
from repro.sweeps.tasks import Task
from repro.sweeps.training_task import process_task

if TYPE_CHECKING:
    from repro.configuration.compose import Composed
    from repro.sweeps.pool import Pool
    from repro.tracking.run_folder import RunFolder

#: progress(text, done, total, seconds left)
ShowProgress = Callable[[str, int, int, float | None], None]


def plain(composed: Composed) -> dict[str, Any]:
    """The resolved config as plain containers."""
    return to_plain(composed.config)


def code_folder(composed: Composed, run_folder: RunFolder, threads: int) -> Path:
    """code/<source fingerprint>/ of the paper's present sources, made the newest."""
    from repro.phases.fingerprints import source_fingerprint
    from repro.tracking.environment import environment

    fingerprint = source_fingerprint(Paper.from_config(composed.config))
    if run_folder.newest_code == fingerprint:
        return run_folder.code(fingerprint)
    return run_folder.use_code(fingerprint, environment(threads))


def changed_process(
    composed: Composed,
    folder: Path,
    pool: Pool,
    *,
    process: str,
    kind: str,
    name: str,
    seed: int,
    updates: int,
    changes: Mapping[str, Any],
    log_every: int,
    learning_rate: float | None = None,
    final_split: str | None = None,
) -> Task:
    """The task that trains the paper with `changes` for `updates` updates.

    Its config says so too: a schedule that refers to `reproduction.updates` ends where this training does.
    """
    from repro.training.process import ProcessSpec

    settings = plain(composed)
    if changes or int(settings["reproduction"]["updates"]) != updates:
        settings = plain(composed.with_changes({"reproduction.updates": updates, **changes}))
    every = int(settings["reproduction"]["checkpoint_every"])
    spec = ProcessSpec(
        process=process,
        kind=kind,
        name=name,
        seed=seed,
        updates=updates,
        changes=dict(changes),
        learning_rate=learning_rate,
        log_every=log_every,
        # a short process costs less to repeat than to save
        checkpoint_every=every if updates > every else None,
        final_split=final_split,
        device=str(settings["device"]),
        precision=str(settings["precision"]),
        threads=pool.threads,
    )
    return process_task(settings, folder, spec)


def shown(record: Mapping[str, Any], what: str, progress: ShowProgress | None) -> None:
    """Hand the state of a study to a display."""
    if progress is None:
        return
    counts = record["counts"]
    done = record["planned"] - counts["running"] - counts["queued"]
    trouble = [f"{counts[state]} {state}" for state in ("pruned", "diverged", "failed") if counts[state]]
    progress(" · ".join([what, *trouble]), done, record["planned"], record["seconds_left"])
