"""Traces of a few updates through hooks: order, the gradient that is applied, modes, clipping, what is returned."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

import numpy as np
import torch

from repro.checks.inputs import summed_over
from repro.checks.loss import sum_is_compensated
from repro.checks.passes import continues
from repro.checks.registry import check, failed, not_run, passed, warned
from repro.checks.watch import (
    NoDropout,
    Step,
    StillNoise,
    Update,
    Watched,
    kept,
    named_parameters,
    sample_all,
    seed_all,
    watch,
    watched,
)
from repro.contract.bench import Bench
from repro.contract.components import location_of, persons_errors
from repro.findings import Finding
from repro.sweeps.training_task import WITHOUT_LOSS, loss_name

HAND_WRITTEN = (
    "no torch.optim optimiser stepped, so hooks see no step (a hand-written optimiser); its parameters are compared"
)


def tolerance(bench: Bench) -> float:
    """Half of the digits of the bench's precision: two orders of summation differ by far less, a bug by far more."""
    return float(torch.finfo(bench.dtype).eps) ** 0.5


def joined(arrays: dict[str, np.ndarray | None], names: Iterable[str]) -> np.ndarray:
    """The named arrays in one vector; a missing gradient counts as zeros."""
    parts = [arrays[name] for name in names]
    return np.concatenate([part for part in parts if part is not None] or [np.zeros(0)])


@check(phase="training", family="trace", component="training")
def update_order(bench: Bench) -> Finding:
    """One update computes gradients by backward and then steps, with nothing cleared or left out in between.

    Broken: the optimiser steps before backward, steps on cleared gradients, or never steps.
    Likely: the step comes before backward, so it applies the gradient of the batch before | zero_grad stands
    between backward and step | step or backward is missing
    """
    recording = watched(bench)
    for update in recording.updates:
        fault = order_fault(update)
        if fault:
            summary, likely = fault
            return failed(
                f"update {update.number}: {summary}",
                expected="zero_grad (anywhere outside backward…step), forward, backward, step",
                observed=", ".join(update.events) or "nothing that a hook sees",
                location=recording.location,
                likely=(likely,),
            )
    if not any(update.steps for update in recording.updates):
        if any(changed(update) for update in recording.updates):
            return not_run(HAND_WRITTEN)
        return failed(
            "an update steps no optimiser and changes no parameter",
            expected="one step after backward",
            observed=", ".join(recording.updates[0].events) or "nothing that a hook sees",
            location=recording.location,
            likely=("optimiser.step() is missing", "the optimiser is stepped only every k-th call of update"),
        )
    if not any(update.handed for update in recording.updates):
        return warned(
            "update never calls the `backward` that is handed in: mixed precision and several devices cannot work",
            expected="self.backward(total) with the backward given to the constructor",
            observed=", ".join(recording.updates[0].events),
            location=recording.location,
        )
    return passed(f"{len(recording.updates)} updates: " + ", ".join(compressed(recording.updates[0].events)))


def compressed(events: list[str]) -> list[str]:
    """Neighbours of one name once: two forwards in a row read "forward"."""
    return [event for i, event in enumerate(events) if i == 0 or events[i - 1] != event]


def order_fault(update: Update) -> tuple[str, str] | None:
    """(what is wrong, the likely bug) of the order of events in one update."""
    events = update.events
    if "step" not in events:
        return None  # decided over all updates: accumulation or a hand-written optimiser
    if "backward" not in events:
        if update.backwards == 0 and any(g is not None for step in update.steps for g in step.gradient.values()):
            return None  # gradients were set without backward (torch.autograd.grad)
        return (
            "the optimiser steps, but no backward was seen",
            "backward is missing, so the step has no gradient",
        )
    first_step, first_backward = events.index("step"), events.index("backward")
    if first_step < first_backward:
        return (
            "the optimiser steps before backward",
            "the step comes before backward: it applies an old gradient",
        )
    for step in update.steps:
        names = list(step.gradient)
        left = any(update.left.get(name) is not None and np.any(update.left[name]) for name in names)
        applied = any(step.gradient[name] is not None and np.any(step.gradient[name]) for name in names)
        if names and left and not applied and len(update.steps) == 1:
            return (
                "backward gave gradients, but the step applies none",
                "zero_grad stands between backward and step",
            )
    return None


def changed(update: Update) -> list[str]:
    return [name for name in update.before if not np.array_equal(update.before[name], update.after[name])]


# --- the gradient that is applied
# -------------------------------------------------------------------------------------


@check(phase="training", family="trace", component="training")
def gradient_of_this_batch(bench: Bench) -> Finding:
    """The applied gradient is that of the total of this batch alone, scaled only as clipping declares.

    Broken: the gradient contains older batches, only the last micro-batch, k times too much, or was rescaled.
    Likely: zero_grad is missing: gradients of earlier batches are added | zero_grad inside the accumulation loop:
    only the last micro-batch counts | the accumulated loss is not divided by the number of micro-batches |
    gradients are clipped before they are unscaled
    """
    recording = watched(bench)
    reason = why_no_fresh(recording)
    if reason:
        return left_over(bench, recording) or not_run(reason)
    if any(update.backwards > 1 for update in recording.updates):
        return accumulated_gradient(bench, recording)
    clip = bench.paper.optimiser.get("clip")
    limit = max(tolerance(bench), 1e-5 if clip else 0.0)  # clip_grad_norm_ divides by norm + 1e-6
    previous: np.ndarray | None = None
    for update in recording.updates:
        step = update.steps[0]
        names = [
            name for name in step.gradient if step.gradient[name] is not None and update.fresh.get(name) is not None
        ]
        applied, fresh = joined(step.gradient, names), joined(update.fresh, names)
        scale = min(1.0, float(clip) / update.fresh_norm) if clip and update.fresh_norm else 1.0
        size = float(np.linalg.norm(fresh)) or 1.0
        error = float(np.linalg.norm(applied - scale * fresh)) / (scale * size)
        if error > limit and decay_in_gradient(bench, recording):
            return warned(
                "the declared weight decay is a term of what is differentiated, not a setting of the optimiser:"
                " the same update",
                expected="the gradient of the total, and weight_decay in the optimiser",
                observed=f"that gradient plus {float(bench.paper.optimiser['weight_decay']):g} times the parameters",
                threshold=f"relative difference {limit:.1e} (half of the digits of {bench.dtype})",
                location=recording.location,
            )
        if error > limit and update.number > 1 and continues(bench) and carries_a_state(bench, recording):
            return passed(
                "updates carry a state from batch to batch, as their streams of examples go on; no gradient is carried",
                observed=f"{error:.1e} from the gradient of its batch alone, and the same with all gradients cleared",
                threshold=f"relative difference {limit:.1e}",
            )
        if error > limit:
            ratio = float(applied @ fresh) / size**2
            rest = float(np.linalg.norm(applied - ratio * fresh)) / max(float(np.linalg.norm(applied)), 1e-300)
            divided = mean_of_sum(bench, update, ratio, limit) if rest < limit else ""
            if divided:
                return warned(
                    "the total is a sum over the batch, and its mean is what is differentiated: the same update",
                    expected="the gradient of the total",
                    observed=f"{ratio:.4g} of it, one over the number of {divided}",
                    location=recording.location,
                )
            return failed(
                f"update {update.number} applies another gradient than that of its own batch",
                expected=f"the gradient of this batch alone, norm {scale * update.fresh_norm:.4g}"
                + (f" after clipping to {clip}" if clip else ""),
                observed=f"norm {step.norm:.4g}; {ratio:.4g} times this batch's gradient,"
                f" and {rest:.1%} of it is something else",
                threshold=f"relative difference {limit:.1e} ("
                + ("clip_grad_norm_ adds 1e-6 to the norm" if clip else f"half of the digits of {bench.dtype}")
                + f"); it is {error:.1e}",
                location=recording.location,
                likely=gradient_pattern(applied, fresh, previous, ratio, rest, scale),
            )
        previous = applied
    changed_first = sorted({name for update in recording.updates for name in update.normalised})
    return passed(
        f"{len(recording.updates)} updates apply exactly the gradient of their own batch"
        + (f", {', '.join(changed_first)} normalised over it" if changed_first else ""),
        threshold=f"relative difference {limit:.1e}",
    )


def mean_of_sum(bench: Bench, update: Update, ratio: float, limit: float) -> str:
    """What the total is a sum over where the applied gradient is `ratio` times the total's because `update` divides it
    by their number, before clipping; "" where it does not.
    """
    clip = bench.paper.optimiser.get("clip")
    for name, count in summed_over(bench, update.batch).items():
        scale = min(1.0, float(clip) * count / update.fresh_norm) if clip and update.fresh_norm else 1.0
        if abs(ratio * count / scale - 1) < limit and sum_is_compensated(bench):
            return name
    return ""


def decay_in_gradient(bench: Bench, recording: Watched) -> bool:
    """Whether the gradients that are applied hold the declared weight decay, and the optimiser adds none.

    Half of the decay times the squared norm, added to what is differentiated, is what SGD and Adam do with the setting;
    AdamW does another thing, and clipping would see another norm.
    """
    declared = bench.paper.optimiser
    decay = float(declared.get("weight_decay") or 0.0)
    if not decay or declared.get("undecayed") or declared.get("clip") or declared.get("kind") not in ("sgd", "adam"):
        return False
    for update, step in recording.steps:
        names = [name for name, g in step.gradient.items() if g is not None and update.fresh.get(name) is not None]
        if not names or any(group.get("weight_decay") for group in step.groups):
            return False
        wanted = joined(update.fresh, names) + decay * joined({name: step.before[name] for name in names}, names)
        if float(np.linalg.norm(joined(step.gradient, names) - wanted)) > tolerance(bench) * np.linalg.norm(wanted):
            return False
    return bool(recording.steps)


def carries_a_state(bench: Bench, recording: Watched) -> bool:
    """Whether the updates are the same with all gradients cleared before each: what is carried is then no gradient."""
    again = kept(bench, "cleared", lambda: watch(bench, updates=len(recording.updates), cleared=True))
    for (_, ours), (_, other) in zip(recording.steps, again.steps, strict=True):
        names = [name for name, g in ours.gradient.items() if g is not None and other.gradient.get(name) is not None]
        a, b = joined(ours.gradient, names), joined(other.gradient, names)
        if float(np.linalg.norm(a - b)) > tolerance(bench) * float(np.linalg.norm(a)):
            return False
    return True


def left_over(bench: Bench, recording: Watched) -> Finding | None:
    """The finding on gradients of earlier updates where no gradient of a batch can be computed beside the update's: it
    must not matter that they are cleared before each update.
    """
    if not recording.steps or not any(
        any(g is not None for g in step.gradient.values()) for _, step in recording.steps
    ):
        return None
    if carries_a_state(bench, recording):
        return None
    return failed(
        "updates change when the gradients that earlier ones left are cleared before each",
        expected="the same updates: each clears the gradients itself",
        observed="other gradients at the steps of an optimiser",
        threshold=f"relative difference {tolerance(bench):.1e} (half of the digits of {bench.dtype})",
        location=recording.location,
        likely=(
            "zero_grad is missing: gradients of earlier batches are added",
            "gradients that the loss of another module leaves are not zeroed",
        ),
    )


def why_no_fresh(recording: Watched) -> str:
    if any(not update.fresh for update in recording.updates):
        if recording.updates[0].totals and isinstance(recording.model, torch.nn.Module):
            return "the update draws noise that a second forward of its batch does not repeat"
        return "the paper has several modules or losses; which gradient belongs to which is not declared"
    if not any(update.steps for update in recording.updates):
        return HAND_WRITTEN
    if any(len(update.steps) != 1 for update in recording.updates):
        return "an update makes several optimiser steps, so no single gradient belongs to it"
    if all(g is None for g in recording.updates[0].fresh.values()):
        return "the total of the loss has no gradient (see the checks of the loss)"
    if not any(recording.updates[0].steps[0].gradient):
        return "the optimiser holds no parameter of the model (see all_parameters_updated)"
    return ""


def gradient_pattern(
    applied: np.ndarray,
    fresh: np.ndarray,
    previous: np.ndarray | None,
    ratio: float,
    rest: float,
    scale: float,
) -> tuple[str, ...]:
    """Likely bugs, ranked by what the applied gradient is made of."""
    missing = "zero_grad is missing: gradients of earlier batches are added"
    older = "the step comes before backward: it applies the gradient of the batch before"
    rescaled = "gradients are clipped before they are unscaled, or clipped although the paper does not clip"
    if previous is not None and np.allclose(
        applied, fresh + previous, rtol=1e-6, atol=1e-9 * float(np.abs(applied).max())
    ):
        return (missing,)
    if previous is not None and np.allclose(applied, previous, rtol=1e-6):
        return (older, missing)
    if rest < 1e-6:
        if ratio < 0:
            return ("the sign of the loss or of the update is wrong (gradient ascent)",)
        if ratio < scale / 100:
            return (rescaled, "the loss is divided by a number that the gradient is not multiplied by")
        if ratio < scale:
            return (rescaled, "the loss is divided twice, for instance by the number of micro-batches")
        return (
            "the loss is multiplied before backward: accumulated loss not divided by the number of micro-batches,"
            " or loss scale not undone",
            "declared clipping is missing",
        )
    if previous is not None:
        return (missing, "the loss that is minimised is not `total`", "gradients are clipped value by value")
    return (
        "gradients are clipped value by value, or noise is added to them",
        "the loss that is minimised is not `total`, or the batch is changed before forward",
        "part of the batch is left out",
    )


def accumulated_gradient(bench: Bench, recording: Watched, fixed: bool = False) -> Finding:
    """With several backwards an update: the applied gradient is made of every example's, as the whole batch's is.

    Micro-batches of unequal numbers of targets may weigh examples differently; so their weights are fitted. Where
    examples see each other through batch normalisation, updates are watched again with its statistics `fixed`.
    """
    update = recording.updates[1]  # the second, so that a gradient left over from the first shows
    step = update.steps[0]
    if not any("batch" in declared.axes for name, declared in bench.paper.tensors.items() if name in update.batch):
        return not_run("no tensor of the batch declares an axis `batch`, so examples cannot be taken apart")
    names = [name for name in step.gradient if update.fresh.get(name) is not None and step.gradient[name] is not None]
    each = [joined(example, names) for example in update.each]
    size = len(each)
    columns = np.stack(each, axis=1)
    applied, whole = joined(step.gradient, names), joined(update.fresh, names)
    weights, whole_weights = (np.linalg.lstsq(columns, target, rcond=None)[0] for target in (applied, whole))
    misfit = float(np.linalg.norm(applied - columns @ weights) / max(float(np.linalg.norm(applied)), 1e-300))
    clip = bench.paper.optimiser.get("clip")
    scale = min(1.0, float(clip) / update.fresh_norm) if clip and update.fresh_norm else 1.0
    limit = tolerance(bench)
    shown = f"weights of the {size} examples {np.round(weights, 4).tolist()}, together {weights.sum():.4g}"
    wanted = np.round(whole_weights, 4).tolist()
    expected = f"weights like those of the whole batch, {wanted}, together {whole_weights.sum():.4g}"
    fields = {"expected": expected, "observed": shown, "location": recording.location}
    if float(np.linalg.norm(whole - columns @ whole_weights)) > limit * max(float(np.linalg.norm(whole)), 1e-300) * 1e3:
        if not fixed:
            again = kept(bench, "fixed statistics", lambda: watch(bench, updates=2, fixed=True))
            return accumulated_gradient(bench, again, fixed=True)
        return not_run("examples of a batch see each other, so micro-batches cannot be compared with it")
    lost = [i for i, w in enumerate(weights) if abs(w) < 0.01 * float(np.abs(whole_weights).max())]
    if lost:
        return failed(
            f"{len(lost)} of {size} examples leave no trace in the gradient that is applied",
            **fields,
            threshold="a hundredth of the largest weight in the whole batch",
            likely=(
                "zero_grad inside the accumulation loop: only the last micro-batch counts",
                "part of the batch is left out",
            ),
        )
    if misfit > 1e3 * limit:
        return failed(
            "the applied gradient contains something besides the gradients of this batch's examples",
            **fields,
            threshold=f"misfit {1e3 * limit:.1e} (half of the digits of {bench.dtype}, {size} fitted weights);"
            f" it is {misfit:.1e}",
            likely=accumulation_pattern(applied - joined(recording.updates[0].steps[0].gradient, names), columns),
        )
    ratio = float(weights.sum() / whole_weights.sum()) / scale
    if abs(ratio - 1) > (1e-3 if clip is None else 1e-2):
        times = update.backwards
        return failed(
            f"the accumulated gradient is {ratio:.4g} times that of the whole batch, over {times} micro-batches",
            **fields,
            threshold="a thousandth: weights of examples may differ, their sum may not",
            likely=(
                "the accumulated loss is not divided by the number of micro-batches"
                if ratio > 1
                else "the loss is divided twice: by the number of micro-batches and by the mean",
                "zero_grad inside the accumulation loop: only the last micro-batch counts",
            ),
        )
    return passed(
        f"{update.backwards} micro-batches together give the gradient of the whole batch",
        **{"observed": shown},
    )


def accumulation_pattern(rest: np.ndarray, columns: np.ndarray) -> tuple[str, ...]:
    """Likely bugs: is `rest` (the applied gradient less the previous one) made of this batch's examples?"""
    weights = np.linalg.lstsq(columns, rest, rcond=None)[0]
    missing = "zero_grad is missing: gradients of earlier batches are added"
    if np.linalg.norm(rest - columns @ weights) <= 1e-4 * np.linalg.norm(rest):
        return (missing,)
    return ("gradients are clipped or stepped between micro-batches", missing)


# --- clipping
# ---------------------------------------------------------------------------------------------------------


@check(phase="training", family="trace", component="training")
def clipping(bench: Bench) -> Finding:
    """A gradient ten times the declared norm is clipped to it; where the paper clips nothing, a huge one passes whole.

    Broken: gradients are not clipped, clipped to another norm, too early, or although the paper does not.
    Likely: clipping is missing or uses another norm than the paper's | clipping comes after the step or before
    backward | clipping although the paper does not clip | clipping by value instead of by norm
    """
    if not bench.paper.optimiser:
        return not_run("declare optimiser: {kind, clip, …}; `clip: null` says that the paper clips nothing")
    recording = watched(bench)
    reason = why_no_fresh(recording)
    if reason:
        return not_run(reason)
    if not all(update.handed for update in recording.updates):
        return not_run(
            "update does not call the `backward` that is handed in, so the gradient cannot be enlarged from outside"
        )
    clip = bench.paper.optimiser.get("clip")
    norm = recording.updates[0].fresh_norm
    if not norm or not math.isfinite(norm):
        return not_run(f"the gradient at the start has norm {norm:g}")
    factor = 10.0 * (float(clip) if clip else 1e4) / norm
    update = watch(bench, updates=1, factor=factor).updates[0]
    step = update.steps[0]
    # micro-batches of unequal numbers of targets have another mean, so the step's own norm is what must scale
    wanted = float(clip) if clip else factor * recording.updates[0].steps[0].norm
    # a decay within what is differentiated scales with it, one that is added to the gradients afterwards does not
    norms = [wanted, factor * update.fresh_norm] if decay_in_gradient(bench, recording) else [wanted]
    if any(abs(step.norm - norm) <= 1e-5 * norm + 1e-6 for norm in norms):
        summary = (
            f"a gradient of norm {factor * update.fresh_norm:.4g} is clipped to {clip}"
            if clip
            else "gradients are not clipped"
        )
        return passed(summary, expected=f"norm {wanted:.4g}", observed=f"norm {step.norm:.4g}")
    values = np.concatenate([g for g in step.gradient.values() if g is not None])
    largest = float(np.abs(values).max())
    by_value = float(np.mean(np.isclose(np.abs(values), largest))) > 0.01
    return failed(
        f"a gradient of norm {factor * update.fresh_norm:.4g} reaches the step with norm {step.norm:.4g}"
        f" (deviates from the paper, {bench.paper.optimiser.get('source', 'optimiser.clip')})",
        expected=f"norm {wanted:.6g}" + ("" if clip else ": optimiser.clip is null"),
        observed=f"norm {step.norm:.6g}",
        threshold="1e-5 of the norm, because clip_grad_norm_ adds 1e-6 to it",
        location=recording.location,
        likely=clip_pattern(bool(clip), by_value, step, factor * update.fresh_norm),
        details={"declare": "optimiser.clip"},
    )


def clip_pattern(declared: bool, by_value: bool, step: Step, norm: float) -> tuple[str, ...]:
    if by_value:
        return ("gradients are clipped value by value, the paper clips their norm",)
    if declared and step.norm >= norm * 0.999:
        return ("clipping is missing", "clipping comes after the step, or before backward")
    if declared:
        return (
            "clipping uses another norm than the paper's",
            "each tensor is clipped alone instead of all together",
        )
    return (
        "gradients are clipped although the paper does not say so",
        "gradients are clipped before they are unscaled",
    )


# --- modes
# ------------------------------------------------------------------------------------------------------------


def mode_matters(bench: Bench, name: str) -> bool:
    """Whether a module computes something else in train mode than in eval mode, from the same random numbers."""
    model = bench.model()
    batch = bench.with_noise(bench.synthetic(4))
    seen = []
    for mode in (True, False):
        for module in bench.modules(model).values():
            module.train(mode)
        torch.manual_seed(bench.seed)
        with torch.no_grad():
            seen.append(bench.forward(model, batch, name))
    return any(not torch.equal(value, seen[1][key]) for key, value in seen[0].items())


@check(phase="training", family="trace", component="training")
def train_mode(bench: Bench) -> Finding:
    """The forward of an update runs in train mode and with gradients, also right after an evaluation left eval mode.

    Broken: dropout is off and batch statistics are frozen from the first evaluation on; or nothing is learned.
    Likely: model.train() is not called at the start of update, so eval mode of the last evaluation stays |
    model.eval() is called in update | forward runs under no_grad
    """
    recording = watched(bench)
    learning = [(update, f) for update in recording.updates for f in update.forwards if f.gradients]
    if not any(update.forwards for update in recording.updates):
        return not_run("update never calls the module itself (only its parts), so no hook sees the mode")
    if not learning:
        return failed(
            "every forward of an update runs without gradients",
            expected="gradients enabled in forward",
            observed="torch.is_grad_enabled() is False",
            location=recording.location,
            likely=("forward runs under torch.no_grad() or inference_mode",),
        )
    by_module = {f.module for _, f in learning}
    alike: list[str] = []
    for name in sorted(by_module):
        if not any(f.training for _, f in learning if f.module == name):
            if not mode_matters(bench, name):
                alike.append(name)
                continue
            return failed(
                f"{name} is in eval mode in the forward of an update that follows an evaluation",
                expected="training=True during forward (update sets model.train())",
                observed="training=False",
                location=recording.location,
                likely=(
                    "model.train() is not called at the start of update, so the eval mode of the last evaluation stays",
                    "model.eval() is called in update",
                ),
            )
    sleeping = sorted({part for _, f in learning if f.training for part in f.not_training})
    if sleeping:
        return warned(
            f"{len(sleeping)} dropout or batch-normalisation layers stay in eval mode while training:"
            f" {', '.join(sleeping[:3])}",
            expected="train mode, unless the paper freezes them",
            observed="training=False",
            location=recording.location,
        )
    if alike:
        return warned(
            f"{', '.join(alike)} in eval mode in the forward of an update: harmless, for no layer differs in it",
            expected="model.train() in update, for the day the model gets dropout or batch normalisation",
            observed="training=False",
            location=recording.location,
        )
    return passed("forward runs in train mode with gradients, also after an evaluation")


# --- values
# -----------------------------------------------------------------------------------------------------------


@check(phase="training", family="trace", component="training")
def gradients_finite(bench: Bench) -> Finding:
    """Over the watched updates no gradient is NaN or infinite, and its norm does not grow a thousandfold.

    Broken: training diverges within a few updates.
    Likely: a learning rate that is too high, or its warm-up missing | a division by zero or logarithm of zero in
    the loss | a row of attention that is masked entirely
    """
    recording = watched(bench)
    norms = [step.norm for _, step in recording.steps] or [update.fresh_norm for update in recording.updates]
    for number, norm in enumerate(norms, 1):
        if not math.isfinite(norm):
            from repro.checks.non_finite import find_first

            update = recording.updates[min(number, len(recording.updates)) - 1]
            found = find_first(recording.model, update.batch, bench.loss(), bench.forward)
            return failed(
                f"the gradient of update {number} is not finite" + (f"; first in {found.where}" if found else ""),
                expected="finite gradients",
                observed=f"norm {norm:g}" + (f"; {found.summary}" if found else ""),
                location=found.location if found and found.location else recording.location,
                details={"replay": found.replay} if found else {},
            )
        if norm > 1000 * norms[0] > 0:
            return failed(
                f"the gradient grows {norm / norms[0]:,.0f}-fold within {number} updates",
                expected=f"norms of the order of the first, {norms[0]:.3g}",
                observed=f"norm {norm:.3g} at update {number}",
                threshold="a thousandfold: three orders of magnitude within a few updates is divergence, not noise",
                location=recording.location,
            )
    return passed(f"gradient norms {', '.join(f'{n:.3g}' for n in norms)}")


@check(phase="training", family="trace", component="training")
def update_returns(bench: Bench) -> Finding:
    """`update` returns a dict of finite scalars without a graph, and a learning rate in it is the one that was applied.

    Broken: logging fails or holds every graph in memory; the logged rate is not the one that was applied.
    Likely: a tensor with its graph is returned (forgotten detach) | a per-example tensor instead of its mean is
    returned | the schedule is read after it was advanced
    """
    recording = watched(bench)
    for update in recording.updates:
        returned = update.returned
        if not isinstance(returned, dict) or not returned:
            return failed(
                f"update returns {type(returned).__name__}, need a dict of scalars to log",
                expected='for example {"loss": total.detach()}',
                observed=repr(returned)[:80],
                location=recording.location,
                likely=("the return statement is missing",),
            )
        for name, value in returned.items():
            size = value.numel() if torch.is_tensor(value) else 1
            if size != 1 or not (torch.is_tensor(value) or isinstance(value, (int, float, np.number))):
                return failed(
                    f"update returns {name!r} that is no scalar",
                    expected="one number",
                    observed=f"{type(value).__name__}"
                    + (f" of shape {tuple(value.shape)}" if torch.is_tensor(value) else ""),
                    location=recording.location,
                    likely=("a per-example tensor instead of its mean is returned",),
                )
            if not math.isfinite(float(value)):
                return failed(
                    f"update returns {name} = {float(value)}",
                    expected="a finite number",
                    location=recording.location,
                )
    attached = [n for n, v in recording.updates[0].returned.items() if torch.is_tensor(v) and v.requires_grad]
    if attached:
        return warned(
            f"{', '.join(attached)} returned with its graph: memory grows while it is kept",
            expected="value.detach()",
            location=recording.location,
        )
    for update, step in recording.steps:
        logged = next((update.returned[k] for k in ("learning_rate", "lr") if k in update.returned), None)
        if logged is not None and len(recording.steps) == len(recording.updates):
            applied = float(step.groups[0]["lr"])
            if abs(float(logged) - applied) > 1e-6 * max(abs(applied), 1e-30):
                return warned(
                    f"update {update.number} returns another learning rate than it applied",
                    expected=f"{applied:.9g}",
                    observed=f"{float(logged):.9g}",
                    location=recording.location,
                )
    names = list(recording.updates[0].returned)
    details = {"returned": names}
    if loss_name(names) is None and not isinstance(bench.loss(), dict):
        return warned(
            f"update returns {', '.join(names)}, and nothing named total or loss: {WITHOUT_LOSS}",
            expected='the minimised loss as "total" or "loss" among the scalars',
            observed=", ".join(names),
            location=recording.location,
            details=details,
        )
    return passed("returns " + ", ".join(names), details=details)


# --- declared noise
# ---------------------------------------------------------------------------------------------------------


@check(phase="training", family="trace", component="training")
def noise_is_drawn(bench: Bench) -> Finding:
    """An update draws the noise that the paper declares: seen at PyTorch's operators, or by what two seeds change.

    Broken: training is without noise: the mean is decoded, or one draw serves every update.
    Likely: the mean is used in place of a sample in training | the noise is made once and reused | noise of zeros, left
    from evaluation, is handed in
    """
    names = bench.paper.noise()
    if not names:
        return not_run("no tensor is declared random")
    after = []
    for seed in (1, 2):
        model = bench.model()
        training = bench.training(model)
        modules = bench.modules(model)
        owners = [training, *(part for module in modules.values() for part in module.modules())]
        if any(isinstance(v, (np.random.Generator, random.Random)) for owner in owners for v in vars(owner).values()):
            return not_run("a generator of its own, which is not PyTorch's, may draw the noise unseen")
        batch = bench.synthetic(4)
        seed_all(seed)
        with bench.precision(), NoDropout(), persons_errors("training: update raised"), StillNoise() as noise:
            training.update(batch)
        if noise.drawn:
            return passed(f"an update draws {noise.drawn} tensors of noise ({', '.join(names)} declared)")
        after.append(sample_all(named_parameters(modules)))
    if any(not np.array_equal(after[0][name], after[1][name]) for name in after[0]):
        return passed("an update from the same weights differs between two seeds")
    return failed(
        f"an update draws no noise, though the paper declares {', '.join(names)}",
        expected="a draw from a normal or uniform distribution in every update",
        observed="none, and the same parameters after one update from each of two seeds",
        threshold="bit for bit",
        location=location_of(training.update),
    )
