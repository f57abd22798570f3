"""What one process of training is asked to do and how it ended: plain records that travel between processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from repro.errors import ConfigError

#: Precisions the loop knows; the names are Lightning Fabric's.
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


@dataclass(frozen=True)
class ProcessSpec:
    """One process of training: a seed, a trial of a sweep, a run of an ablation, a few examples to memorise.

    `process` names its folder ("seed-0", "learning_rate-007"); `changes` are the differences to the run's config that
    the paper handed to `train` already carries. All periods count updates; None switches the thing off.
    """

    process: str
    kind: str  # reproduction | learning_rate | ablation | memorise, or the name of a study
    seed: int
    updates: int
    name: str = ""  # of the ablation or study
    changes: Mapping[str, Any] = field(default_factory=dict)
    learning_rate: float | None = None  # recorded, for plots of a sweep; not acted on
    log_every: int = 10
    evaluate_every: int | None = None  # on `evaluation_split`; the last update is always evaluated where this is set
    checkpoint_every: int | None = None  # besides: on a signal, and after the last update
    keep_checkpoints: int = 1  # model states handed to an evaluation that names `checkpoints`: the newest k
    keep_every: int | None = None  # updates between kept model states; None: `evaluate_every`
    evaluation_split: str = "validation"
    final_split: str | None = "test"  # evaluated once after the last update → metrics.json
    pictures: bool = False  # ask the paper for pictures after the final evaluation, for the report
    objective: str | None = None  # "<split>/<metric>" that `report` gets, for pruning; "train/total", say
    device: str = "auto"  # auto | cpu | cuda | cuda:N
    devices: int = 1  # more than one: distributed data parallel
    precision: str = "32-true"
    threads: int | None = None  # None: PyTorch's present setting

    def __post_init__(self) -> None:
        faults = [
            f"{name}: got {getattr(self, name)!r}, need a whole number of at least 1"
            for name in (
                "updates",
                "log_every",
                "evaluate_every",
                "checkpoint_every",
                "keep_checkpoints",
                "devices",
            )
            if getattr(self, name) is not None and getattr(self, name) < 1
        ]
        if self.precision not in PRECISIONS:
            faults.append(f"precision: got {self.precision!r}, need one of {', '.join(PRECISIONS)}")
        if faults:
            raise ConfigError("\n".join([f"Process {self.process} cannot be trained:", *(f"  {f}" for f in faults)]))

    def record(self) -> dict[str, Any]:
        """What process.json says about the task from the start."""
        known = asdict(self)
        return {
            key: known[key]
            for key in ("process", "kind", "seed", "name", "updates", "learning_rate", "precision", "devices")
        } | {"changes": dict(self.changes)}


@dataclass(frozen=True)
class Result:
    """How a process of training ended; `metrics` are those of the final split, {} where there was none to come."""

    process: str
    kind: str
    seed: int
    status: str  # finished | pruned
    update: int
    metrics: dict[str, float]
    seconds: float  # of training and evaluation, all lives together
    folder: Path
    resumed_from: int | None = None  # the checkpoint's update; None: from the beginning, or already done
    already_done: bool = False
    notes: tuple[str, ...] = ()
