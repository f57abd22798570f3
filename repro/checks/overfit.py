"""A few examples memorised to a computed floor: far above it something is broken, far below it something leaks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from repro.checks.floor import Floor, causal_axis, colliding, floor_of
from repro.checks.passes import continues
from repro.checks.registry import check, failed, not_run, passed, warned
from repro.checks.watch import NoDropout, kept, seed_all
from repro.contract.bench import Bench, Tensors
from repro.contract.components import location_of
from repro.errors import ComponentError
from repro.findings import Finding

#: Of what can be removed from the total (start − floor), so much must go. A broken update or a dead part removes next
#: to nothing; a healthy model of a few thousand parameters removes nearly all of a handful of examples.
REMOVED = 0.9
#: Peaks of the learning rate that are tried in turn, half decades around Adam's usual 1e-3, and decades for SGD.
PEAKS = {"sgd": (0.1, 1.0, 0.01)}
PEAKS_OF_ADAM = (3e-3, 1e-2, 1e-3)
#: From this share on, a model gets `LONGER` times the updates before it is called unable.
HALFWAY, LONGER = 0.5, 10
LOOK_EVERY = 10  # updates between two measurements of the total


@dataclass
class Memorised:
    model: Any
    batch: Tensors
    totals: list[tuple[int, float]]  # (updates made, total without dropout)
    peak: float
    held: bool  # whether the hook set the learning rate
    instead: bool = False  # whether Adam's step stood in for that of gradient descent

    @property
    def lowest(self) -> float:
        return min(value for _, value in self.totals)

    @property
    def last(self) -> float:
        return self.totals[-1][1]

    def removed(self, floor: float) -> float:
        """Share of the removable total that is gone."""
        start = self.totals[0][1]
        return (start - self.last) / (start - floor) if start > floor else 1.0


@contextmanager
def held_rate(rates: Iterator[float], instead: bool = False) -> Iterator[list[float]]:
    """Each optimiser step takes the next of `rates`, set from outside just before it; yields those that were taken.

    With `instead`, gradient descent applies its gradients by Adam's rule.
    """
    taken: list[float] = []
    moments: dict[torch.Tensor, tuple[torch.Tensor, torch.Tensor]] = {}

    @torch.no_grad()
    def by_adam(parameter: torch.Tensor, rate: float) -> None:
        gradient = parameter.grad
        assert gradient is not None
        first, second = moments.setdefault(parameter, (torch.zeros_like(parameter), torch.zeros_like(parameter)))
        first.lerp_(gradient, 0.1)
        second.lerp_(gradient.square(), 0.001)
        number = len(taken)
        direction = first / (1 - 0.9**number) / ((second / (1 - 0.999**number)).sqrt() + 1e-8)
        parameter.sub_(rate * direction)

    def set_rate(optimiser: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        rate = next(rates)
        taken.append(rate)
        if instead and type(optimiser) is torch.optim.SGD:
            for group in optimiser.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        by_adam(parameter, rate)
            rate = 0.0  # nothing is left to do for its own step
        for group in optimiser.param_groups:
            group["lr"] = torch.as_tensor(rate) if torch.is_tensor(group["lr"]) else rate

    handle = register_optimizer_step_pre_hook(set_rate)
    try:
        yield taken
    finally:
        handle.remove()


def ramp(peak: float, updates: int) -> Iterator[float]:
    """Up over a tenth of the updates, then down in a straight line to a hundredth of the peak."""
    rise = max(1, updates // 10)
    for step in range(1, 10 * updates):
        if step <= rise:
            yield peak * step / rise
        else:
            yield peak * max(0.01, 1 - (step - rise) / max(1, updates - rise))


def total_of(bench: Bench, model: Any, batch: Tensors, loss: Any) -> float:
    with torch.no_grad(), bench.precision(torch.float32):
        return float(bench.terms(model, batch, loss)["total"])


Totals = list[tuple[int, float]]
Enough = Callable[[Totals], bool]


def below(level: float) -> Enough:
    return lambda totals: totals[-1][1] <= level


def settled(floor: Floor) -> Enough:
    """Below half of the colliding entropy (a leak), or near the floor for thirty updates without passing under it."""
    assert floor.free is not None and floor.shared is not None
    collision, shared = floor.shared - floor.free, floor.shared

    def decided(totals: Totals) -> bool:
        near = [number for number, value in totals if value <= shared + 0.25 * collision]
        under = totals[-1][1] < shared - 0.1 * collision
        leaked = totals[-1][1] < shared - 0.55 * collision
        return leaked or (len(near) > 0 and totals[-1][0] - near[0] >= 30 and not under)

    return decided


def train_on(
    bench: Bench, batch: Tensors, updates: int, peak: float, enough: Enough, instead: bool = False
) -> Memorised:
    """The person's own `update` on one batch, float32, dropout off, learning rate from `ramp`; stops at `enough`.

    The total is that of a forward of the batch. Where streams of examples go on from batch to batch, updates carry a
    state, which such a forward lacks: there it is what the update itself hands to backward.
    """
    seed_all(bench.seed)
    model, loss = bench.model(dtype=torch.float32), bench.loss()
    carries = continues(bench) is not None
    handed: list[float] = []

    def backward(total: torch.Tensor) -> None:
        handed.append(float(total.detach()))
        total.backward()  # type: ignore[no-untyped-call]

    training = bench.training(model, loss, backward if carries else None)
    batch = {k: v.float() if torch.is_tensor(v) and v.is_floating_point() else v for k, v in batch.items()}
    model.train()
    totals: list[tuple[int, float]] = []
    with bench.precision(torch.float32), NoDropout(), held_rate(ramp(peak, updates), instead) as taken:
        totals.append((0, total_of(bench, model, batch, loss)))
        for number in range(1, updates + 1):
            training.update(dict(batch))
            if number % LOOK_EVERY == 0 or number == updates:
                model.train()
                seen = handed[-1] if carries and handed else total_of(bench, model, batch, loss)
                totals.append((number, seen))
                if not math.isfinite(totals[-1][1]) or enough(totals):
                    break
    return Memorised(model, batch, totals, peak, bool(taken), instead)


def memorise(bench: Bench, batch: Tensors, updates: int, floor: float, enough: Enough) -> Memorised:
    """The best of the peaks tried; the first that removes `REMOVED` ends the search."""
    kind = str(bench.paper.optimiser.get("kind", "adam")).lower()
    clip = bench.paper.optimiser.get("clip")
    # a step of gradient descent is as long as its gradient: clipped to less than 1, it needs as much more of a rate
    scale = 1 / min(1.0, float(clip)) if clip and kind in PEAKS else 1.0
    best: Memorised | None = None
    for peak in (scale * usual for usual in PEAKS.get(kind, PEAKS_OF_ADAM)):
        run = train_on(bench, batch, updates, peak, enough)
        if best is None or not math.isfinite(best.last) or run.last < best.last:
            best = run
        if (math.isfinite(run.last) and run.removed(floor) >= REMOVED) or not run.held:
            break
    assert best is not None
    if best.removed(floor) < HALFWAY and kind == "sgd" and best.held:
        # gradient descent stands for long on plateaus that a step of another length leaves, those of recurrent nets
        # first; the rule of the step is the business of other checks
        for peak in PEAKS_OF_ADAM[:2]:
            other = train_on(bench, batch, LONGER * updates // 2, peak, enough, instead=True)
            best = other if other.last < best.last else best
            if best.removed(floor) >= REMOVED:
                break
    if HALFWAY <= best.removed(floor) < REMOVED:
        # it learns, but slowly: a small model, or plain gradient descent; what is cut or wrong does not get this far
        longer = train_on(bench, batch, LONGER * updates, best.peak, enough, best.instead)
        if longer.last < best.last:
            best = longer
    return best


def example_count(bench: Bench, batch: Tensors) -> int:
    for name, declared in bench.paper.tensors.items():
        if name in batch and "batch" in declared.axes:
            return int(batch[name].shape[declared.axes.index("batch")])
    return 0


def why_not(bench: Bench) -> str:
    """Why no batch can be memorised, "" where it can."""
    if not isinstance(bench.model(), torch.nn.Module) or isinstance(bench.loss(), dict):
        return "several modules or losses: what memorising an example means is not declared for this type of paper"
    if not any("batch" in declared.axes for declared in bench.paper.tensors.values()):
        return "no tensor declares an axis `batch`, so examples cannot be counted"
    if bench.paper.noise():
        return f"the model draws noise ({', '.join(bench.paper.noise())}), so the floor of its loss cannot be reached"
    return ""


LIKELY_ABOVE = (
    "targets and inputs do not belong together (shifted twice, wrong order)",
    "gradients are cut, or part of the model is not in the optimiser",
    "the loss does not depend on the whole output, or has the wrong sign",
)
LIKELY_BELOW = (
    "the model sees what it must predict: causal mask missing, inverted, off by one, or without effect",
    "the target goes in unshifted",
    "batch items see each other",
)
NOT_FINITE = (
    "a division by zero or logarithm of zero in the loss",
    "a row of attention that is masked entirely",
)


def outcome(run: Memorised, floor: Floor, bound: float, what: str) -> Finding:
    """The finding of one memorising."""
    start, last, made = run.totals[0][1], run.last, run.totals[-1][0]
    location = location_of(run.model)
    removed = run.removed(bound)
    free = floor.free if floor.free is not None else bound
    rate = f"peak rate {run.peak:g}{' by Adam in place of gradient descent' if run.instead else ''}"
    reached = f"{start:.4g} → {last:.4g} in {made} updates ({rate}, dropout off); floor {bound:.4g}"
    collision = bound - free
    details = {"totals": run.totals, "floor": bound, "free_floor": free, "start": start, "removed": removed}
    if collision > 0 and run.lowest < free + 0.5 * collision:
        return failed(
            f"{what}: the total falls to {run.lowest:.4g}, below what can be known from the inputs ({bound:.4g})",
            component="model",
            expected=f"at least {bound:.4g}: smoothed labels {free:.4g} + colliding prefixes {collision:.4g}",
            observed=reached,
            threshold=f"{free + 0.5 * collision:.4g}, half of the entropy of the colliding prefixes",
            location=location,
            likely=LIKELY_BELOW,
            details=details,
        )
    if not math.isfinite(last):
        return failed(
            f"{what}: the total is {last} after {made} updates",
            expected="a finite total",
            observed=reached,
            location=location,
            likely=NOT_FINITE,
            details=details,
        )
    if removed < REMOVED:
        return failed(
            f"{what}: only {removed:.0%} of what can be learned is learned in {made} updates",
            expected=f"a total within {1 - REMOVED:.0%} of the way from {start:.4g} to its floor {bound:.4g}",
            observed=reached,
            threshold=f"{bound + (1 - REMOVED) * (start - bound):.4g} ({REMOVED:.0%} removed, at the best peak rate)",
            location=location,
            likely=LIKELY_ABOVE,
            details=details,
        )
    return passed(
        f"{what}: {reached}",
        expected=f"floor {bound:.4g}",
        observed=f"{removed:.1%} removed",
        details=details,
    )


@check(phase="training", family="overfit", component="training")
def overfit_one_batch(bench: Bench, *, updates: int = 200, examples: int = 8) -> Finding:
    """One batch is memorised by the person's own update, down to a computed floor, and not far below it.

    Half of the examples share their input and differ in what follows, so that something stays unknowable: the floor is
    the entropy of smoothed labels plus that of the colliding prefixes. Dropout is off; the learning rate is held from
    outside on a short ramp, because a paper's warm-up may be longer than the test.

    Broken: the total stays far above the floor, or falls below it.
    Likely: targets and inputs do not belong together (shifted twice, wrong order) | gradients are cut, or part of
    the model is not in the optimiser | the model sees what it must predict: causal mask missing, inverted, off by
    one
    """
    reason = why_not(bench)
    if reason:
        return not_run(reason)
    batch = bench.synthetic(examples)
    if causal_axis(bench) is not None:
        batch = colliding(bench, batch, examples // 2)
    start = total_of(bench, bench.model(dtype=torch.float32), batch, bench.loss())
    if not math.isfinite(start):
        return failed(
            f"the total is {start} before the first update",
            expected="a finite total",
            observed=str(start),
            location=location_of(bench.loss()),
            likely=NOT_FINITE,
        )
    try:
        floor = floor_of(bench, batch)
    except ComponentError as cause:
        return not_run(
            f"the loss cannot be called with free outputs, so there is no floor: {cause.message.splitlines()[0]}"
        )
    if floor.free is None or floor.shared is None:
        return not_run(
            "the loss falls without end over free outputs (a learned variance?), or is partly detached (an advantage?),"
            " so there is no floor to memorise to"
        )
    if continues(bench):
        floor = Floor(floor.free, floor.free)  # what is carried may tell apart what collides
    assert floor.free is not None and floor.shared is not None
    if floor.shared - floor.free > 1e-6:
        enough = settled(floor)
    else:
        enough = below(floor.shared + 0.02 * max(0.0, start - floor.shared))
    run = memorise(bench, batch, updates, floor.shared, enough)
    kept(bench, "overfit", lambda: run)
    return outcome(run, floor, floor.shared, f"one batch of {examples}")


@check(phase="gauntlet", family="overfit", component="training")
def memorise_examples(bench: Bench, *, sizes: list[int] | None = None, updates: int | None = None) -> list[Finding]:
    """1, 10 and 100 examples are memorised by the person's own update, down to the computed floor of the loss.

    Broken: a single example is not memorised (something is cut), or ten are and a hundred are not (capacity, scale).
    Likely: gradients are cut, or part of the model is not in the optimiser | targets and inputs do not belong
    together | the scale of the initial weights or of the inputs is wrong
    """
    reason = why_not(bench)
    if reason:
        return [not_run(reason)]
    settings = bench.paper.settings.get("gauntlet") or {}
    sizes = list(sizes or settings.get("memorise") or [1, 10])
    updates = int(updates or settings.get("memorise_updates") or 300)
    findings: list[Finding] = []
    for size in sizes:
        batch = examples_of(bench, size)
        n = example_count(bench, batch)
        try:
            floor = floor_of(bench, batch)
        except ComponentError as cause:
            findings.append(
                not_run(f"the loss cannot be called with free outputs, so there is no floor: {cause.message}")
            )
            continue
        if floor.shared is None:
            findings.append(
                not_run("the loss falls without end over free outputs, or is partly detached: there is no floor")
            )
            continue
        start = total_of(bench, bench.model(dtype=torch.float32), batch, bench.loss())
        enough = below(floor.shared + 0.05 * max(0.0, start - floor.shared))
        run = memorise(bench, batch, updates, floor.shared, enough)
        what = f"{n} example{'s' if n != 1 else ''}"
        finding = outcome(run, Floor(floor.shared, floor.shared), floor.shared, what)
        if finding.blocks and n > 10 and run.removed(floor.shared) >= 0.5:
            # many examples may need more updates than the budget gives: that is slow, not broken
            finding = warned(
                finding.summary + " (more than half: raise gauntlet.memorise_updates to decide)",
                expected=finding.expected,
                observed=finding.observed,
                details=finding.details,
            )
        findings.append(finding)
    return findings


def examples_of(bench: Bench, n: int) -> Tensors:
    """`n` real training examples where a first batch has as many, else synthetic ones."""
    if n == 1:
        return bench.synthetic(1)
    batch = bench.as_declared(bench.real("train", n))
    return batch if example_count(bench, batch) >= n else bench.synthetic(n)
