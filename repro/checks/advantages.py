"""Advantages in a batch: over which steps they are normalised, and that each belongs to its own step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from repro.checks import tolerance
from repro.checks.acting import acted
from repro.checks.inputs import component_location
from repro.checks.policies import undeclared
from repro.checks.registry import check, failed, not_run, passed
from repro.checks.watch import seed_all, watched
from repro.contract.bench import Bench
from repro.errors import ComponentError
from repro.findings import Finding


@check(phase="data", family="statistical", component="data")
def advantages_normalised(
    bench: Bench,
    *,
    tensor: str = "",
    over: str | None = "minibatch",
    target: str = "",
    baseline: str = "",
    source: str = "",
) -> list[Finding]:
    """Decides over which steps advantages have mean 0 and deviation 1: each `minibatch`, the `rollout`, or none.

    With `target` and `baseline`, the value target and the old value of a batch, also whether each advantage is that of
    its own step: target minus baseline, up to the normalisation.
    Broken: a mean or spread that is not the declared one in some batch, or batches normalised that should not be.
    Likely: operator precedence: only the mean is divided (a - a.mean() / a.std()) | normalised over the whole rollout
    instead of each minibatch, or the reverse | advantages are not normalised at all
    """
    named = {"tensor": tensor} | {name: value for name, value in (("target", target), ("baseline", baseline)) if value}
    reason = undeclared(bench, "advantages_normalised", named)
    if reason is not None:
        return [reason]
    if over not in ("minibatch", "rollout", None):
        known = "known are minibatch, rollout and null"
        return [not_run(f"properties: advantages_normalised: over is {over!r}, {known}")]
    seed_all(bench.seed)
    batches = list(acted(bench, bench.seed, bench.model(dtype=torch.float32)))
    if not batches or min(len(batch[tensor]) for batch in batches) < 2:
        return [not_run("a training pass holds no batch of two steps")]
    findings = [judge_scope(bench, tensor, [batch[tensor].double() for batch in batches], over, source)]
    if target and baseline:
        findings.append(judge_belonging(bench, batches, tensor, target, baseline))
    return findings


def judge_scope(bench: Bench, tensor: str, batches: list[Tensor], over: str | None, source: str) -> Finding:
    whole = torch.cat(batches)
    each = [is_normal(part) for part in batches]
    by = f" ({source})" if source else ""
    mean, std = float(batches[0].mean()), float(batches[0].std())
    fields: dict[str, Any] = {
        "component": tensor,
        "expected": f"{tensor}: mean 0 and standard deviation 1 over "
        + {"minibatch": "each minibatch", "rollout": "the rollout"}.get(str(over), "nothing: as estimated")
        + by,
        "observed": f"first batch: mean {mean:.3g}, deviation {std:.3g};"
        f" all {len(batches)}: {float(whole.mean()):.3g} and {float(whole.std(correction=0)):.3g}",
        "threshold": "0.001 and, for either kind of variance, one part in the number of steps",
        "location": component_location(bench, "data"),
    }
    words = {
        "minibatch": f"{tensor} is normalised over each minibatch",
        "rollout": f"{tensor} is normalised over the rollout",
        None: f"{tensor} is not normalised",
    }
    found = "minibatch" if all(each) and len(batches) > 1 else "rollout" if is_normal(whole) else None
    if found == over or (len(batches) == 1 and all(each) and over is not None):
        return passed(words[over], **fields)
    if found is not None:
        other = f"normalised over {'each minibatch' if found == 'minibatch' else 'the rollout'} instead"
        return failed(f"{words[found]}, declared is {over or 'none'}", likely=(other,), **fields)
    if over == "minibatch" and normalised_by_update(bench, tensor):
        return passed(f"{tensor} is normalised over each minibatch, by update", **fields)
    likely: tuple[str, ...] = ("operator precedence: only the mean is divided (a - a.mean() / a.std())",)
    if abs(mean) < 1e-3 * std:
        likely = ("not divided by the standard deviation", "divided by the variance instead of the standard deviation")
    elif abs(std - 1) < 0.01:
        likely = ("the mean is not subtracted",)
    return failed(f"{tensor} is not normalised", likely=(*likely, "advantages are not normalised at all"), **fields)


def normalised_by_update(bench: Bench, tensor: str) -> bool:
    """Whether it is `update` that normalises the tensor before the loss gets it; false where no update can be watched
    yet, as while the data are written.
    """
    if not all(bench.paper.has(part) for part in ("model", "loss", "training")):
        return False
    try:
        recording = watched(bench)
    except ComponentError:
        return False  # the gate of the training says what is wrong with it
    return all(tensor in update.normalised for update in recording.updates)


def judge_belonging(bench: Bench, batches: list[dict[str, Tensor]], tensor: str, target: str, baseline: str) -> Finding:
    """Whether advantage and target minus baseline are one straight line in every batch, rising."""
    worst = 0.0
    for batch in batches:
        a, b = batch[tensor].double(), batch[target].double() - batch[baseline].double()
        a, b = a - a.mean(), b - b.mean()
        if float(a.norm()) > 0:
            slope = max(float(a @ b) / max(float(b @ b), 1e-300), 0.0)
            worst = max(worst, float((a - slope * b).norm() / a.norm()))
    raw = torch.cat([batch[target].double() - batch[baseline].double() for batch in batches])
    if is_normal(raw):
        return failed(
            f"{target} is made of normalised advantages",
            component=target,
            expected=f"{target} - {baseline}: the advantages as estimated, in units of return",
            observed=f"mean {float(raw.mean()):.3g} and deviation {float(raw.std(correction=0)):.3g} over the rollout",
            threshold="0.001 and one part in the number of steps: raw advantages have both by chance alone",
            location=component_location(bench, "data"),
            likely=("advantages are normalised before the value target is made of them",),
        )
    bound = float(tolerance.FLOAT32**0.5)
    fields: dict[str, Any] = {
        "component": tensor,
        "expected": f"{tensor} rises in a straight line with {target} - {baseline} of its own step",
        "observed": f"{worst:.2g} of it lies off that line in the worst of {len(batches)} batches",
        "threshold": f"{bound:.2g} (half of the digits of float32)",
        "location": component_location(bench, "data"),
    }
    if worst <= bound:
        return passed(f"each {tensor} belongs to its own step", **fields)
    likely: tuple[str, ...] = (
        "flattened in different orders ((T, N) for one, (N, T) for another)",
        "the value target is not advantage plus old value",
    )
    if worst < 0.5:  # most of it is its own step's
        likely = likely[::-1]
    return failed(f"{tensor} and {target} are not of the same step", likely=likely, **fields)


def is_normal(values: Tensor) -> bool:
    """Mean 0 and standard deviation 1, whichever variance was used, up to an epsilon in the denominator."""
    return abs(float(values.mean())) < 1e-3 and abs(float(values.std()) - 1) < 1e-3 + 1 / len(values)
