"""Perplexity and likelihood, recomputed in float64 from the model's own logits."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import torch

from repro.checks.held_out import NO_EXAMPLES, arranged, evaluated, held_out, target_pair
from repro.checks.inputs import component_location
from repro.checks.metrics import LIKELIHOODS, RELATIVE
from repro.checks.passes import continues
from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.findings import Finding
from repro.oracles import perplexity as perplexity_oracle


@check(phase="evaluation", family="oracle", component="evaluation")
def perplexity_from_logits(bench: Bench) -> Finding:
    """Perplexity and mean negative log-likelihood are those of the model's own logits, recomputed in float64 NumPy.

    Broken: perplexity is a mean over batches, counts padding, includes label smoothing or uses another base.
    Likely: perplexity as the mean of the batches' perplexities (not exp of the mean over all targets) | padding is
    counted | the smoothed training loss is exponentiated | the mean is per sentence or per batch instead of per
    target
    """
    data = arranged(bench, [3, 2, 1])
    found = held_out(bench)
    if data is None or found is None:
        return not_run(NO_EXAMPLES)
    pair = target_pair(bench, found[0])
    if pair is None:
        return not_run("no integer target is declared that indexes the last axis of an output")
    if continues(bench):
        return not_run(
            "streams go on from batch to batch, and a state that evaluation carries is not in a batch's logits"
        )
    model = bench.model()
    metrics = evaluated(bench, model, data)
    # what papers of other types call `loss` may be any loss
    known = [name for name, exponent in LIKELIHOODS.items() if exponent or bench.paper.type == "transformer"]
    names = [name for name in metrics if name in known]
    if not names:
        return not_run(f"evaluate returns no perplexity or likelihood, only {', '.join(metrics)}")
    padding = bench.paper.tensors[pair[1]].padding
    batches = []
    for module in bench.modules(model).values():
        module.eval()
    with torch.no_grad():
        for batch in data.held:
            batches.append((bench.forward(model, batch)[pair[0]].double().numpy(), batch[pair[1]].numpy()))
    mean = perplexity_oracle.mean_nll(batches, None if padding is None else int(padding))
    wrong = []
    for name in names:
        expected = math.exp(mean) if LIKELIHOODS[name] else mean
        if abs(float(metrics[name]) - expected) > RELATIVE * abs(expected):
            wrong.append((name, expected, float(metrics[name])))
    if wrong:
        name, expected, observed = wrong[0]
        return failed(
            f"{name} is {observed:.6g}, the model's own logits give {expected:.6g}",
            expected=f"{expected:.9g} (repro/oracles/perplexity.py)",
            observed=f"{observed:.9g}",
            threshold=f"{RELATIVE:.1e} relative: float32 rounding in another order",
            location=component_location(bench, "evaluation"),
            likely=perplexity_pattern(name, observed, batches, padding),
        )
    return passed(f"{', '.join(names)} agree with the model's logits", expected=f"{mean:.9g} nats a target")


def perplexity_pattern(
    name: str,
    observed: float,
    batches: list[tuple[np.ndarray, np.ndarray]],
    padding: Any,
) -> tuple[str, ...]:
    """Which known mistakes give the perplexity, or likelihood, that was observed; the usual ones where none does."""
    pad = None if padding is None else int(padding)
    nlls = [perplexity_oracle.mean_nll([batch], pad) for batch in batches]
    observed_nll = math.log(observed) if LIKELIHOODS[name] and observed > 0 else observed
    candidates = [
        (
            "perplexity as the mean of the batches' perplexities (not exp of the mean over all targets)",
            math.log(statistics.mean(math.exp(min(v, 700)) for v in nlls)),
        ),
        (
            "the mean of the batches' means, though batches have different numbers of targets",
            statistics.mean(nlls),
        ),
        ("padding is counted", perplexity_oracle.mean_nll(batches, None)),
        ("base 2 and base e are mixed", perplexity_oracle.mean_nll(batches, pad) / math.log(2)),
    ]
    found = tuple(text for text, value in candidates if abs(value - observed_nll) <= 1e-4 * abs(value))
    return found or (
        "the smoothed training loss is used instead of the likelihood",
        "perplexity as the mean of the batches' perplexities",
        "padding is counted, or the end marker is not",
    )
