"""Metrics that `evaluate` returns: those that are known, when two agree, and those the reference table asks for."""

from __future__ import annotations

import math

import torch

from repro.checks.held_out import evaluated, evaluated_once
from repro.checks.inputs import component_location
from repro.checks.registry import check, failed, passed
from repro.contract.bench import Bench
from repro.findings import Finding

#: 100 roundings of float32 relative: careful code may compute part of a metric in float32, in another order of
#: summation.
RELATIVE = 100 * torch.finfo(torch.float32).eps
TIMES = ("seconds", "time", "speed", "per_second")
PERFECT: dict[str, tuple[float, ...]] = {
    "exact_match": (1.0, 100.0),
    "accuracy": (1.0, 100.0),
    "top1_accuracy": (1.0, 100.0),
    "top5_accuracy": (1.0, 100.0),
    "bleu": (100.0,),
    "error": (0.0,),
    "top1_error": (0.0,),
    "top5_error": (0.0,),
    "f1": (1.0, 100.0),
}
#: Metrics that are a share of predictions that are right; only for these is the value of guessing known.
SHARES = ("exact_match", "accuracy", "top1_accuracy")
LIKELIHOODS = {"perplexity": True, "ppl": True, "loss": False, "nll": False, "cross_entropy": False}


def differing(a: dict[str, float], b: dict[str, float]) -> list[str]:
    """Metrics that differ by more than rounding; measured times do not count."""

    def close(x: float, y: float) -> bool:
        return (math.isnan(x) and math.isnan(y)) or x == y or abs(x - y) <= RELATIVE * max(abs(x), abs(y))

    names = [n for n in a if not any(word in n for word in TIMES)]
    return [n for n in names if n not in b or not close(float(a[n]), float(b[n]))]


def shown(metrics: dict[str, float], names: list[str]) -> str:
    return ", ".join(f"{n} {float(metrics[n]):.9g}" for n in names if n in metrics)


@check(phase="evaluation", family="declaration", component="evaluation")
def metrics_declared(bench: Bench) -> Finding:
    """evaluate returns finite numbers, and among them metrics of the reference table.

    Broken: a metric is NaN, or named otherwise than in the table, so that nothing can be compared.
    Likely: a metric has another name than in the reference table | a division by zero over no examples
    """
    metrics = evaluated_once(bench) or evaluated(bench, bench.model(), bench.data())
    bad = [n for n, v in metrics.items() if not isinstance(v, (int, float)) or not math.isfinite(float(v))]
    if bad or not metrics:
        return failed(
            f"{', '.join(bad)} {'are no finite numbers' if len(bad) > 1 else 'is no finite number'}"
            if bad
            else "no metric is returned",
            expected="a dict of finite numbers",
            observed=", ".join(f"{n}: {metrics[n]!r}"[:60] for n in bad) or "an empty dict",
            location=component_location(bench, "evaluation"),
            likely=(
                "a division by zero over no examples",
                "a tensor of several values is returned instead of a number (its mean forgotten)",
            ),
        )
    from repro.phases.folder import read_table

    table = read_table(bench.paper)
    if table is None:
        return passed(f"returns {', '.join(metrics)}; there is no reference table to compare with")
    wanted = {r.metric for r in table.records if r.kind in ("value", "curve") and r.metric}
    found = sorted(wanted & set(metrics))
    if wanted and not found:
        return failed(
            "no returned metric occurs in the reference table",
            expected="some of " + ", ".join(sorted(wanted)),
            observed=", ".join(metrics),
            location=component_location(bench, "evaluation"),
        )
    missing = sorted(wanted - set(metrics))
    text = f"returns {', '.join(metrics)}"
    return passed(text + (f"; rows of {', '.join(missing)} need another evaluation" if missing else ""))
