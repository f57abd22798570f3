"""What removing (or adding) a part does: paired differences over seeds with a t interval; pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from repro.tracking.files import decode_number

BASELINE = "baseline"

#: name of the run ("baseline", an ablation) → seed → metric → value
Measurements = Mapping[str, Mapping[int, Mapping[str, float]]]


@dataclass(frozen=True)
class Effect:
    """metric(name) − metric(baseline), paired by seed.

    `values` holds the difference for each seed that both runs finished with a finite value, n of them; `mean` is None
    for n = 0 and `interval` (two-sided, Student's t with n − 1 degrees of freedom) is None for n < 2. `missing` lists
    the seeds left out.
    """

    name: str
    metric: str
    mean: float | None
    interval: tuple[float, float] | None
    confidence: float
    n: int
    values: Mapping[int, float]
    missing: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        plain = asdict(self)
        plain["values"] = {str(seed): value for seed, value in self.values.items()}
        plain["interval"] = None if self.interval is None else list(self.interval)
        plain["missing"] = list(self.missing)
        return plain


def measurements(study: Mapping[str, Any]) -> dict[str, dict[int, dict[str, float]]]:
    """As `Measurements`, from the record of an ablation study; seeds that failed or diverged are absent."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for trial in study.get("trials") or ():
        seeds = found.setdefault(trial["params"]["ablation"], {})
        for seed, metrics in (trial.get("metrics_by_seed") or {}).items():
            seeds[int(seed)] = {metric: decode_number(value) for metric, value in metrics.items()}
    return found


def effects(measured: Measurements | Any, baseline: str = BASELINE, confidence: float = 0.95) -> list[Effect]:
    """The effect of every run against `baseline`, for every metric that the baseline has, in the order given.

    Args:
        measured: as `Measurements`, or a pandas frame with columns name, seed and one for each metric.
        baseline: name of the run that is compared with.
        confidence: of each interval alone; rows are not corrected for being many.

    Raises:
        KeyError: there is no run called `baseline`.
    """
    if not isinstance(measured, Mapping):
        measured = from_frame(measured)
    reference = measured[baseline]
    metrics = list(dict.fromkeys(metric for values in reference.values() for metric in values))
    found = []
    for name, seeds in measured.items():
        if name == baseline:
            continue
        wanted = sorted({*seeds, *reference})
        for metric in metrics:
            pairs = {}
            for seed in wanted:
                ours, theirs = seeds.get(seed, {}).get(metric), reference.get(seed, {}).get(metric)
                if ours is not None and theirs is not None and math.isfinite(ours) and math.isfinite(theirs):
                    pairs[seed] = ours - theirs
            missing = tuple(seed for seed in wanted if seed not in pairs)
            mean, interval = mean_interval(list(pairs.values()), confidence)
            found.append(Effect(name, metric, mean, interval, confidence, len(pairs), pairs, missing))
    return found


def from_frame(frame: Any) -> Measurements:
    """A frame with columns name, seed and metrics as `Measurements`; absent values are left out."""
    metrics = [column for column in frame.columns if column not in ("name", "seed")]
    found: dict[str, dict[int, dict[str, float]]] = {}
    for row in frame.to_dict("records"):
        values = {metric: float(row[metric]) for metric in metrics if row[metric] is not None}
        found.setdefault(str(row["name"]), {})[int(row["seed"])] = values
    return found


def mean_interval(values: list[float], confidence: float) -> tuple[float | None, tuple[float, float] | None]:
    """Mean and t interval of independent values: (None, None) for none, (mean, None) for one."""
    n = len(values)
    if n == 0:
        return None, None
    mean = math.fsum(values) / n
    if n == 1:
        return mean, None
    from scipy.stats import t

    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = float(t.ppf((1 + confidence) / 2, n - 1)) * spread / math.sqrt(n)
    return mean, (mean - half, mean + half)
