"""Evaluation: oracle predictions, invariances, modes, and metrics recomputed independently."""

from __future__ import annotations

import copy
import math
import random
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from repro.checks.floor import floor_of
from repro.checks.held_out import EXAMPLES, HeldOut, arranged, evaluated, evaluated_once, held_out, target_pair
from repro.checks.overfit import LIKELY_ABOVE, Memorised, below, memorise, total_of, why_not
from repro.checks.passes import continues
from repro.checks.registry import check, failed, not_run, passed, warned
from repro.checks.watch import NoDropout, StillNoise, kept, named_parameters, seed_all
from repro.contract.bench import Bench
from repro.contract.components import locate, location_of
from repro.errors import ComponentError
from repro.findings import Finding
from repro.oracles import bleu as bleu_oracle
from repro.oracles import perplexity as perplexity_oracle
from repro.oracles.beam_search import exhaustive_search, length_penalty

#: 100 roundings of float32 relative: careful code may compute part of a metric in float32, in another order of
#: summation.
RELATIVE = 100 * torch.finfo(torch.float32).eps
NO_EXAMPLES = (
    "held-out data cannot be taken apart by examples (it comes from acting, or no tensor declares an axis `batch`)"
)
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
SEEDS_AT_CHANCE = 3
LIKELIHOODS = {"perplexity": True, "ppl": True, "loss": False, "nll": False, "cross_entropy": False}


def place(bench: Bench) -> str:
    """Where the person's evaluate is."""
    return location_of(locate(bench.paper.settings["evaluation"]["_target_"], "evaluation._target_"))


def differing(a: dict[str, float], b: dict[str, float]) -> list[str]:
    """Metrics that differ by more than rounding; measured times do not count."""

    def close(x: float, y: float) -> bool:
        return (math.isnan(x) and math.isnan(y)) or x == y or abs(x - y) <= RELATIVE * max(abs(x), abs(y))

    names = [n for n in a if not any(word in n for word in TIMES)]
    return [n for n in names if n not in b or not close(float(a[n]), float(b[n]))]


def shown(metrics: dict[str, float], names: list[str]) -> str:
    return ", ".join(f"{n} {float(metrics[n]):.9g}" for n in names if n in metrics)


# --- what evaluation must leave alone
# ------------------------------------------------------------------------------------


def fingerprint(value: Any) -> Any:
    """Plain containers with arrays in place of tensors, to be compared by `unequal`."""
    if torch.is_tensor(value):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: fingerprint(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [fingerprint(part) for part in value]
    return (
        copy.deepcopy(value)
        if isinstance(value, (int, float, str, bool, np.ndarray, type(None)))
        else repr(type(value))
    )


def unequal(a: Any, b: Any) -> bool:
    if torch.is_tensor(a) and torch.is_tensor(b):
        return a.shape != b.shape or not torch.equal(a.nan_to_num(), b.nan_to_num())
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return not np.array_equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() != b.keys() or any(unequal(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) != len(b) or any(unequal(x, y) for x, y in zip(a, b, strict=True))
    return bool(a != b) and not (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


@check(phase="evaluation", family="round trip", component="evaluation")
def evaluation_leaves_training_untouched(bench: Bench) -> Finding:
    """Weights, buffers, gradients, optimiser, data position and gradient mode are the same after evaluate as before.

    Broken: what is trained depends on how often it is evaluated.
    Likely: running statistics (batch norm, observation normaliser) are updated in evaluation: no model.eval() |
    averaged weights are copied into the model and not restored | evaluation reads the training stream | gradients
    stay disabled after evaluation
    """
    data = arranged(bench, [EXAMPLES])
    seed_all(bench.seed)
    fresh = bench.data(fresh=True)
    model = bench.model()
    training = bench.training(model)
    with bench.precision():
        training.update(bench.synthetic(4))
    modules = bench.modules(model)
    for module in modules.values():
        module.train()
    if data is not None:
        data.data = fresh

    def state() -> dict[str, Any]:
        parts: dict[str, Any] = {
            "weights": {n: p for n, p in named_parameters(modules).items()},
            "buffers": {f"{k}.{n}": b for k, m in modules.items() for n, b in m.named_buffers()},
            "gradients": {n: p.grad for n, p in named_parameters(modules).items()},
            "requires_grad": {n: p.requires_grad for n, p in named_parameters(modules).items()},
            "optimiser": training.state_dict() if hasattr(training, "state_dict") else {},
            "position of the training data": fresh.state_dict() if hasattr(fresh, "state_dict") else {},
            "gradient mode": torch.is_grad_enabled(),
        }
        return {name: fingerprint(part) for name, part in parts.items()}

    before = state()
    try:
        evaluated(bench, model, data if data is not None else fresh)
        after = state()
    finally:
        torch.set_grad_enabled(bool(before["gradient mode"]))
    changed = [name for name in before if unequal(before[name], after[name])]
    if not changed:
        return passed("weights, buffers, gradients, optimiser and data position are as before", threshold="bit for bit")
    first = changed[0]
    inside = (
        [k for k in before[first] if unequal(before[first][k], after[first].get(k))]
        if isinstance(before[first], dict)
        else []
    )
    why = {
        "weights": "averaged (EMA) weights are copied into the training model and not restored",
        "buffers": "running statistics are updated in evaluation: no model.eval(), or a normaliser that ignores it",
        "gradients": "evaluation calls backward, or clears gradients",
        "requires_grad": "parameters are frozen for evaluation and not thawed",
        "optimiser": "evaluation steps the optimiser or its schedule",
        "position of the training data": "evaluation reads the training stream, or shares its generator",
        "gradient mode": "torch.set_grad_enabled(False) is not undone",
    }
    return failed(
        f"evaluation changes {', '.join(changed)}",
        expected="everything that training uses is the same after evaluate as before",
        observed=f"{first} changed" + (f": {', '.join(map(str, inside[:3]))}" if inside else ""),
        threshold="bit for bit",
        location=place(bench),
        likely=tuple(dict.fromkeys((*normalisers(before, after), *(why[name] for name in changed[:3])))),
    )


def normalisers(before: Any, after: Any) -> tuple[str, ...]:
    """The likely bug where a running mean or variance, wherever it is kept, is among what changed."""
    running = {"mean", "var", "variance", "std", "running_mean", "running_var"}

    def changed(a: Any, b: Any) -> bool:
        if not isinstance(a, dict) or not isinstance(b, dict):
            return False
        return any((k in running and unequal(a[k], b.get(k))) or changed(a[k], b.get(k)) for k in a)

    words = "running statistics (batch norm, observation normaliser) are updated in evaluation: no model.eval()"
    return (words,) if changed(before, after) else ()


@check(phase="evaluation", family="trace", component="evaluation")
def evaluation_mode(bench: Bench) -> Finding:
    """Every forward of evaluation runs in eval mode, down to each dropout and normalisation layer, without gradients.

    Of a model that computes the same in both modes, train mode is only warned of.
    Broken: metrics depend on dropout noise, or on the other examples of a batch.
    Likely: model.eval() is not called in evaluate | only part of the model is put into eval mode
    """
    data = arranged(bench, [EXAMPLES])
    model = bench.model()
    awake: list[str] = []
    calls = [0, 0]  # forwards, of them with gradients
    handles = []
    kinds = (torch.nn.modules.dropout._DropoutNd, torch.nn.modules.batchnorm._NormBase)
    roots = bench.modules(model)

    def watch(name: str, module: torch.nn.Module, root: bool) -> None:
        def hook(part: torch.nn.Module, args: Any) -> None:
            if root:
                calls[0] += 1
                calls[1] += torch.is_grad_enabled()
            if part.training:
                awake.append(name)

        handles.append(module.register_forward_pre_hook(hook))

    for owner, root in roots.items():
        root.train()
        for key, part in root.named_modules():
            if part is root or isinstance(part, kinds):
                watch(key or owner, part, part is root)
    try:
        evaluated(bench, model, data if data is not None else bench.data())
    finally:
        for handle in handles:
            handle.remove()
    if awake:
        names = list(dict.fromkeys(awake))
        if not mode_matters(bench):
            return warned(
                f"evaluation runs in train mode, which changes nothing in this model: {', '.join(names[:3])}",
                expected="model.eval() in evaluate, for the day the model gets dropout or normalisation",
                observed=f"training=True in {len(awake)} calls, with the outputs of eval mode",
                location=place(bench),
            )
        return failed(
            f"{len(names)} module(s) run in train mode in evaluation: {', '.join(names[:3])}",
            expected="training=False in every forward of evaluate",
            observed=f"training=True in {len(awake)} calls",
            threshold="none may",
            location=place(bench),
            likely=(
                "model.eval() is not called in evaluate",
                "train mode is restored before evaluation is over",
            ),
        )
    if not calls[0]:
        return not_run("evaluate never calls the model itself, and it has no dropout or normalisation that was called")
    if calls[1]:
        return warned(
            f"{calls[1]} of {calls[0]} forwards of evaluation keep gradients: slower and larger than needed",
            expected="torch.no_grad() or inference_mode around evaluation",
            observed="gradients enabled",
            location=place(bench),
        )
    return passed(f"{calls[0]} forwards in eval mode, without gradients")


def mode_matters(bench: Bench) -> bool:
    """Whether the model computes anything else in train mode than in eval mode, or changes a buffer there."""
    found = []
    for training in (True, False):
        model = bench.model()
        for module in bench.modules(model).values():
            module.train(training)
        batch = bench.with_noise(bench.synthetic(4))
        torch.manual_seed(bench.seed)
        with torch.no_grad():
            outputs = bench.forward(model, batch)
        buffers = [buffer for module in bench.modules(model).values() for buffer in module.buffers()]
        found.append([*outputs.values(), *buffers])
    return len(found[0]) != len(found[1]) or not all(map(torch.equal, *found))


@check(phase="evaluation", family="round trip", component="evaluation")
def evaluation_deterministic(bench: Bench) -> Finding:
    """Evaluated twice with the same weights and seed, every metric is the same.

    Broken: metrics change from call to call, so that no two runs can be compared.
    Likely: dropout is on in evaluation | augmentation is active on held-out data | held-out data are shuffled by a
    generator that moves on
    """
    data = arranged(bench, [EXAMPLES])
    model = bench.model()
    first = evaluated_once(bench) or evaluated(bench, model, bench.data())
    second = evaluated(bench, model, data if data is not None else bench.data())
    names = differing(first, second)
    if names:
        return failed(
            f"{', '.join(names)} differ between two evaluations of the same weights",
            expected=shown(first, names),
            observed=shown(second, names),
            threshold=f"{RELATIVE:.1e} relative (float32 rounding)",
            location=place(bench),
        )
    return passed(f"{len(first)} metrics agree: {shown(first, list(first))}")


@check(phase="evaluation", family="data", component="evaluation")
def held_out_fixed(bench: Bench) -> Finding:
    """Held-out batches are the same on every pass: no augmentation, no shuffling of contents.

    Broken: validation is measured on changing examples.
    Likely: augmentation is active on the validation split | held-out examples are drawn anew on each pass
    """
    data = bench.data()
    if held_out(bench) is None:
        return not_run(NO_EXAMPLES)
    for split in ("validation", "test"):
        passes = []
        for number in range(2):
            seed_all(number)
            passes.append([fingerprint(b) for _, b in zip(range(3), data.batches(split), strict=False)])
        for number, (a, b) in enumerate(zip(*passes, strict=True), 1):
            names = [name for name in a if unequal(a[name], b.get(name))]
            if names:
                return failed(
                    f"batch {number} of {split} differs between two passes in {', '.join(names)}",
                    expected="the same tensors on every pass",
                    observed="different values",
                    threshold="bit for bit",
                    location=location_of(data.batches),
                )
    return passed("validation and test give the same batches twice", threshold="bit for bit")


# --- invariances
# --------------------------------------------------------------------------------------------------------


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
                location=place(bench),
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
                location=place(bench),
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
                location=place(bench),
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
                location=place(bench),
                likely=("the loop over batches ends early (break, zip with a shorter list)",),
            )
    return passed("validation and test are read whole, each only when asked for")


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
            location=place(bench),
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
            location=place(bench),
        )
    missing = sorted(wanted - set(metrics))
    text = f"returns {', '.join(metrics)}"
    return passed(text + (f"; rows of {', '.join(missing)} need another evaluation" if missing else ""))


# --- oracle predictions
# -------------------------------------------------------------------------------------------------


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


@check(phase="evaluation", family="oracle", component="evaluation")
def oracle_predictions(bench: Bench) -> Finding:
    """A model that has memorised six held-out examples is given the best possible value of each metric on them.

    Broken: a predictor that is always right is not called perfect.
    Likely: predictions and references are not aligned (shifted, shuffled, cut differently) | decoding stops early
    or goes past the end marker | references are changed before they are compared
    """
    data = arranged(bench, [4, 2])
    if data is None:
        return not_run(NO_EXAMPLES)
    run = memorised_examples(bench)
    if run is None:
        return not_run(why_not(bench) or "the loss has no floor that examples could be memorised to")
    batch = bench.take(held_out(bench)[0], 6)  # type: ignore[index]
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
        return failed(
            f"a model that predicts every target right gets {shown(metrics, wrong)}",
            expected=", ".join(f"{n} {PERFECT[n][0]:g}" for n in wrong),
            observed=shown(metrics, wrong),
            threshold="1e-6: every prediction is right",
            location=place(bench),
        )
    return passed(
        f"six memorised examples give {shown(metrics, known)}",
        observed=f"trained in {run.totals[-1][0]} updates",
    )


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
            location=place(bench),
        )
    return passed(
        "random weights score at chance: " + ", ".join(f"{k} {statistics.mean(v):.3g}" for k, v in scores.items())
    )


def classes_of(bench: Bench, batch: dict[str, torch.Tensor], pair: tuple[str, str]) -> int:
    with torch.no_grad():
        return int(bench.forward(bench.model(), bench.take(batch, 1))[pair[0]].shape[-1])


# --- recomputed independently
# -------------------------------------------------------------------------------------------


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
            location=place(bench),
            likely=perplexity_pattern(name, observed, batches, padding, bench, model),
        )
    return passed(f"{', '.join(names)} agree with the model's logits", expected=f"{mean:.9g} nats a target")


def perplexity_pattern(
    name: str,
    observed: float,
    batches: list[tuple[np.ndarray, np.ndarray]],
    padding: Any,
    bench: Bench,
    model: Any,
) -> tuple[str, ...]:
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


@contextmanager
def recorded_bleu() -> Iterator[list[tuple[Any, list[str], list[list[str]]]]]:
    """Every call of sacrebleu's corpus BLEU: (the metric object, hypotheses, references)."""
    from sacrebleu.metrics.bleu import BLEU

    calls: list[tuple[Any, list[str], list[list[str]]]] = []
    original = BLEU.corpus_score

    def corpus_score(self: Any, hypotheses: Any, references: Any, *args: Any, **kwargs: Any) -> Any:
        if references is not None:
            calls.append((self, list(hypotheses), [list(stream) for stream in references]))
        return original(self, hypotheses, references, *args, **kwargs)

    BLEU.corpus_score = corpus_score  # type: ignore[method-assign]
    try:
        yield calls
    finally:
        BLEU.corpus_score = original  # type: ignore[method-assign]


def mixed_case(text: str) -> str:
    """The text with every second letter large: lower-casing it anywhere shows."""
    return "".join(c.upper() if i % 2 else c for i, c in enumerate(text))


@check(phase="evaluation", family="data", component="evaluation")
def bleu_of_raw_text(bench: Bench) -> Finding:
    """BLEU is taken of detokenised, cased text against untouched references, and agrees with an independent one.

    Broken: BLEU of sub-word pieces or lower-cased text, which is one to ten points too high.
    Likely: BLEU on sub-word or lower-cased text instead of detokenised, cased text | references are tokenised or
    normalised before | hypotheses and references are exchanged
    """
    data = arranged(bench, [EXAMPLES], change=mixed_case)
    if data is None:
        return not_run(NO_EXAMPLES)
    with recorded_bleu() as calls:
        metrics = evaluated(bench, bench.model(), data)
    if "bleu" not in metrics:
        return not_run(f"evaluate returns no bleu, only {', '.join(metrics)}")
    if not calls:
        return not_run("evaluate computes BLEU without sacrebleu, so its sentences are not seen")
    metric, hypotheses, streams = calls[-1]
    raw = data.references("validation") if hasattr(data.data, "references") else None
    fields: dict[str, Any] = {"threshold": "character by character", "location": place(bench)}
    if getattr(metric, "lowercase", False):
        return failed(
            "BLEU is computed case-insensitively",
            expected="case:mixed in the signature",
            observed=str(metric.get_signature()),
            likely=("BLEU on lower-cased text instead of cased text",),
            **fields,
        )
    if raw is not None and list(raw) != streams[0]:
        number = next((i for i, (a, b) in enumerate(zip(raw, streams[0], strict=False)) if a != b), 0)
        exchanged = list(raw) == hypotheses
        got = streams[0][number] if number < len(streams[0]) else ""
        return failed(
            "the references that BLEU is computed against are not the raw ones",
            expected=repr(raw[number] if number < len(raw) else ""),
            observed=repr(got),
            likely=(
                ("hypotheses and references are exchanged",)
                if exchanged
                else ("BLEU on lower-cased text instead of cased text",)
                if got == (raw[number] if number < len(raw) else "").lower()
                else (
                    "BLEU on sub-word pieces instead of detokenised text",
                    "references are normalised before",
                )
            ),
            **fields,
        )
    letters = [h for h in hypotheses if any(c.isalpha() for c in h)]
    if raw is None and streams[0] and not any(c.isupper() for r in streams[0] for c in r):
        return failed(
            "no reference that BLEU sees has a capital letter, though every text was given with some",
            expected="cased text",
            observed=repr(streams[0][0]),
            likely=("BLEU on lower-cased text instead of cased text",),
            **fields,
        )
    if letters and all(h == h.lower() for h in letters) and any(len(h) > 3 for h in letters):
        return failed(
            "hypotheses are lower-cased before BLEU",
            expected="the text as decoded",
            observed=repr(letters[0]),
            likely=("BLEU on lower-cased text instead of cased text",),
            **fields,
        )
    tokens = [[metric.tokenizer(line.rstrip()).split() for line in lines] for lines in (hypotheses, streams[0])]
    ours = bleu_oracle.bleu(tokens[0], tokens[1])
    if len(streams) == 1 and abs(ours - float(metrics["bleu"])) > 1e-6 * max(1.0, ours):
        return failed(
            f"bleu is {metrics['bleu']:.6g}, the same sentences give {ours:.6g}",
            expected=f"{ours:.9g} (repro/oracles/bleu.py)",
            observed=f"{metrics['bleu']:.9g}",
            threshold="1e-6 of the value",
            location=place(bench),
            likely=(
                "BLEU of single sentences is averaged instead of taken over the corpus",
                "the value is scaled to 0 … 1",
            ),
        )
    return passed("BLEU sees raw, cased text and agrees with an independent one", observed=str(metric.get_signature()))


# --- search
# -------------------------------------------------------------------------------------------------------------


@check(phase="evaluation", family="oracle", component="length_penalty")
def length_penalty_piece(bench: Bench) -> Finding:
    """The declared piece `length_penalty(scores, lengths, alpha)` gives log P / ((5 + length) / 6)^alpha.

    Standard signature: scores [n] float64, log-probabilities; lengths [n] int64; alpha float → [n], higher is better.

    Broken: beam search prefers very short or very long outputs.
    Likely: the length penalty is multiplied instead of divided by | the 5 or the 6 of the formula is missing |
    length counts the end marker twice
    """
    piece = bench.piece("length_penalty")
    if piece is None:
        return not_run("declare pieces.length_penalty: a function (scores, lengths, alpha) → penalised scores")
    generator = random.Random(bench.seed)
    scores = [-generator.uniform(0.5, 20) for _ in range(16)]
    lengths = [generator.randint(1, 30) for _ in range(16)]
    for alpha in (0.0, 0.6, 1.0):
        got = piece(scores=torch.tensor(scores, dtype=torch.float64), lengths=torch.tensor(lengths), alpha=alpha)
        for score, length, value in zip(scores, lengths, torch.as_tensor(got).tolist(), strict=True):
            expected = score / length_penalty(length, alpha)
            if abs(value - expected) > RELATIVE * abs(expected):
                multiplied = abs(value - score * length_penalty(length, alpha)) <= RELATIVE * abs(value)
                return failed(
                    f"log P {score:.4g} of length {length} becomes {value:.6g} (alpha {alpha})",
                    expected=f"{expected:.9g} = log P / ((5 + length) / 6)^alpha (Wu et al. 2016, equation 14)",
                    observed=f"{value:.9g}",
                    threshold=f"{RELATIVE:.1e} relative (float32 rounding)",
                    location=location_of(piece),
                    likely=("the length penalty is multiplied instead of divided by",)
                    if multiplied
                    else (
                        "the 5 or the 6 of the formula is missing",
                        "length counts the end marker otherwise",
                    ),
                )
    return passed("16 hypotheses at three exponents have the scores of the formula")


@check(phase="evaluation", family="oracle", component="beam_search")
def beam_search_piece(bench: Bench) -> Finding:
    """The declared piece `beam_search`, with a beam that holds everything, finds the best sequence of all.

    Standard signature: beam_search(log_probabilities, end, beam, longest, alpha) → list of pieces; `log_probabilities`
    maps a tuple of pieces to the log-probabilities [classes] of the next.

    Broken: the search ranks finished hypotheses wrongly, or loses them.
    Likely: the length penalty is multiplied instead of divided by | finished hypotheses are expanded further or
    dropped | scores are summed over probabilities instead of their logarithms
    """
    piece = bench.piece("beam_search")
    if piece is None:
        return not_run("declare pieces.beam_search: a function (log_probabilities, end, beam, longest, alpha) → pieces")
    classes, longest, end = 3, 4, 0
    for seed in range(10):

        def log_probabilities(prefix: Any, seed: int = seed) -> list[float]:
            rng = np.random.default_rng([seed, *(int(p) + 1 for p in prefix)])
            return [float(v) for v in perplexity_oracle.log_softmax(2 * rng.normal(size=classes))]

        for alpha in (0.0, 0.6, 2.0):
            expected, score = exhaustive_search(log_probabilities, end, classes, longest, alpha)
            got = tuple(
                int(p) for p in piece(log_probabilities, end=end, beam=classes**longest, longest=longest, alpha=alpha)
            )
            if got != expected:
                return failed(
                    f"beam search returns {list(got)}, the best of all sequences is {list(expected)}",
                    expected=f"{list(expected)}, score {score:.6g}"
                    f" (every sequence of up to {longest} pieces tried, alpha {alpha})",
                    observed=str(list(got)),
                    threshold=f"a beam of {classes**longest} holds every hypothesis, so the search must be exact",
                    location=location_of(piece),
                )
    return passed("thirty searches with a full beam find the best sequence of all")
