"""Predictors whose metrics are known: one that is always right, and one that guesses."""

from __future__ import annotations

import math
import statistics
from typing import Any

import torch

from repro.checks.floor import causal_axis, floor_of
from repro.checks.held_out import EXAMPLES, NO_EXAMPLES, arranged, evaluated, evaluated_once, held_out, target_pair
from repro.checks.inputs import component_location, known_sizes, other_values, real_places
from repro.checks.metrics import PERFECT, SHARES, differing, shown
from repro.checks.overfit import LIKELY_ABOVE, Memorised, below, memorise, total_of, why_not
from repro.checks.registry import CHECKS, check, failed, not_run, passed
from repro.checks.watch import NoDropout, kept
from repro.contract.bench import Bench
from repro.findings import Finding

SEEDS_AT_CHANCE = 3


@check(phase="evaluation", family="oracle", component="evaluation")
def oracle_predictions(bench: Bench) -> Finding:
    """A model that has memorised six held-out examples is given the best possible value of each metric on them.

    Broken: a predictor that is always right is not called perfect.
    Likely: predictions and references are not aligned (shifted, shuffled, cut differently) | decoding stops early
    or goes past the end marker | references are changed before they are compared
    """
    data = arranged(bench, [4, 2])
    found = held_out(bench)
    if data is None or found is None:
        return not_run(NO_EXAMPLES)
    run = memorised_examples(bench)
    if run is None:
        return not_run(why_not(bench) or "the loss has no floor that examples could be memorised to")
    batch = bench.take(found[0], 6)
    pair = target_pair(bench, batch)
    if pair is None:
        return not_run("no integer target is declared that indexes the last axis of an output, so nobody can be right")
    right = share_right(bench, run, batch, *pair)
    if right < 1.0:
        return not_run(
            f"six examples were not memorised ({right:.1%} of the targets right after {run.totals[-1][0]} updates;"
            f" see overfit_one_batch: {LIKELY_ABOVE[0]} …)"
        )
    torch.manual_seed(bench.seed)
    run.model.train()
    with bench.precision(torch.float32):
        metrics = bench.evaluate(run.model, "validation", data=data)
    known = [name for name in metrics if name in PERFECT]
    wrong = [n for n in known if not any(abs(float(metrics[n]) - best) <= 1e-6 * max(best, 1.0) for best in PERFECT[n])]
    if not known:
        return not_run(f"none of {', '.join(metrics)} has a best value that is known ({', '.join(PERFECT)})")
    if wrong:
        likely = CHECKS["oracle_predictions"].likely
        places = torch.cat([real_places(bench, piece, pair[1]).flatten() for piece in data.held]).double()
        share = float(places.mean())  # of the targets that count
        if share < 1 and all(abs(float(metrics[n]) - PERFECT[n][0] * share) <= 1e-6 * PERFECT[n][0] for n in wrong):
            likely = ("divided by all places, also those that do not count (padding, words not chosen)", *likely)
        return failed(
            f"a model that predicts every target right gets {shown(metrics, wrong)}",
            expected=", ".join(f"{n} {PERFECT[n][0]:g}" for n in wrong),
            observed=shown(metrics, wrong),
            threshold="1e-6: every prediction is right",
            location=component_location(bench, "evaluation"),
            likely=likely,
        )
    return passed(
        f"six memorised examples give {shown(metrics, known)}",
        observed=f"trained in {run.totals[-1][0]} updates",
    )


#: Metrics of text that a model wrote by itself, whatever a batch holds of the reference.
WRITTEN = ("exact_match", "bleu", "sacrebleu", "chrf", "ter", "wer", "cer", "rouge1", "rouge2", "rougeL")


@check(phase="evaluation", family="metamorphic", component="evaluation")
def decodes_alone(bench: Bench) -> Finding:
    """Metrics of written text stay what they are when the target that goes into the model is another.

    The six examples that a model has memorised are decoded again, with other pieces in the declared causal input; only
    what stands first, which begins the decoding, is left.
    Broken: exact match or BLEU fall, so what is compared with the references was predicted from the references.
    Likely: the argmax of the logits of a teacher-forced forward is taken for what the model writes | the prefix of the
    reference is handed to decoding
    """
    causal = causal_axis(bench)
    if causal is None:
        return not_run("nothing is decoded: no property `causal` is declared")
    _, axis, input_name = causal
    data, run = arranged(bench, [4, 2]), memorised_examples(bench)
    if data is None or run is None:
        return not_run(NO_EXAMPLES if data is None else "six examples cannot be memorised (see oracle_predictions)")
    run.model.eval()
    known = {n: v for n, v in evaluated(bench, run.model, data).items() if n in WRITTEN}
    if not any(float(value) > 0 for value in known.values()):
        return not_run(
            "no metric of written text is above 0 (see oracle_predictions)" if known else "no text is written"
        )
    declared = bench.paper.tensors[input_name]
    place = declared.axes.index(axis)
    for number, batch in enumerate(data.held):
        other = other_values(bench, declared, batch[input_name], known_sizes(bench, batch), seed=number)
        changed = torch.where(real_places(bench, batch, input_name), other, batch[input_name])
        changed.narrow(place, 0, 1).copy_(batch[input_name].narrow(place, 0, 1))
        data.held[number] = {**batch, input_name: changed}
    again = {n: v for n, v in evaluated(bench, run.model, data).items() if n in known}
    moved = differing(known, again)
    fields: dict[str, Any] = {
        "expected": shown(known, list(known)),
        "observed": shown(again, list(known)),
        "threshold": "100 eps of float32: nothing is read",
        "location": component_location(bench, "evaluation"),
    }
    if not moved:
        return passed(f"{', '.join(known)} of what the model writes alone", **fields)
    return failed(f"{', '.join(moved)} depend on {input_name} of the batch, which decoding must not see", **fields)


def memorised_examples(bench: Bench, n: int = 6, updates: int = 200) -> Memorised | None:
    """A model that knows the first `n` held-out examples by heart: the oracle predictor of any kind of decoding."""

    def make() -> Memorised | None:
        found = held_out(bench)
        if found is None or why_not(bench):
            return None
        batch = bench.take(found[0], n)
        floor = floor_of(bench, bench.as_declared(batch)).shared
        if floor is None:
            return None
        start = total_of(bench, bench.model(dtype=torch.float32), batch, bench.loss())
        run = memorise(bench, batch, updates, floor, below(floor + 0.02 * max(0.0, start - floor)))
        settle(bench, run)
        return run

    return kept(bench, f"memorised {n}", make)


def settle(bench: Bench, run: Memorised, forwards: int = 150) -> None:
    """Let running averages of normalisation catch up with the weights, which a few updates move faster than they can.

    With the usual momentum of 0.1, 150 forwards leave 0.9^150 = 1e-7 of what was there before.
    """
    run.model.train()
    with torch.no_grad(), bench.precision(torch.float32), NoDropout():
        for _ in range(forwards):
            before = [buffer.clone() for buffer in run.model.buffers() if buffer.is_floating_point()]
            bench.forward(run.model, run.batch)
            after = [buffer for buffer in run.model.buffers() if buffer.is_floating_point()]
            if all(torch.equal(a, b) for a, b in zip(before, after, strict=True)):
                break


def share_right(bench: Bench, run: Memorised, batch: dict[str, torch.Tensor], output: str, target: str) -> float:
    run.model.eval()
    with torch.no_grad():
        logits = bench.forward(run.model, batch)[output]
    padding = bench.paper.tensors[target].padding
    real = batch[target] != padding if padding is not None else torch.ones_like(batch[target], dtype=torch.bool)
    return float((logits.argmax(-1) == batch[target])[real].double().mean())


@check(phase="evaluation", family="initial value", component="evaluation")
def untrained_is_at_chance(bench: Bench) -> Finding:
    """A model with random weights scores no better than guessing, within five standard deviations.

    Broken: an untrained model scores well, so the metric sees the answer.
    Likely: predictions are compared with themselves, or targets leak into decoding | padding or trivial positions
    count as right
    """
    data = arranged(bench, [EXAMPLES])
    found = held_out(bench)
    if data is None or found is None:
        return not_run(NO_EXAMPLES)
    pair = target_pair(bench, found[0])
    if pair is None:
        return not_run("no integer target is declared that indexes the last axis of an output, so chance is not known")
    classes = classes_of(bench, found[0], pair)
    rows = bench.take(found[0], EXAMPLES)[pair[1]]
    different = len({tuple(row.reshape(-1).tolist()) for row in rows})
    n = SEEDS_AT_CHANCE * different  # a constant guess is right for all equal targets at once
    if (1 / classes) ** n > 1e-6:
        return not_run(f"{different} different targets among {classes} classes are too few to tell luck from a leak")
    scores: dict[str, list[float]] = {}
    for seed in range(SEEDS_AT_CHANCE):
        metrics = (evaluated_once(bench) if seed == 0 else None) or evaluated(
            bench, bench.model(seed=bench.seed + seed), data
        )
        for name, value in metrics.items():
            if name in SHARES:
                scores.setdefault(name, []).append(
                    float(value) / (100.0 if name in SHARES and float(value) > 1 else 1.0)
                )
    if not scores:
        return not_run(f"none of {', '.join(metrics)} is a share of right predictions ({', '.join(SHARES)})")
    chance = 1 / classes
    bound = min(0.95, chance + 5 * math.sqrt(chance * (1 - chance) / n) + 1 / n)
    high = {name: statistics.mean(values) for name, values in scores.items() if statistics.mean(values) > bound}
    if high:
        return failed(
            "an untrained model scores better than guessing",
            expected=f"at most {bound:.3g}",
            observed=", ".join(f"{name} {v:.3g}" for name, v in high.items()),
            threshold=f"1/{classes} + 5 standard deviations of {n} guesses + one of them",
            location=component_location(bench, "evaluation"),
        )
    return passed(
        "random weights score at chance: " + ", ".join(f"{k} {statistics.mean(v):.3g}" for k, v in scores.items())
    )


def classes_of(bench: Bench, batch: dict[str, torch.Tensor], pair: tuple[str, str]) -> int:
    with torch.no_grad():
        return int(bench.forward(bench.model(), bench.take(batch, 1))[pair[0]].shape[-1])
