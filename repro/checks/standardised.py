"""Standardised inputs: mean and spread of what the model is given, in training and in every held-out split."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from repro.checks.inputs import component_location
from repro.checks.modules import near
from repro.checks.passes import SPLITS
from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.findings import Finding

EXAMPLES = 512  # of each split
SLACK = 0.1  # in standard deviations: statistics are often rounded, or taken from a neighbouring split
SIGMA = 5.0


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of one channel over n examples, each with its standard error."""

    n: int
    mean: float
    mean_error: float
    std: float
    std_error: float


def statistics_of(value: Tensor) -> Statistics:
    """Of [n, …]: errors treat examples as independent and the numbers inside one as anything but."""
    flat = value.double().flatten(1)  # [n, numbers of an example]
    n = len(flat)
    means = flat.mean(dim=1)
    mean = float(means.mean())
    squares = ((flat - mean) ** 2).mean(dim=1)
    std = math.sqrt(float(squares.mean()))
    spread = float(squares.std(correction=0)) / math.sqrt(n)
    return Statistics(n, mean, float(means.std(correction=0)) / math.sqrt(n), std, spread / (2 * max(std, 1e-12)))


def examples_of(bench: Bench, tensor: str, split: str) -> Tensor | None:
    """The first `EXAMPLES` examples of a split, [n, …]; None where a batch lacks the tensor."""
    axis = bench.paper.tensors[tensor].axes.index("batch")
    rows: list[Tensor] = []
    for batch in bench.batches(split):
        if tensor not in batch:
            return None
        rows.append(batch[tensor].movedim(axis, 0))
        if sum(map(len, rows)) >= EXAMPLES:
            break
    return torch.cat(rows)[:EXAMPLES] if rows else None


@check(phase="data", family="statistical", component="data")
def standardised(
    bench: Bench, *, tensor: str = "", channels: str = "", mean: float = 0.0, std: float | None = 1.0, source: str = ""
) -> list[Finding]:
    """Decides whether a tensor has the declared mean and standard deviation, in training, validation and test alike.

    `channels` names the axis along which each entry has statistics of its own; `std: null` where only the mean is taken
    away, so that splits need only agree.
    Broken: a mean or spread further off than five standard errors and a tenth of a standard deviation.
    Likely: normalisation statistics on the wrong scale (0 to 1 against 0 to 255) | a held-out split lacks the
    normalisation | statistics of another data set | normalised twice
    """
    declared = bench.paper.tensors.get(tensor)
    if declared is None:
        known = bench.paper.tensors
        why = f"names {tensor!r}, not declared. {near(tensor, known)}" if tensor else "needs tensor: <name>"
        return [not_run(f"properties: standardised {why}".strip())]
    if "batch" not in declared.axes or (channels and channels not in declared.axes):
        return [not_run(f"{tensor} has the axes {list(declared.axes)}: need batch, and {channels or 'no channels'}")]
    findings = []
    train: list[Statistics] = []
    for split in SPLITS:
        value = examples_of(bench, tensor, split)
        if value is None or len(value) < 2:
            findings.append(not_run(f"{split} holds no two examples of {tensor}"))
            continue
        parts = [value]
        if channels:
            place = [axis for axis in declared.axes if axis != "batch"].index(channels) + 1
            parts = list(value.unbind(place))
        found = [statistics_of(part) for part in parts]
        if split == "train":
            train = found
        findings.append(judge(bench, tensor, split, found, train, mean, std, source))
    return findings


def judge(
    bench: Bench,
    tensor: str,
    split: str,
    found: list[Statistics],
    train: list[Statistics],
    mean: float,
    std: float | None,
    source: str,
) -> Finding:
    wanted = f"mean {mean:g}" + (f", standard deviation {std:g}" if std is not None else ", and the spread of training")
    faults, limits = [], []
    for number, one in enumerate(found):
        name = f"channel {number}: " if len(found) > 1 else ""
        like = train[number] if train else one
        need = std if std is not None else like.std
        error = one.std_error if std is not None else math.hypot(one.std_error, like.std_error)
        unit = need if need > 0 else 1.0
        mean_limit, std_limit = SIGMA * one.mean_error + SLACK * unit, SIGMA * error + SLACK * unit
        limits += [mean_limit, std_limit]
        if abs(one.mean - mean) > mean_limit:
            faults.append(f"{name}mean {one.mean:.4g}")
        if abs(one.std - need) > std_limit:
            faults.append(f"{name}standard deviation {one.std:.4g}")
    first = found[0]
    fields: dict[str, Any] = {
        "expected": f"{tensor} of {split}: {wanted}" + (f" ({source})" if source else ""),
        "observed": "; ".join(faults[:4]) or f"mean {first.mean:.3g}, standard deviation {first.std:.3g}",
        "threshold": f"±{max(limits):.2g}: {SIGMA:g} standard errors of {first.n} examples and {SLACK:g}",
        "location": component_location(bench, "data"),
    }
    if not faults:
        return passed(f"{tensor} of {split} is standardised ({first.n} examples)", **fields)
    if split != "train":
        fields["likely"] = (
            f"the {split} transform lacks the normalisation of training",
            "normalised by its own statistics or twice",
        )
    return failed(f"{tensor} of {split} is not standardised", **fields)
