"""What evaluation reads: the whole of the split it is asked for, in batches of any size."""

from __future__ import annotations

from typing import Any

from repro.checks.held_out import EXAMPLES, NO_EXAMPLES, HeldOut, arranged, evaluated, evaluated_once
from repro.checks.inputs import component_location
from repro.checks.metrics import LIKELIHOODS, RELATIVE, differing, shown
from repro.checks.passes import continues
from repro.checks.registry import check, failed, not_run, passed
from repro.checks.watch import StillNoise
from repro.contract.bench import Bench
from repro.errors import ComponentError
from repro.findings import Finding


@check(phase="evaluation", family="metamorphic", component="evaluation")
def metric_independent_of_batch_size(bench: Bench) -> Finding:
    """Every metric is the same whether the examples come in one batch, one by one, or in unequal batches.

    Broken: the last, smaller batch counts too much, or a mean of exponentials is taken.
    Likely: a mean of per-batch values with unequal batches | perplexity as the mean of the batches' perplexities |
    batch statistics in evaluation: no model.eval() | the last incomplete batch is dropped
    """
    if continues(bench):  # an evaluation that carries a state is the same over other stretches, else over other rows
        by_stretches = over_batches(bench, streams=True)
        if by_stretches is not None and not by_stretches.blocks:
            return by_stretches
        by_rows = over_batches(bench, streams=False)
        found = by_rows if by_stretches is None or (by_rows and not by_rows.blocks) else by_stretches
        return found or not_run(NO_EXAMPLES)
    return over_batches(bench, streams=False) or not_run(NO_EXAMPLES)


def over_batches(bench: Bench, streams: bool) -> Finding | None:
    """The finding on the metrics over several batchings of the same examples, or of stretches of them; None without."""
    whole = arranged(bench, [EXAMPLES])
    if whole is None or arranged(bench, [1] * EXAMPLES, streams=streams) is None:
        return None
    model = bench.model()
    with_whole = evaluated_once(bench) or {}
    for sizes in ([1] * EXAMPLES, [3, 2, 1]):
        other = arranged(bench, sizes, streams=streams)
        assert other is not None
        try:
            metrics = evaluated(bench, model, other)
        except ComponentError as cause:
            return failed(
                f"evaluation raises for batches of {sizes}, but not for one of {EXAMPLES}",
                expected=shown(with_whole, list(with_whole)),
                observed=cause.message.splitlines()[-1].strip(),
                location=component_location(bench, "evaluation"),
                likely=("a batch of one loses its axis in squeeze()", "the last incomplete batch is dropped"),
            )
        names = differing(with_whole, metrics)
        if names:
            chance = differ_by_chance(bench, model, whole, other, with_whole)
            if isinstance(chance, Finding):
                return chance
            if chance:
                continue
            likely = ["a mean of per-batch values with unequal batches"]
            if any(name in LIKELIHOODS for name in names):
                likely.insert(
                    0,
                    "perplexity as the mean of the batches' perplexities (not exp of the mean over all targets)",
                )
            return failed(
                f"{', '.join(names)} depend on the batch size",
                expected=f"one batch of {EXAMPLES}: {shown(with_whole, names)}",
                observed=f"batches of {', '.join(map(str, sizes))}: {shown(metrics, names)}",
                threshold=f"{RELATIVE:.1e} relative: another order of summation in float32",
                location=component_location(bench, "evaluation"),
                likely=(*likely, "batch statistics in evaluation: no model.eval()"),
            )
    return passed(
        f"{len(with_whole)} metrics agree over batches of 1, 2, 3 and {EXAMPLES}", threshold=f"{RELATIVE:.1e}"
    )


def differ_by_chance(
    bench: Bench, model: Any, whole: HeldOut, other: HeldOut, with_whole: dict[str, float]
) -> bool | Finding:
    """Whether two batchings differ only because each draws other noise for an example (a sampled bound): with every
    drawn number at its mean they agree. Noise that PyTorch does not draw cannot be held still, and then not run.
    """
    metrics = []
    with StillNoise() as noise:
        for data in (whole, other):
            metrics.append(evaluated(bench, model, data))
    if noise.drawn and not differing(*metrics):
        return True
    turned = arranged(bench, [EXAMPLES], backwards=True)
    if noise.drawn or turned is None or not differing(with_whole, evaluated(bench, model, turned)):
        return False
    return not_run(
        "the metrics depend on which example comes first, so evaluation draws numbers that are not PyTorch's, "
        "and two batchings cannot be compared"
    )


@check(phase="evaluation", family="trace", component="evaluation")
def evaluates_the_split(bench: Bench) -> Finding:
    """evaluate(split="validation") reads the validation split, all of it, and nothing of test or train.

    Broken: models are selected on the test set, or measured on what they were trained on.
    Likely: the split argument is ignored (a name is hard-coded) | the loop over batches ends early
    """
    for split, forbidden in (("validation", ("test", "train")), ("test", ("validation", "train"))):
        data = arranged(bench, [3, 2, 1], split, streams=True) or arranged(bench, [3, 2, 1], split)
        if data is None:
            return not_run(NO_EXAMPLES)
        evaluated(bench, bench.model(), data, split)
        wrong = sorted({name for name, _ in data.asked if name in forbidden})
        if wrong:
            return failed(
                f"evaluate(split={split!r}) reads {', '.join(wrong)}",
                expected=f"only {split}",
                observed=", ".join(name for name, _ in data.asked),
                location=component_location(bench, "evaluation"),
                likely=(
                    "the split argument is ignored (a name is hard-coded)",
                    "the model is selected on the test set",
                ),
            )
        most = max((number for name, number in data.asked if name == split), default=0)
        if most < len(data.held):
            return failed(
                f"evaluate(split={split!r}) reads {most} of {len(data.held)} batches",
                expected="every batch of the split",
                observed=f"{most} batches",
                location=component_location(bench, "evaluation"),
                likely=("the loop over batches ends early (break, zip with a shorter list)",),
            )
    return passed("validation and test are read whole, each only when asked for")
