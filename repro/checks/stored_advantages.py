"""What data make of the advantages that the piece `gae` gives: returns, in one order, of the observations stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.checks.acting import acted
from repro.checks.given_to_gae import passed_on
from repro.checks.gradient import float_outputs
from repro.checks.inputs import component_location
from repro.checks.passes import needs_acting
from repro.checks.registry import check, failed, not_run, passed
from repro.checks.reinforcement_learning import GOOD, policy_tensors
from repro.checks.watch import seed_all
from repro.contract.bench import Bench, Tensors
from repro.findings import Finding

#: Of float32 numbers that other operations give in another order.
RELATIVE = 1e-4
#: How unlikely actions must be, if they were drawn, before they count as chosen.
CHANCE = 1e-6


@check(phase="data", family="data", component="data")
def advantages_stored(bench: Bench) -> list[Finding]:
    """Decides whether a batch of a whole rollout holds the advantages of `gae`, and returns and observations with them.

    Broken: advantages, returns and observations stand in different orders, or returns are advantages minus values.
    Likely: tensors are flattened in different orders ([T, N] and [N, T]) | returns are advantages minus values | the
    observation after the step is stored
    """
    if bench.piece("gae") is None or not needs_acting(bench):
        return [not_run("declare pieces.gae, of data that come from acting, to get it")]
    seed_all(bench.seed)
    model = bench.model(dtype=torch.float32)
    seed_all(bench.seed)
    with passed_on(bench.piece("gae")) as calls:
        batch = next(acted(bench, bench.seed, model), None)
    if not calls or batch is None:
        return [not_run("the data do not call the piece `gae` with its standard signature: what it gives is not seen")]
    values, following, advantages = calls[0]
    if values.ndim != 2 or advantages.shape != values.shape:
        return [not_run(f"the piece `gae` is called with values of shape {list(values.shape)}, not [T, N]")]
    flat = {name: numbers(batch[name]) for name in batch if name in GOOD and batch[name].numel() == values.size}
    if not flat:
        return [not_run("the first batch holds no advantages or returns of a whole rollout")]
    return judge(bench, model, batch, flat, values, following, advantages)


def numbers(value: Tensor) -> np.ndarray:
    return value.detach().cpu().double().numpy().reshape(-1)


def orders(value: np.ndarray) -> dict[str, np.ndarray]:
    """[T, N] flattened with the environments of a step together, and with the steps of an environment together."""
    return {"step by step": value.reshape(-1), "environment by environment": value.T.reshape(-1)}


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.abs(a - b).max() <= RELATIVE * max(1.0, float(np.abs(b).max())))


def judge(
    bench: Bench,
    model: Any,
    batch: Tensors,
    flat: Mapping[str, np.ndarray],
    values: np.ndarray,
    following: np.ndarray,
    advantages: np.ndarray,
) -> list[Finding]:
    """The findings: what each tensor is, and in which order, then the values of the observations stored."""
    fields: dict[str, Any] = {
        "threshold": f"{RELATIVE:g} relative: float32 in another order",
        "location": component_location(bench, "data"),
    }
    meant = {"advantages": advantages, "returns": advantages + values}
    wrong = {"advantages minus values": advantages - values, "values minus advantages": values - advantages}
    found: dict[str, str] = {}
    for name, stored in flat.items():
        for what, matrix in (meant | wrong).items():
            fits = [order for order, wanted in orders(matrix).items() if close(stored, wanted)]
            if name not in found and len(fits) == 1:  # of values that are all alike, either order fits
                found[name] = fits[0]
                if what in wrong:
                    return [
                        failed(
                            f"{name} are {what}",
                            expected=f"{name} are advantages plus values: what the critic must predict",
                            observed=f"equal to {what} in {stored.size} places",
                            likely=(f"returns are {what}, not advantages plus values",),
                            **fields,
                        )
                    ]
    seen = values_of(bench, model, batch)
    if seen is not None and seen.size == values.size:
        fits = [order for order, wanted in orders(values).items() if close(seen, wanted)]
        if len(fits) == 1:
            found["observation"] = fits[0]
        elif not fits and any(close(seen, wanted) for wanted in orders(following).values()):
            return [
                failed(
                    "the observations stored are those after the step",
                    expected="the model's value of each observation is what `gae` was given as the value of its step",
                    observed="it is what `gae` was given as the value of the next state, in every row",
                    likely=("the observation after the step is stored, in place of the one acted on",),
                    **fields,
                )
            ]
    fields |= {
        "expected": "all tensors of a batch in one order",
        "observed": ", ".join(f"{name} {order}" for name, order in found.items()),
    }
    if len(set(found.values())) > 1:
        likely = ("tensors are flattened in different orders: [T, N] here and [N, T] there",)
        return [failed("a batch holds its tensors in different orders", likely=likely, **fields)]
    if len(found) < 2:
        return [not_run("the batch does not hold what `gae` gave as it is (normalised, or in another order)")]
    return [passed(f"{', '.join(found)} belong together", **fields)]


def values_of(bench: Bench, model: Any, batch: Tensors) -> np.ndarray | None:
    """The model's value of each observation of the batch, in order; None where no one output is a value."""
    names = [name for name in float_outputs(bench) if tuple(bench.paper.tensors[name].axes) == ("batch",)]
    if len(names) != 1:
        return None
    with torch.no_grad():
        return numbers(bench.forward(model, batch)[names[0]])


@check(phase="data", family="statistical", component="data")
def actions_drawn(bench: Bench) -> Finding:
    """Decides whether actions of a stochastic policy are drawn from it, not always the likeliest.

    Of a loss that takes scores of actions, an action and an advantage or return.
    Broken: every action of the first batches is the likeliest of an untrained policy, which drawn ones would be in less
    than one of a million trials.
    Likely: the likeliest action is taken in training (argmax for a draw): nothing is explored | exploration is switched
    off, as in evaluation
    """
    logits, action, _ = policy_tensors(bench)
    if not logits or not needs_acting(bench):
        return not_run("the data do not come from acting by a policy with scores of actions")
    seed_all(bench.seed)
    model = bench.model(dtype=torch.float32)
    probability, taken, n = 1.0, True, 0
    for batch in acted(bench, bench.seed, model):
        if action not in batch:
            return not_run(f"batches hold no {action}")
        with torch.no_grad():
            p = bench.forward(model, batch)[logits].softmax(-1)
        best = p.max(-1)
        taken = taken and bool((best.indices == batch[action]).all())
        probability *= float(best.values.double().prod())
        n += len(batch[action])
        if not taken or probability < CHANCE:
            break
    fields: dict[str, Any] = {
        "expected": f"actions drawn from softmax({logits})",
        "observed": f"{'all' if taken else 'not all'} of {n} are the likeliest; of drawn ones with {probability:.2g}",
        "threshold": f"{CHANCE:g}",
        "location": component_location(bench, "data"),
    }
    if not taken:
        return passed("actions are not always the likeliest", **fields)
    if probability >= CHANCE:
        return not_run(f"too few actions ({n}) to tell draws from choices")
    return failed("every action is the likeliest one", **fields)
