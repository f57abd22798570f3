"""Batches that come from acting: whose probabilities they hold, what is normalised, and the whole loss of PPO."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.checks import tolerance
from repro.checks.inputs import component_location, forward_inputs
from repro.checks.passes import needs_acting
from repro.checks.pieces import Case, matching, shown
from repro.checks.registry import check, failed, not_run, passed
from repro.checks.watch import seed_all
from repro.contract.bench import Bench
from repro.contract.components import persons_errors
from repro.errors import ComponentError
from repro.findings import Finding
from repro.oracles import policies as oracle

BATCHES = 80  # of one pass, at most: two epochs of 32 minibatches and a few more
REPEATED = 50  # rows that came twice, from which it is clear whether what is stored with them is constant


def acted(bench: Bench, seed: int, model: Any) -> Iterator[dict[str, Tensor]]:
    """Batches of one training pass by a data component of this seed, which `model` acts for as its weights change."""
    with bench.precision(torch.float32):
        data = bench.paper.build_data(seed)
        with persons_errors("data: batches('train') raised"):
            yield from (dict(batch) for batch in data.batches("train", model=model))


def undeclared(bench: Bench, check_name: str, names: Mapping[str, str]) -> Finding | None:
    """Not run, where an option names no declared tensor; None where all do."""
    missing = [f"{option}: <tensor>" for option, name in names.items() if name not in bench.paper.tensors]
    return not_run(f"properties: {check_name} needs {', '.join(missing)}") if missing else None


def arrays(values: Sequence[Tensor]) -> list[np.ndarray]:
    return [value.detach().double().numpy() for value in values]


def log_probability(distribution: str, parameters: Sequence[np.ndarray], action: np.ndarray) -> np.ndarray:
    """[n] of actions under the declared distribution, in float64."""
    if distribution == "categorical":
        return oracle.categorical_log_probability(parameters[0], action.astype(np.int64))
    return oracle.gaussian_log_probability(parameters[0], parameters[1], action)


def entropy(distribution: str, parameters: Sequence[np.ndarray]) -> np.ndarray:
    """[n] of the declared distribution, in float64."""
    if distribution == "categorical":
        return oracle.categorical_entropy(parameters[0])
    return oracle.gaussian_entropy(parameters[1])


def unknown(distribution: str, parameters: Sequence[str]) -> str:
    """Why a declared distribution cannot be computed; "" where it can."""
    wanted = {"categorical": 1, "gaussian": 2}.get(distribution)
    if wanted is None:
        return f"distribution is {distribution!r}, known are categorical and gaussian"
    if wanted != len(parameters):
        needed = "[logits]" if wanted == 1 else "[mean, log_std]"
        return f"parameters are {list(parameters)}, a {distribution} distribution has {needed}"
    return ""


# --- data -----------------------------------------------------------------------------------------------------------


@check(phase="data", family="trace", component="data")
def acting_policy_stored(
    bench: Bench,
    *,
    action: str = "",
    log_probability: str = "",
    distribution: str = "",
    parameters: list[str] | None = None,
    value: str = "",
    old_value: str = "",
) -> list[Finding]:
    """Decides whether a batch holds the log-probability of the policy that acted: ratio 1 at first, then constant.

    Before any update the policy that learns is the one that acted, so the ratio of both is exactly 1. Afterwards the
    same step must come with the same old log-probability, though the policy has changed.
    Broken: a first ratio other than 1, or an old log-probability that follows the policy.
    Likely: the old log-probability is recomputed with the current policy | the log-probability of another action than
    the one stored (clipped, squashed, of the next step) | actions and log-probabilities are flattened in different
    orders
    """
    parameters = list(parameters or ())
    named = {"action": action, "log_probability": log_probability} | ({"old_value": old_value} if old_value else {})
    reason = undeclared(bench, "acting_policy_stored", named)
    if reason is None and (fault := unknown(distribution, parameters)):
        reason = not_run(f"properties: acting_policy_stored: {fault}")
    if reason is not None:
        return [reason]
    seed_all(bench.seed)
    model = bench.model(dtype=torch.float32)
    batches = acted(bench, bench.seed, model)
    first = next(batches, None)
    if first is None:
        return [not_run("a training pass yields no batch")]
    outputs, again = outputs_of(bench, model, first), outputs_of(bench, model, first)
    if any(not torch.equal(outputs[name], again[name]) for name in outputs):
        return [not_run("two forwards of one batch differ: what the policy said when it acted cannot be asked again")]
    if value and outputs[value].shape != first[next(iter(named.values()))].shape[:1]:
        return [not_run(f"the model gives {value} of shape {list(outputs[value].shape)}, not one number a step")]
    findings = [judge_first(bench, outputs, first, action, log_probability, distribution, parameters)]
    if value and old_value:
        findings.append(judge_value(bench, outputs, first, value, old_value))
    findings.append(
        not_run(RECURRING)
        if recurs(bench, first)
        else judge_constant(bench, model, first, batches, action, log_probability)
    )
    return findings


def outputs_of(bench: Bench, model: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for module in bench.modules(model).values():
        module.eval()
    with torch.no_grad():
        return bench.forward(model, batch)


def rounding(*values: np.ndarray) -> float:
    """Half of float32's digits of the largest value: densities of far actions lose more than a few roundings."""
    return float(tolerance.FLOAT32**0.5) * (1 + max(float(np.abs(value).max()) for value in values))


def judge_first(
    bench: Bench,
    outputs: Mapping[str, Tensor],
    batch: Mapping[str, Tensor],
    action: str,
    stored: str,
    distribution: str,
    parameters: Sequence[str],
) -> Finding:
    given = arrays([outputs[name] for name in parameters])
    taken, old = arrays([batch[action], batch[stored]])
    new = own_log_probability(bench, distribution, [outputs[name] for name in parameters], batch[action])
    bound = rounding(new, *given)
    fields: dict[str, Any] = {
        "expected": f"{stored} is log π({action}) of the policy that acts: ratio 1 before the first update",
        "threshold": f"{bound:.2g} nats (half of the digits of float32)",
        "location": component_location(bench, "data"),
        "component": stored,
    }
    if old.shape != new.shape:
        return failed(
            f"{stored} has another shape than one number a step",
            **{**fields, "observed": f"{list(old.shape)}, need {list(new.shape)}"},
            likely=("log-probabilities are not summed over the action dimensions",),
        )
    gap = np.abs(old - new)
    fields["observed"] = f"ratios {np.exp((new - old).min()):.4g} … {np.exp((new - old).max()):.4g} in {len(gap)} steps"
    if float(gap.max()) <= bound:
        return passed(f"the ratio is 1 in all {len(gap)} steps of the first batch", **fields)
    return failed(
        f"the ratio is not 1 before the first update in {int((gap > bound).sum())} of {len(gap)} steps",
        likely=first_likely(old, new, distribution, given, taken),
        **fields,
    )


def first_likely(
    old: np.ndarray, new: np.ndarray, distribution: str, given: Sequence[np.ndarray], taken: np.ndarray
) -> tuple[str, ...]:
    """What else the stored numbers are, the likeliest first."""
    other = "the log-probability of another action than the one stored (clipped, squashed, of the next step)"
    order = "actions and log-probabilities are flattened in different orders"
    words = [order, other, "the observation stored is not the one acted on"]
    if distribution == "categorical":
        table = np.log(oracle.probabilities(given[0]))
        if np.allclose(old, np.exp(new), atol=1e-4):
            words.insert(0, "probabilities are stored instead of log-probabilities")
        elif np.allclose(old, -new, atol=1e-4):
            words.insert(0, "the sign of the log-probability is wrong")
        elif bool((np.abs(table - old[:, None]).min(axis=1) < 1e-3).all()):
            words.insert(0, other)
    else:
        each = oracle.log_probability_mistakes(given[0], given[1], taken)
        for mistake, text in oracle.LOG_PROBABILITY_MISTAKES.items():
            if each[mistake].shape == old.shape and np.allclose(old, each[mistake], atol=1e-3):
                words.insert(0, text)
    return tuple(dict.fromkeys(words))


def own_log_probability(bench: Bench, distribution: str, parameters: Sequence[Tensor], action: Tensor) -> np.ndarray:
    """[n] by the person's own piece where it is declared, for the ratio is made with it; else by the oracle.

    Whether the piece is right is decided beside the model.
    """
    piece = bench.piece(f"{distribution}_log_probability")
    if piece is None:
        return log_probability(distribution, arrays(parameters), *arrays([action]))
    with persons_errors(f"pieces.{distribution}_log_probability raised"), torch.no_grad():
        return arrays([piece(*parameters, action)])[0]


def judge_value(
    bench: Bench, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor], value: str, old_value: str
) -> Finding:
    new, old = arrays([outputs[value], batch[old_value]])
    bound = rounding(new)
    gap = float(np.abs(new - old).max()) if new.shape == old.shape else np.inf
    fields: dict[str, Any] = {
        "expected": f"{old_value} is {value} of the same observation before the first update",
        "observed": f"largest difference {gap:.3g}",
        "threshold": f"{bound:.2g} (half of the digits of float32)",
        "location": component_location(bench, "data"),
        "component": old_value,
    }
    if gap <= bound:
        return passed(f"{old_value} is the critic's of the same observation", **fields)
    likely = ("values and observations are flattened in different orders", "values of the next step are stored")
    return failed(f"{old_value} is not the critic's value of its observation", likely=likely, **fields)


def judge_constant(
    bench: Bench, model: Any, first: Mapping[str, Tensor], rest: Iterator[dict[str, Tensor]], action: str, stored: str
) -> Finding:
    """Whether steps that come again, in another epoch, keep what is stored with them while the policy changes."""
    inputs = [*forward_inputs(bench, first), action]

    def rows(batch: Mapping[str, Tensor]) -> Iterator[tuple[bytes, float]]:
        columns = [batch[name].detach().cpu().numpy() for name in inputs]
        for number, old in enumerate(batch[stored].detach().double().reshape(len(columns[0]), -1).sum(dim=1).tolist()):
            yield b"".join(np.ascontiguousarray(column[number]).tobytes() for column in columns), old

    known = dict(rows(first))
    again = changed = 0
    generator = torch.Generator().manual_seed(bench.seed)
    for batch in islice(rest, BATCHES):
        for key, old in rows(batch):
            before = known.setdefault(key, old)
            if before is not old:
                again += 1
                changed += abs(before - old) > 1e-6 * max(1.0, abs(before))
        if again >= REPEATED:
            break
        with torch.no_grad():  # as if updates had been made
            for module in bench.modules(model).values():
                for parameter in module.parameters():
                    parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    fields: dict[str, Any] = {
        "expected": f"a step that comes again has the {stored} that it had, though the policy has changed",
        "observed": f"{changed} of {again} changed",
        "threshold": "half of them: another step may look the same",
        "location": component_location(bench, "data"),
        "component": stored,
    }
    if again < REPEATED:
        return not_run(f"only {again} steps come twice in {BATCHES} batches of a pass: one epoch on each rollout")
    if changed <= again / 2:
        return passed(f"{stored} stays what it was when the policy acted ({again} steps seen again)", **fields)
    likely = ("the old log-probability is recomputed with the current policy: the ratio is always 1",)
    return failed(f"{stored} follows the policy from epoch to epoch", likely=likely, **fields)


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
    likely: tuple[str, ...] = ("operator precedence: only the mean is divided (a - a.mean() / a.std())",)
    if abs(mean) < 1e-3 * std:
        likely = ("not divided by the standard deviation", "divided by the variance instead of the standard deviation")
    elif abs(std - 1) < 0.01:
        likely = ("the mean is not subtracted",)
    return failed(f"{tensor} is not normalised", likely=(*likely, "advantages are not normalised at all"), **fields)


def judge_belonging(bench: Bench, batches: list[dict[str, Tensor]], tensor: str, target: str, baseline: str) -> Finding:
    """Whether advantage and target minus baseline are one straight line in every batch, rising."""
    worst = 1.0
    for batch in batches:
        a, b = batch[tensor].double(), batch[target].double() - batch[baseline].double()
        a, b = a - a.mean(), b - b.mean()
        sizes = float(a.norm() * b.norm())
        if sizes > 0:
            worst = min(worst, float(a @ b) / sizes)
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
    bound = 1 - float(tolerance.FLOAT32**0.5)
    fields: dict[str, Any] = {
        "component": tensor,
        "expected": f"{tensor} rises in a straight line with {target} - {baseline} of its own step",
        "observed": f"correlation {worst:.6f} in the worst of {len(batches)} batches",
        "threshold": f"{bound:.6f} (half of the digits of float32)",
        "location": component_location(bench, "data"),
    }
    if worst >= bound:
        return passed(f"each {tensor} belongs to its own step", **fields)
    likely = (
        "flattened in different orders ((T, N) for one, (N, T) for another)",
        "the value target is not advantage plus old value",
    )
    return failed(f"{tensor} and {target} are not of the same step", likely=likely, **fields)


def is_normal(values: Tensor) -> bool:
    """Mean 0 and standard deviation 1, whichever variance was used, up to an epsilon in the denominator."""
    return abs(float(values.mean())) < 1e-3 and abs(float(values.std()) - 1) < 1e-3 + 1 / len(values)


@check(phase="data", family="data", component="data")
def epochs_shuffled(bench: Bench) -> Finding:
    """Decides whether steps that training sees again, in another epoch, come in another order.

    Broken: two epochs over one rollout in the same order, or in that of time.
    Likely: the training loader is not shuffled: minibatches are cut in the order of time | the order is drawn once and
    used in every epoch
    """
    if not needs_acting(bench):
        return not_run("the data do not come from acting")
    seed_all(bench.seed)
    batches = acted(bench, bench.seed, bench.model(dtype=torch.float32))
    first: dict[bytes, int] = {}
    order: list[int] = []
    for batch in islice(batches, BATCHES):
        if recurs(bench, batch):
            return not_run(RECURRING)
        columns = [batch[name].detach().cpu().numpy() for name in forward_inputs(bench, batch)]
        for row in range(len(columns[0])):
            key = b"".join(np.ascontiguousarray(column[row]).tobytes() for column in columns)
            if key in first:
                order.append(first[key])
            else:
                first[key] = len(first)
        if len(order) >= 2 * REPEATED:
            break
    if len(order) < REPEATED:
        return not_run(f"only {len(order)} steps come twice in {BATCHES} batches of a pass: one epoch on each rollout")
    same = sum(later == earlier + 1 for earlier, later in pairwise(order)) / (len(order) - 1)
    fields: dict[str, Any] = {
        "expected": "another order in each epoch",
        "observed": f"{same:.0%} of neighbours of the second epoch were neighbours in the first",
        "threshold": "half: of a random order, next to none",
        "location": component_location(bench, "data"),
    }
    if same <= 0.5:
        return passed("steps come in another order in each epoch", **fields)
    return failed("two epochs over a rollout have one order", **fields)


class RecordedError(Exception):
    """The piece was called: nothing that follows is needed."""


@contextmanager
def recording(piece: Callable[..., Any], arguments: dict[str, Any]) -> Iterator[None]:
    """Wherever a loaded module of the person's names the piece, a call leaves its arguments and goes no further."""
    signature = inspect.signature(piece)

    def recorder(*given: Any, **named: Any) -> Any:
        arguments.update(signature.bind(*given, **named).arguments)
        raise RecordedError

    package = piece.__module__.partition(".")[0] if "." not in piece.__module__ else piece.__module__.rpartition(".")[0]
    changed = [
        (module, name)
        for key, module in list(sys.modules.items())
        if key.startswith(package)
        for name, value in list(vars(module).items())
        if value is piece
    ]
    for module, name in changed:
        setattr(module, name, recorder)
    try:
        yield
    finally:
        for module, name in changed:
            setattr(module, name, piece)


def given_to_gae(bench: Bench, seed: int) -> tuple[np.ndarray, ...] | Finding:
    """values, next_values, terminated, truncated [T, N] of the first rollout of a seed; the weights stay."""
    piece = bench.piece("gae")
    if piece is None or not needs_acting(bench):
        return not_run("declare pieces.gae, of data that come from acting, to get it")
    given: dict[str, Any] = {}
    seed_all(bench.seed)
    model = bench.model(dtype=torch.float32)
    seed_all(seed)
    with recording(piece, given):
        try:
            next(acted(bench, seed, model), None)
        except RecordedError:
            pass
        except ComponentError as raised:
            if not isinstance(raised.__cause__, RecordedError):
                raise
    values = list(given.values())
    if len(values) < 5 or any(not isinstance(value, Tensor | np.ndarray) for value in values[:5]):
        return not_run("the data do not call the piece `gae` with its standard signature: what it is given is not seen")
    found = tuple(np.asarray(torch.as_tensor(one).double()) for one in values[1:5])
    if found[0].ndim != 2 or found[0].shape != found[1].shape:
        return not_run(f"the piece `gae` is called with values of shape {list(found[0].shape)}, not [T, N]")
    return found


@check(phase="data", family="trace", component="data")
def gae_is_given(bench: Bench) -> Finding:
    """Decides whether data hand the piece `gae` the value of the state that each step reached, in order of time.

    Where an episode goes on, the next value is that of the next row; after the last row it is V of the state reached.
    Broken: next values that are not those of the next row, or zero after the last one.
    Likely: no bootstrap at the end of the rollout (the last next value is 0) | rows of another order than time (N, T
    for T, N) | the value of the next step is that of another environment
    """
    given = given_to_gae(bench, bench.seed)
    if isinstance(given, Finding):
        return given
    value, after, terminated, truncated = given
    goes_on = (terminated + truncated)[:-1] == 0
    wrong = goes_on & ~np.isclose(after[:-1], value[1:], rtol=1e-4, atol=1e-4 * max(float(np.abs(value).max()), 1e-3))
    last = after[-1][(terminated[-1]) == 0]
    fields: dict[str, Any] = {
        "component": "gae",
        "expected": "next values are those of the next row where an episode goes on; V of the last state reached",
        "observed": f"{int(wrong.sum())} of {int(goes_on.sum())} differ; after the last row "
        + ", ".join(f"{number:.3g}" for number in last[:4]),
        "threshold": "1e-4 (float32, batches of other sizes)",
        "location": component_location(bench, "data"),
    }
    order = "rows of another order than time (N, T for T, N)"
    zero = "no bootstrap at the end of the rollout (the last next value is 0)"
    if wrong.any():
        return failed("the value after a step is not that of the next row", likely=(order, zero), **fields)
    if len(last) and not last.any():
        return failed("nothing stands for what follows the last row of a rollout", likely=(zero, order), **fields)
    return passed(f"every step of {value.shape[0]} × {value.shape[1]} has the value of the state it reached", **fields)


@check(phase="data", family="data", component="data")
def acting_seeds(bench: Bench) -> list[Finding]:
    """Decides whether another seed, another environment and another rollout make another experience.

    Broken: two seeds, or all environments of one, start the same episodes; a second pass holds the steps of the first.
    Likely: the environment is seeded with a constant | all environments get the same seed | the old rollout is used
    again after the policy has changed
    """
    if not needs_acting(bench):
        return [not_run("the data do not come from acting")]
    seed_all(bench.seed)
    model = bench.model(dtype=torch.float32)
    with bench.precision(torch.float32):
        data = bench.paper.build_data(bench.seed)
        with persons_errors("data: batches('train') raised"):
            passes = [observed(bench, data.batches("train", model=model)) for _ in range(2)]
        first = next(acted(bench, bench.seed, model), None)
    if not all(passes) or first is None:
        return [not_run("a training pass yields no batch with a floating input of the model")]
    if recurs(bench, first):
        return [not_run(RECURRING)]
    findings = [
        judge_shared(
            bench,
            passes,
            "a second pass acts anew",
            "a second training pass holds the steps of the first",
            "the old rollout is used again after the policy has changed",
        )
    ]
    seed_all(bench.seed + 1)
    other = observed(bench, islice(acted(bench, bench.seed + 1, model), BATCHES))
    findings.append(
        judge_shared(
            bench,
            [passes[0], other],
            "another seed makes another experience",
            "two seeds make the same experience",
            "the environment is seeded with a constant",
        )
    )
    return [*findings, *judge_first_states(bench)]


#: Why steps are not told apart by what was observed.
RECURRING = "observations recur within one batch (a few states): two experiences meet the same ones"


def recurs(bench: Bench, batch: Mapping[str, Tensor]) -> bool:
    """Whether a tenth of the steps of a batch share their observation with another."""
    return len(observed(bench, [batch])) < 0.9 * max((len(value) for value in batch.values() if value.dim()), default=1)


def observed(bench: Bench, batches: Iterable[Mapping[str, Tensor]]) -> set[bytes]:
    """The floating inputs of the model in these batches, a key for each step."""
    found: set[bytes] = set()
    for batch in batches:
        names = [name for name in forward_inputs(bench, batch) if batch[name].is_floating_point()]
        columns = [batch[name].detach().cpu().numpy() for name in names]
        for row in range(len(columns[0]) if columns else 0):
            found.add(b"".join(np.ascontiguousarray(column[row]).tobytes() for column in columns))
    return found


def judge_shared(bench: Bench, two: Sequence[set[bytes]], good: str, bad: str, likely: str) -> Finding:
    shared = len(two[0] & two[1])
    fields: dict[str, Any] = {
        "expected": good,
        "observed": f"{shared} of {len(two[0])} observations are the same",
        "threshold": "half",
        "location": component_location(bench, "data"),
    }
    if shared <= len(two[0]) / 2:
        return passed(good, **fields)
    return failed(bad, likely=(likely, "the seed is not passed on to the environments"), **fields)


def judge_first_states(bench: Bench) -> list[Finding]:
    """Where episodes start differently, the first ones must differ between environments and between seeds."""
    one, two = given_to_gae(bench, bench.seed), given_to_gae(bench, bench.seed + 1)
    if isinstance(one, Finding) or isinstance(two, Finding):
        return []
    value, _, terminated, truncated = one
    others = two[0]
    ended = (terminated + truncated)[:-1] > 0
    starts = np.concatenate([value[0], value[1:][ended]])
    close = 1e-6 * max(1.0, float(np.abs(value).max()))
    one_place = np.concatenate([value[:1, 0], value[1:, 0][ended[:, 0]]])
    if len(np.unique(one_place)) < max(3, len(one_place)) or float(np.ptp(starts)) <= close:
        return []  # episodes start alike, or in one of a few states, or the rollout saw too few of them
    fields: dict[str, Any] = {
        "expected": "the first states differ between environments, and between seeds",
        "observed": "V of the first states: "
        + " against ".join(", ".join(f"{number:.4g}" for number in firsts[:4]) for firsts in (value[0], others[0])),
        "threshold": "1e-6; later episodes start differently",
        "location": component_location(bench, "data"),
    }
    if value.shape[1] > 1 and float(np.ptp(value[0])) <= close:
        likely = ("all environments get the same seed", "the same environment is used for all places")
        return [failed("all environments start in one state", likely=likely, **fields)]
    if others.shape == value.shape and np.allclose(others[0], value[0], atol=close, rtol=0):
        likely = ("the environment is seeded with a constant", "the seed is not passed on to the environments")
        return [failed("two seeds start the same episodes", likely=likely, **fields)]
    return [passed("first states differ between environments and seeds", **fields)]


# --- evaluation -------------------------------------------------------------------------------------------------------


@dataclass
class Played:
    """Rewards of one environment, an entry for each episode that was begun; `ended` of those that came to an end."""

    episodes: list[list[float]] = field(default_factory=list)
    ended: list[bool] = field(default_factory=list)


@contextmanager
def recorded_environments() -> Iterator[list[Played]]:
    """Every environment that `gymnasium.make` gives inside leaves the rewards it gave, before anybody scaled them."""
    import gymnasium

    original, all_played = gymnasium.make, []

    def make(*arguments: Any, **named: Any) -> Any:
        made = original(*arguments, **named)
        raw, played = made.unwrapped, Played()
        limit = made.spec.max_episode_steps if made.spec else None
        step, reset = raw.step, raw.reset
        all_played.append(played)

        def recorded_step(action: Any) -> Any:
            result = step(action)
            played.episodes[-1].append(float(result[1]))
            played.ended[-1] = bool(result[2] or result[3] or len(played.episodes[-1]) == limit)
            return result

        def recorded_reset(*given: Any, **more: Any) -> Any:
            played.episodes.append([])
            played.ended.append(False)
            return reset(*given, **more)

        vars(raw).update(step=recorded_step, reset=recorded_reset)
        return made

    gymnasium.make = make
    try:
        yield all_played
    finally:
        gymnasium.make = original


@check(phase="evaluation", family="oracle", component="evaluation")
def evaluated_returns(bench: Bench, *, metric: str = "episode_return") -> Finding:
    """Decides whether a metric is the mean undiscounted return, in the environment's own rewards, of whole episodes.

    The rewards of every environment are recorded inside gymnasium while evaluate() plays.
    Broken: a metric that is no mean of the returns of the episodes that were played to their end.
    Likely: rewards scaled or clipped for training are summed | returns are discounted | an episode is counted before it
    has ended | the returns of training episodes are evaluated
    """
    if not needs_acting(bench):
        return not_run("the data do not come from acting")
    try:
        import gymnasium  # noqa: F401
    except ImportError:
        return not_run("gymnasium is not installed, so no environment can be watched")
    with recorded_environments() as played, bench.precision(torch.float32):
        seed_all(bench.seed)
        model = bench.model(dtype=torch.float32)
        data = bench.paper.build_data(bench.seed)
        next(iter(data.batches("train", model=model)), None)  # so that running statistics have learned something
        before = len(played), [len(one.episodes) for one in played]
        metrics = bench.evaluate(model, "test", data=data)
    if metric not in metrics:
        return not_run(f"evaluate returns no {metric}, only {', '.join(metrics)}")
    whole: list[float] = []
    for number, one in enumerate(played):
        first = before[1][number] if number < before[0] else 0
        episodes = zip(one.episodes[first:], one.ended[first:], strict=True)
        whole += [sum(rewards) for rewards, ended in episodes if ended]
    if not whole:
        return not_run("no environment that gymnasium.make gave was played to an end while evaluate() ran")
    value, bound = float(metrics[metric]), 1e-4 * max(1.0, *(abs(number) for number in whole))
    count = (bench.paper.settings.get("evaluation") or {}).get("episodes")
    sizes = {len(whole), *([int(count)] if isinstance(count, int) and count <= len(whole) else [])}
    fields: dict[str, Any] = {
        "expected": f"{float(np.mean(whole)):.6g}: mean undiscounted return of {len(whole)} whole episodes",
        "observed": f"{metric} {value:.6g}",
        "threshold": f"{bound:.2g} (float32 sums)",
        "location": component_location(bench, "evaluation"),
    }
    if any(abs(value - float(np.mean(whole[:size]))) <= bound for size in sizes):
        return passed(f"{metric} is the mean return of the episodes played", **fields)
    likely = [
        "rewards scaled or clipped for training are summed",
        "returns are discounted",
        "an episode is counted before it has ended",
    ]
    if not min(whole) - bound <= value <= max(whole) + bound:
        return failed(f"{metric} lies outside of all returns that were played", likely=tuple(likely), **fields)
    likely = ["an episode is counted before it has ended", "only some of the episodes are averaged", *likely[:2]]
    return failed(f"{metric} is not the mean return of the episodes played", likely=tuple(likely), **fields)


# --- the paper's own loss ---------------------------------------------------------------------------------------------


@check(phase="loss", family="oracle", component="loss")
def ppo_loss_value(
    bench: Bench,
    *,
    action: str = "",
    old_log_probability: str = "",
    old_value: str = "",
    advantage: str = "",
    value_target: str = "",
    value: str = "",
    distribution: str = "",
    parameters: list[str] | None = None,
    clip: float | None = 0.2,
    clip_value: float | None = None,
    value_coefficient: float = 0.5,
    entropy_coefficient: float = 0.0,
    source: str = "",
) -> Finding:
    """Decides whether the total of the paper's own loss is - L^CLIP + c₁ ½ (V - V^targ)² - c₂ S, on random outputs.

    Whatever the pieces say, this is what the update minimises.
    Broken: another value than one step at a time in float64.
    Likely: the sign of the policy gradient is wrong | max instead of min of the two surrogates | the old
    log-probability is recomputed with the current policy: the ratio is always 1 | the sign of the entropy bonus is
    wrong
    """
    parameters = list(parameters or ())
    named = {
        "action": action,
        "old_log_probability": old_log_probability,
        "old_value": old_value,
        "advantage": advantage,
        "value_target": value_target,
        "value": value,
    }
    reason = undeclared(bench, "ppo_loss_value", named)
    if reason is not None:
        return reason
    if fault := unknown(distribution, parameters):
        return not_run(f"properties: ppo_loss_value: {fault}")
    batch = bench.synthetic(9, 17)
    with torch.no_grad():
        outputs = bench.forward(bench.model(dtype=torch.float64), batch)
    generator = torch.Generator().manual_seed(18)
    for name in (*parameters, value):
        drawn = torch.randn(outputs[name].shape, generator=generator, dtype=torch.float64)
        outputs[name] = 0.5 * drawn if distribution == "gaussian" and name == parameters[1] else drawn
    given = arrays([outputs[name] for name in parameters])
    tensors = [batch[action], batch[advantage], batch[value_target], outputs[value]]
    taken, gain, target, worth = arrays(tensors)
    new = log_probability(distribution, given, taken)
    # ratios on both sides of the clip, for advantages of both signs; values near and far from what they were
    old = new - np.resize([-0.5, -0.05, 0.05, 0.5, 0.3], len(new))
    before = worth - np.resize([0.05, -0.6, 0.7, -0.05], len(new))
    batch = {
        **batch,
        old_log_probability: torch.from_numpy(old).to(bench.dtype),
        old_value: torch.from_numpy(before).to(bench.dtype),
    }
    total = bench.call_loss({**batch, **outputs})["total"].detach()
    spread = entropy(distribution, given)
    surrogate = surrogates(new, old, gain, clip)
    error = value_errors(worth, before, target, clip_value)

    def reference(moved: Mapping[str, np.ndarray]) -> float:
        """The right total for other outputs."""
        now = [moved[name] for name in parameters]
        policy = surrogates(log_probability(distribution, now, taken), old, gain, clip)[""]
        critic = value_errors(moved[value], before, target, clip_value)[""]
        bonus = entropy(distribution, now)
        return float((policy + value_coefficient * 0.5 * critic - entropy_coefficient * bonus).mean())

    def whole(
        policy: str = "", critic: str = "", c1: float = value_coefficient, c2: float = entropy_coefficient
    ) -> Any:
        return np.array((surrogate[policy] + c1 * 0.5 * error[critic] - c2 * spread).mean())

    right = whole()
    wrong = {text: whole(policy=text) for text in surrogate if text}
    wrong |= {text: whole(critic=text) for text in error if text}
    if entropy_coefficient:
        wrong |= {
            "the sign of the entropy bonus is wrong: it punishes exploration": whole(c2=-entropy_coefficient),
            "the entropy bonus is left out": whole(c2=0.0),
        }
    else:
        wrong |= {"an entropy bonus where the paper has none": np.array(np.nan)}
    wrong |= {
        "the value loss is left out": whole(c1=0.0),
        "the value loss has no factor ½, or c₁ is twice the declared one": whole(c1=2 * value_coefficient),
        "the value loss is halved twice, or c₁ is half of the declared one": whole(c1=0.5 * value_coefficient),
        "the sign of the value loss is wrong": whole(c1=-value_coefficient),
        "sum instead of mean reduction": right * len(new),
        "sum instead of mean reduction of the surrogate": right + (len(new) - 1) * surrogate[""].mean(),
        "sum instead of mean reduction of the value loss": right
        + (len(new) - 1) * value_coefficient * 0.5 * error[""].mean(),
    }
    by = f" ({source})" if source else ""
    fields: dict[str, Any] = {
        "expected": f"{shown(right)}: - L^CLIP + {value_coefficient:g} · ½ (V - V^targ)²"
        f" - {entropy_coefficient:g} S{by}",
        "observed": shown(total.double().numpy()),
        "threshold": tolerance.why_other_order(),
        "location": component_location(bench, "loss"),
    }
    case = Case((), right, wrong)
    if matching(total, case.expected, False):
        fault = slope_fault(bench, batch, outputs, (*parameters, value), reference)
        if fault:
            likely = (
                "dead critic: the loss uses the rollout's values instead of the critic's",
                "part of the total is detached from the graph",
                "custom backward off by a factor",
            )
            return failed("the total has another slope than PPO's", **{**fields, "observed": fault}, likely=likely)
        return passed("the total and its slopes are those of PPO, one step at a time", **fields)
    same = tuple(text for text, number in wrong.items() if np.isfinite(number) and matching(total, number, False))
    return failed(
        "the total is not that of PPO", likely=(*same, *(text for text in wrong if text not in same))[:4], **fields
    )


def slope_fault(
    bench: Bench, batch: Mapping[str, Tensor], outputs: Mapping[str, Tensor], names: Sequence[str], reference: Any
) -> str:
    """Where the gradient that the loss sends back is not the slope of the reference; "" where it is everywhere."""
    tracked = {name: outputs[name].detach().double().clone().requires_grad_() for name in names}
    total = bench.call_loss({**batch, **outputs, **tracked})["total"]
    generator = np.random.default_rng(19)
    plain = dict(zip(names, arrays([outputs[name] for name in names]), strict=True))
    gradients: Sequence[Tensor | None] = [None] * len(names)
    if total.requires_grad:
        gradients = torch.autograd.grad(total, list(tracked.values()), allow_unused=True)
    for name, gradient in zip(names, gradients, strict=True):
        direction = generator.normal(size=plain[name].shape)
        ends = [reference({**plain, name: plain[name] + step * direction}) for step in (1e-6, -1e-6)]
        slope = (ends[0] - ends[1]) / 2e-6
        says = 0.0 if gradient is None else float((gradient.numpy() * direction).sum())
        if abs(says - slope) > 1e-3 * max(abs(slope), abs(says), 1e-6):
            return f"d total / d {name} along a random direction is {says:.6g}, need {slope:.6g}"
    return ""


def surrogates(new: np.ndarray, old: np.ndarray, gain: np.ndarray, clip: float | None) -> dict[str, np.ndarray]:
    """- L^CLIP of each step under "", and what mistakes make of it by their words."""
    ratio = np.exp(new - old)
    cut = ratio if clip is None else ratio.clip(1 - clip, 1 + clip)
    right = -np.minimum(ratio * gain, cut * gain)
    crossed = -np.minimum(np.outer(gain, ratio), np.outer(gain, cut)).mean(axis=0)
    upside_down = 1 / ratio
    turned = upside_down if clip is None else upside_down.clip(1 - clip, 1 + clip)
    found = {
        "": right,
        "the sign of the policy gradient is wrong: it descends the return": -right,
        "max instead of min of the two surrogates (of the objective; of the loss it is max)": -np.maximum(
            ratio * gain, cut * gain
        ),
        "the old log-probability is recomputed with the current policy: the ratio is always 1": -gain,
        "advantages broadcast from (N, 1) against (N,): every ratio meets every advantage": crossed,
        "the clipped surrogate is not used": -ratio * gain,
        "only the clipped surrogate is used": -cut * gain,
        "the ratio is upside down (old over new)": -np.minimum(upside_down * gain, turned * gain),
        "the ratio is left out: log-probability times advantage": -new * gain,
    }
    return {text: value for text, value in found.items() if not text or clip is not None or "clipped" not in text}


def value_errors(
    worth: np.ndarray, before: np.ndarray, target: np.ndarray, clip: float | None
) -> dict[str, np.ndarray]:
    """(V - V^targ)² of each step, clipped as declared, under "", and what mistakes make of it by their words."""
    plain = (worth - target) ** 2
    reach = 0.2 if clip is None else clip
    moved = (before + (worth - before).clip(-reach, reach) - target) ** 2
    clipped = np.maximum(plain, moved)
    found = {
        "": plain if clip is None else clipped,
        "dead critic: the loss uses the rollout's values instead of the critic's": (before - target) ** 2,
        "values broadcast from (N, 1) against (N,): every value meets every target": (
            (worth[:, None] - target[None, :]) ** 2
        ).mean(axis=1),
        "min instead of max of the clipped and the unclipped value loss": np.minimum(plain, moved),
        "only the clipped value loss is used": moved,
    }
    other = "the value loss is clipped where the paper does not" if clip is None else "the value loss is not clipped"
    return {**found, other: clipped if clip is None else plain}
