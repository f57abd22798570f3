"""Whose probabilities a batch holds: those of the policy that acted, and constant while training goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.checks import tolerance
from repro.checks.acting import BATCHES, RECURRING, REPEATED, acted, keys, recurs
from repro.checks.drawn_actions import judge_drawn
from repro.checks.inputs import component_location, forward_inputs
from repro.checks.policies import arrays, log_probability, undeclared, unknown
from repro.checks.registry import check, failed, not_run, passed
from repro.checks.watch import seed_all
from repro.contract.bench import Bench
from repro.contract.components import persons_errors
from repro.findings import Finding
from repro.oracles import policies as oracle


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
    """Decides whether a batch holds the log-probability of the policy that acted: ratio 1 at first, then constant; and
    whether its actions are draws from that policy.

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
    if not recurs(bench, first):
        findings.append(judge_drawn(bench, action, distribution, parameters))
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
    likely = (
        "values and observations are flattened in different orders",
        "values of the next step are stored",
        "in-place op changes the stored data (a minibatch is a view of the rollout)",
    )
    return failed(f"{old_value} is not the critic's value of its observation", likely=likely, **fields)


def judge_constant(
    bench: Bench, model: Any, first: Mapping[str, Tensor], rest: Iterator[dict[str, Tensor]], action: str, stored: str
) -> Finding:
    """Whether steps that come again, in another epoch, keep what is stored with them while the policy changes."""
    inputs = [*forward_inputs(bench, first), action]

    def rows(batch: Mapping[str, Tensor]) -> Iterator[tuple[bytes, float]]:
        old = batch[stored].detach().double().reshape(len(batch[action]), -1).sum(dim=1).tolist()
        yield from zip(keys(batch, inputs), old, strict=True)

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
