"""Learning rate: at the watched updates, and with the schedule alone driven to the last update, against the formula."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from repro import arithmetic
from repro.checks.inputs import Tensors, summed_over
from repro.checks.loss import sum_is_compensated
from repro.checks.registry import check, failed, not_run, passed, warned
from repro.checks.trace import HAND_WRITTEN
from repro.checks.watch import named_parameters, seed_all, watched
from repro.contract.bench import Bench
from repro.contract.components import call_by_name, location_of, persons_errors
from repro.contract.paper import Paper
from repro.errors import ComponentError
from repro.findings import Finding

#: A rate may come from arithmetic in float32 (a tensor learning rate): four units in the last of its places.
RELATIVE = 4 * torch.finfo(torch.float32).eps
#: Schedules that multiply the last rate collect one rounding an update; over 1e5 updates that is 1e5 · 2^-53 ≈ 1e-11
#: of the largest rate, which decides where the formula itself is near zero.
OF_THE_PEAK = 1e-9
#: Optimisers whose step does not grow with the gradient.
ADAPTIVE = ("adam", "adamw", "adamax", "nadam", "radam", "rmsprop", "adagrad", "adadelta")
DRIVING_SECONDS = 3.0  # the time that driving one schedule may take before updates are skipped
DRIVING_SECONDS_SURE = 20.0  # and to confirm a deviation that was seen after skipping


def formula(paper: Paper) -> Callable[[int], float] | None:
    """The declared learning rate of update `step`, counted from 1; None when none is declared."""
    text = paper.schedule.get("learning_rate")
    if text is None:
        return None
    names = {key: value for key, value in (paper.schedule.get("names") or {}).items()}
    return lambda step: float(arithmetic.evaluate(str(text), {**names, "step": step}))


def breaks(paper: Paper) -> list[int]:
    """The updates where the declared formula bends, in order."""
    names = dict(paper.schedule.get("names") or {})
    return sorted({round(float(arithmetic.evaluate(str(text), names))) for text in paper.schedule.get("breaks") or ()})


def agrees(observed: float, expected: float, peak: float) -> bool:
    return abs(observed - expected) <= RELATIVE * abs(expected) + OF_THE_PEAK * abs(peak)


def deviation_pattern(rate: Callable[[int], float], seen: dict[int, float], peak: float) -> str:
    """The bug that the pattern of observed rates points at, "" when none does."""

    def shifted(by: int) -> bool:
        pairs = [(step, lr) for step, lr in seen.items() if step + by >= 1]
        differ = any(not agrees(rate(step), rate(step + by), peak) for step, _ in pairs)
        return bool(pairs) and differ and all(agrees(lr, rate(step + by), peak) for step, lr in pairs)

    if shifted(-1):
        return "the schedule counts from 0: every update gets the rate of the update before (off by one)"
    if shifted(1):
        return "the schedule is advanced before the update: every update gets the rate of the next one (off by one)"
    ratios = [lr / rate(step) for step, lr in seen.items() if rate(step)]
    if ratios and max(ratios) - min(ratios) <= 1e-6 * abs(max(ratios)):
        return f"the height of the schedule is {ratios[0]:.4g} times the declared one (a factor is missing or wrong)"
    if len(seen) > 1 and len({f"{lr:.9g}" for lr in seen.values()}) == 1:
        return "the rate never changes: the schedule is not advanced, or its rate never reaches the optimiser"
    if seen.get(2) is not None and seen.get(1) == seen.get(2) and not agrees(rate(1), rate(2), peak):
        return "the first two updates share one rate: the step is clamped to 1, not counted from 1 (off by one)"
    return ""


def report_rates(paper: Paper, seen: dict[int, float], location: str, how: str, likely: tuple[str, ...]) -> Finding:
    """One finding that compares observed rates by update with the declared formula."""
    rate = formula(paper)
    assert rate is not None
    peak = max(abs(rate(step)) for step in [*seen, *[b for b in breaks(paper) if b >= 1]])
    wrong = [step for step, lr in sorted(seen.items()) if not agrees(lr, rate(step), peak)]
    threshold = f"{RELATIVE:.1e} of the rate (float32 arithmetic) + {OF_THE_PEAK:g} of the peak (rounding that adds up)"
    source = paper.schedule.get("source", "the config")
    if not wrong:
        return passed(
            f"the rate is the declared one at {len(seen)} updates, the last of them {max(seen):,} ({how})",
            expected=str(paper.schedule["learning_rate"]),
            threshold=threshold,
        )
    pattern = deviation_pattern(rate, seen, peak)
    shown = wrong[:3]
    return failed(
        f"the learning rate deviates from the paper ({source}) at {len(wrong)} of {len(seen)} updates,"
        f" first at update {wrong[0]:,} ({how})",
        expected=", ".join(f"update {step:,}: {rate(step):.9g}" for step in shown)
        + f" ({paper.schedule['learning_rate']})",
        observed=", ".join(f"update {step:,}: {seen[step]:.9g}" for step in shown),
        threshold=threshold,
        location=location,
        likely=tuple(part for part in (pattern, *likely) if part)[:4],
        details={"declare": "a deliberate deviation: change schedule.learning_rate in the paper's config"},
    )


def divided_as_the_sum(
    bench: Bench, finding: Finding, seen: dict[int, float], batches: Mapping[int, Mapping[str, torch.Tensor]]
) -> Finding:
    """The finding on a rate that deviates, which only warns where the loss is a sum over the batch and the rate is the
    declared one divided by the number of what is summed: the mean of a paper, written another way.
    """
    rate = formula(bench.paper)
    if not finding.blocks or rate is None:
        return finding
    counts = {step: summed_over(bench, batches[step]) for step in seen}
    for name in counts[min(seen)]:
        if not all(agrees(lr * counts[step].get(name, 0), rate(step), abs(rate(step))) for step, lr in seen.items()):
            continue
        if not sum_is_compensated(bench):
            return finding
        by_size = str(bench.paper.optimiser.get("kind", "")).lower() in ADAPTIVE
        return warned(
            f"the loss is a sum over the {name} of a batch, and the rate is the declared one divided by their number",
            expected=finding.expected,
            observed=f"{finding.observed}; {counts[min(seen)][name]} {name} at update {min(seen)}"
            + (
                f". {bench.paper.optimiser['kind']} divides the size of the gradient out, so the steps themselves are"
                " shorter by that number: divide the loss instead"
                if by_size
                else ""
            ),
            threshold=finding.threshold,
            location=finding.location,
        )
    return finding


LIKELY = (
    "warm-up off by one: updates are counted from 0, or the step is clamped to 1",
    "the schedule is advanced in another unit (epochs instead of updates, or twice an update)",
    "a factor or exponent of the formula is wrong",
)


@check(phase="training", family="trace", component="training")
def learning_rate_trace(bench: Bench) -> Finding:
    """The learning rate that the optimiser holds at each watched step is the declared formula, steps counted from 1.

    Broken: the first update does nothing or repeats, the peak comes an update late, the height is off by a factor.
    Likely: warm-up off by one: updates are counted from 0, or the step is clamped to 1 | the schedule is advanced
    in another unit (epochs instead of updates, or twice an update) | a factor or exponent of the formula is wrong
    """
    if formula(bench.paper) is None:
        return not_run("declare schedule.learning_rate as an expression of `step`")
    recording = watched(bench)
    seen: dict[int, float] = {}
    for update, step in recording.steps:
        rates = {float(group["lr"]) for group in step.groups}
        if len(rates) > 1:
            return failed(
                f"the groups of {step.optimiser} have {len(rates)} different learning rates at update {update.number}",
                expected="one rate for all parameters, as declared",
                observed=", ".join(f"{lr:.9g}" for lr in sorted(rates)),
                location=recording.location,
            )
        seen[update.number] = rates.pop()
    if not seen:
        return not_run(HAND_WRITTEN)
    finding = report_rates(bench.paper, seen, recording.location, "watched updates", LIKELY)
    batches = {update.number: update.batch for update in recording.updates}
    return divided_as_the_sum(bench, finding, seen, batches)


@check(phase="training", family="trace", component="training")
def schedule_driven(bench: Bench, *, updates: int | None = None) -> Finding:
    """The schedule alone, driven without forward passes through every break to the last update, follows the formula.

    Broken: warm-up never ends, a milestone is missed, the rate decays in the wrong unit, the schedule restarts.
    Likely: a milestone counted in epochs where the paper counts updates (or the reverse) | the schedule is advanced
    twice an update, or only once an epoch | min and max of the formula exchanged
    """
    rate = formula(bench.paper)
    if rate is None:
        return not_run("declare schedule.learning_rate as an expression of `step`")
    last = int(updates or (bench.paper.settings.get("reproduction") or {}).get("updates") or 0)
    if last < 1:
        return not_run("declare reproduction.updates, the number of the last update")
    if not watched(bench).steps:
        return not_run(HAND_WRITTEN)
    location = location_of(bench.training(bench.model()).update)
    interesting = interesting_updates(last, [b for b in breaks(bench.paper)])
    seen, how = drive(bench, last, interesting, DRIVING_SECONDS)
    if not seen:
        return not_run(how)
    finding = report_rates(bench.paper, seen, location, how, CURRENT_LIKELY)
    if finding.blocks and "skipped" in how:
        # a schedule that multiplies its last rate cannot be jumped: only an unbroken drive may accuse
        seen, how = drive(bench, last, interesting, DRIVING_SECONDS_SURE, jump=False)
        finding = report_rates(bench.paper, seen, location, how, CURRENT_LIKELY)
    batches = dict.fromkeys(seen, driving_batch(bench))
    return divided_as_the_sum(bench, finding, seen, batches)


CURRENT_LIKELY = (
    "a milestone counted in epochs where the paper counts updates (or the reverse)",
    "the schedule is advanced twice an update, or only once an epoch",
    "warm-up off by one",
)


def interesting_updates(last: int, bends: list[int]) -> list[int]:
    """The first updates, three on either side of every break, log-spaced ones between, and the last three."""
    chosen = set(range(1, min(last, 20) + 1)) | {last - 2, last - 1, last}
    for bend in bends:
        chosen |= set(range(bend - 3, bend + 4))
    chosen |= {round(last ** (i / 60)) for i in range(61)}
    chosen |= {round(last * i / 20) for i in range(1, 21)}
    return sorted(step for step in chosen if 1 <= step <= last)


# --- driving
# ----------------------------------------------------------------------------------------------------------


def driving_batch(bench: Bench) -> Tensors:
    """The batch that every update of a drive gets."""
    return bench.synthetic(2)


def drive(
    bench: Bench, last: int, interesting: list[int], seconds: float, jump: bool = True
) -> tuple[dict[int, float], str]:
    """Observed rates by update, and how they were got; ({}, reason) where nothing can be driven.

    Where `update` reads more than a silent forward gives, the real one runs instead.
    """
    try:
        return drive_with(bench, last, interesting, seconds, jump, silent=True)
    except ComponentError:
        return drive_with(bench, last, interesting, seconds, jump, silent=False)


def drive_with(
    bench: Bench, last: int, interesting: list[int], seconds: float, jump: bool, silent: bool
) -> tuple[dict[int, float], str]:
    """The same, with forwards that are `silent` or real.

    A silent forward gives zeros of the declared shapes, the loss zeros, so `update` computes its schedule alone; the
    real parameters get no gradient and stay. Updates are skipped, through the counter in `state_dict`, only where
    driving all of them would take too long and a trial skip gave the same rate as driving.
    """
    with bench.precision():
        seed_all(bench.seed)
        model = bench.model()
        batch = driving_batch(bench)
        if silent:
            training = bench.training(
                model, stub_loss(bench, stub_terms(bench, model, batch)), no_backward(bench, model)
            )
        else:
            training = bench.training(model, bench.loss())
        rates: list[float] = []

        def read(optimiser: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
            rates.append(float(optimiser.param_groups[0]["lr"]))

        def update() -> float | None:
            rates.clear()
            training.update(dict(batch))
            return rates[-1] if rates else None

        handle = register_optimizer_step_pre_hook(read)
        try:
            with (
                silent_forward(bench, model, batch) if silent else nullcontext(),
                persons_errors("training: update raised"),
            ):
                return drive_updates(training, update, last, interesting, seconds, jump)
        finally:
            handle.remove()


def drive_updates(
    training: Any,
    update: Callable[[], float | None],
    last: int,
    interesting: list[int],
    seconds: float,
    jump: bool,
) -> tuple[dict[int, float], str]:
    seen: dict[int, float] = {}
    states: dict[int, Any] = {}
    start = time.perf_counter()
    wanted = set(interesting)
    number = 0
    while number < last:
        number += 1
        rate = update()
        if rate is None:
            return (
                {},
                HAND_WRITTEN,
            )
        if number in wanted or number <= 20:
            seen[number] = rate
        if number in (1, 2):
            states[number] = copy.deepcopy(training.state_dict())
        spent = time.perf_counter() - start
        if number >= 20 and spent / number * last > seconds and jump and len(states) == 2:
            counters = counters_of(states[1], states[2])
            if counters and skips_truly(training, update, states[2], counters, seen):
                for target in [step for step in interesting if step > number]:
                    training.load_state_dict(moved(states[2], counters, target - 3))
                    rate = update()
                    assert rate is not None
                    seen[target] = rate
                return seen, f"driven to update {number}, then skipped to each break, to the end and between"
            jump = False
        if spent > max(seconds, DRIVING_SECONDS_SURE if not jump else 0.0):
            return (
                seen,
                f"driven to update {number:,} of {last:,}, where {spent:.0f} s were spent; later ones are not decided",
            )
    return seen, f"every update driven to {last:,}"


Path = tuple[Any, ...]


def counters_of(first: Any, second: Any, path: Path = ()) -> list[Path]:
    """Where in two successive states a whole number grew by exactly 1."""
    if isinstance(first, dict) and isinstance(second, dict):
        return [p for key in first if key in second for p in counters_of(first[key], second[key], (*path, key))]
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        return [p for i, (a, b) in enumerate(zip(first, second, strict=True)) for p in counters_of(a, b, (*path, i))]
    if isinstance(first, int) and isinstance(second, int) and not isinstance(first, bool) and second - first == 1:
        return [path]
    if torch.is_tensor(first) and torch.is_tensor(second) and first.numel() == 1 and float(second) - float(first) == 1:
        return [path]
    return []


def moved(state: Any, counters: list[Path], by: int) -> Any:
    """A copy of the state after update 2 whose counters say that `by` + 2 updates were made."""
    changed = copy.deepcopy(state)
    for path in counters:
        holder = changed
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = holder[path[-1]] + by
    return changed


def skips_truly(
    training: Any,
    update: Callable[[], float | None],
    state: Any,
    counters: list[Path],
    seen: dict[int, float],
) -> bool:
    """Whether skipping from update 2 to update 19 gives the rate that driving gave there."""
    here = copy.deepcopy(training.state_dict())
    training.load_state_dict(moved(state, counters, 19 - 3))
    same = update() == seen[19]
    training.load_state_dict(here)
    return same


def stub_terms(bench: Bench, model: Any, batch: dict[str, torch.Tensor]) -> dict[str, list[str]]:
    """The names of the terms of each loss, from one real forward."""
    loss = bench.loss()
    with torch.no_grad():
        batch = bench.with_noise_of_loss(model, batch)
        tensors = {**batch, **bench.forward(model, batch)}
        if not isinstance(loss, dict):
            return {"loss": list(bench.call_loss(tensors, loss))}
        return {name: list(bench.call_loss(tensors, loss, name)) for name in loss}


def stub_loss(bench: Bench, terms: dict[str, list[str]]) -> Any:
    """Losses that return zeros under the names of their terms."""

    def zeros(names: list[str]) -> Callable[..., dict[str, torch.Tensor]]:
        return lambda *args, **kwargs: {name: torch.zeros((), requires_grad=True) for name in names}

    stubs = {name: zeros(names) for name, names in terms.items()}
    return stubs if isinstance(bench.loss(), dict) else stubs["loss"]


def no_backward(bench: Bench, model: Any) -> Callable[..., None]:
    """A backward that leaves gradients of zero, which `update` may read (to clip, to log, to step by hand)."""
    parameters = named_parameters(bench.modules(model)).values()

    def backward(*args: Any, **kwargs: Any) -> None:
        for parameter in parameters:
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)

    return backward


@contextmanager
def silent_forward(bench: Bench, model: Any, batch: dict[str, torch.Tensor]) -> Iterator[None]:
    """Every module's forward returns what it returned once, zeroed; nothing is computed."""
    modules = bench.modules(model)
    if list(modules) != ["model"]:
        yield  # several modules feed each other: their forwards run
        return
    module = modules["model"]
    with torch.no_grad():
        returned = call_by_name(module, batch, "model.forward")

    def zeroed(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: zeroed(part) for name, part in value.items()}
        if isinstance(value, tuple):
            return tuple(zeroed(part) for part in value)
        return torch.zeros_like(value, requires_grad=value.is_floating_point()) if torch.is_tensor(value) else value

    value = zeroed(returned)
    module.forward = lambda *args, **kwargs: value
    try:
        yield
    finally:
        del module.forward
