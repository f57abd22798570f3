"""Standardised inputs: mean and spread of what the model is given, in training and in every held-out split."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from repro.checks.inputs import component_location
from repro.checks.modules import near
from repro.checks.passes import SPLITS, fingerprints, stream
from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.contract.paper import Paper
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


@check(phase="data", family="statistical", component="data")
def statistics_of_training(
    bench: Bench,
    *,
    tensor: str = "",
    over: Sequence[str] = ("batch",),
    std: float | None = 1.0,
    without: Mapping[str, Any] | None = None,
    source: str = "",
) -> Finding:
    """Decides whether the statistics that inputs are normalised by are those of the training examples, and no others.

    Over a whole pass of training the mean along the axes `over` is then 0 to the last digits, and the deviation `std`
    (null: only the mean is taken away). `without` are settings of the data that turn augmentation off.
    Broken: a mean or deviation that is off by more than rounding: held-out examples are in the statistics.
    Likely: the mean or deviation is taken over held-out examples as well | statistics of another data set, or rounded
    """
    declared = bench.paper.tensors.get(tensor)
    if declared is None or not {"batch", *over} <= set(declared.axes):
        return not_run(
            "properties: statistics_of_training needs tensor: <name>, and over: axes of it, batch among them"
        )
    settings = copy.deepcopy(bench.paper.settings)
    unknown = [key for key in without or {} if key not in settings["data"]]
    if unknown:
        return not_run(f"properties: statistics_of_training: without names {', '.join(unknown)}, no key of `data`")
    settings["data"].update(without or {})
    data = Paper.from_config(settings).build_data(bench.seed)
    n, means, deviations = moments(bench, data, tensor, over)
    size = float(deviations.square().mean().sqrt())
    if not size > 0:
        return not_run(f"{tensor} is the same in all training examples")
    bound = float(torch.finfo(torch.float32).eps) ** 0.5  # half of the digits: sums in float32 err by less
    off = float(means.abs().max()) / size
    uneven = 0.0 if std is None else float((deviations[deviations > 0] / std - 1).abs().max())
    fields: dict[str, Any] = {
        "expected": f"{tensor}: mean 0{f' and deviation {std:g}' if std is not None else ''} of {n} training"
        + " examples"
        + (f" ({source})" if source else ""),
        "observed": f"a mean of {off:.2g} deviations"
        + (f", a deviation off by {uneven:.2g}" if std is not None else ""),
        "threshold": f"{bound:.2g} (half of the digits of float32)",
        "location": component_location(bench, "data"),
    }
    if max(off, uneven) <= bound:
        return passed(f"{tensor} is normalised by statistics of its training examples", **fields)
    return failed(f"{tensor} is normalised by other statistics than those of its training examples", **fields)


PASSES = 8  # over training data that leave a last batch out, in other orders: one of a sixth hides 1 in 1e6 of them


def moments(bench: Bench, data: Any, tensor: str, over: Sequence[str]) -> tuple[int, Tensor, Tensor]:
    """Number of training examples, and mean and standard deviation of a tensor along the axes `over`, in float64.

    An example that a pass leaves out is taken from another pass; one that stands twice in the data counts twice.
    """
    axis = bench.paper.tensors[tensor].axes.index("batch")
    names = ["batch", *(name for name in bench.paper.tensors[tensor].axes if name != "batch")]
    places = [names.index(name) for name in over]
    known: Counter[bytes] = Counter()
    n, count = 0, 0
    total = squares = torch.zeros((), dtype=torch.float64)
    for number in range(PASSES):
        before = n
        seen: Counter[bytes] = Counter()
        for batch in stream(bench, data, "train"):
            rows = batch[tensor].movedim(axis, 0)
            fresh = []
            for place, key in enumerate(fingerprints(bench, tensor, batch[tensor], {})):
                seen[key] += 1
                if seen[key] > known[key]:
                    known[key] = seen[key]
                    fresh.append(place)
            value = rows[fresh].double()
            n += len(fresh)
            count += math.prod(value.shape[place] for place in places)
            total, squares = total + value.sum(dim=places), squares + value.square().sum(dim=places)
        if number == 1 and n == before:
            break  # the first pass had held everything
    mean = total / count
    return n, mean, (squares / count - mean.square()).clamp_min(0).sqrt()


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
