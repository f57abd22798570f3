"""Experience: another order in each epoch, another one for each seed, environment and rollout."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, pairwise
from typing import Any

import numpy as np
import torch

from repro.checks.acting import BATCHES, RECURRING, REPEATED, acted, keys, observed, recurs
from repro.checks.given_to_gae import given_to_gae
from repro.checks.inputs import component_location, forward_inputs
from repro.checks.passes import needs_acting
from repro.checks.registry import check, failed, not_run, passed
from repro.checks.watch import seed_all
from repro.contract.bench import Bench
from repro.contract.components import persons_errors
from repro.findings import Finding


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
        for key in keys(batch, forward_inputs(bench, batch)):
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
    value, _, terminated, truncated = one[:4]
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
