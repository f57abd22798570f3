"""Whether the actions in a batch were drawn from the policy: as likely under it as its own draws are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from repro.checks.acting import acted, steps
from repro.checks.inputs import component_location
from repro.checks.policies import arrays
from repro.checks.registry import failed, not_run, passed
from repro.checks.watch import seed_all
from repro.contract.bench import Bench
from repro.contract.components import location_of
from repro.findings import Finding
from repro.oracles import policies as oracle

STEPS = 2000  # to be judged, from several rollouts
ROLLOUTS = 4
FEWEST = 50
#: Where an action is rarer than this, a single draw of it weighs as much as hundreds of others.
RAREST = 0.02
#: Of random weights, in units of one over the root of the fan-in, until the mean entropy falls to this share of the
#: uniform policy's: observations may be small, and then so is what a policy makes of them.
SCALES = (1.0, 2.0, 4.0, 8.0, 16.0)
DECIDED = 0.85
CHANCE = 1e-7  # of an alarm where all is right


def judge_drawn(bench: Bench, action: str, distribution: str, parameters: Sequence[str]) -> Finding:
    """Whether the mean log-probability of the actions taken is what draws from the policy have: minus its entropy.

    A fresh policy is nearly uniform, which hides much, so random weights are added to it first. The sum over steps of
    log π(a) plus the entropy has mean 0, and each step is drawn anew: a martingale, whose sum Bernstein's inequality
    bounds (Freedman 1975) for a finite number of actions, and the normal law for a Gaussian's squares.
    """
    model = decided(bench, distribution, parameters)
    taken: list[np.ndarray] = []
    given: list[list[np.ndarray]] = []
    known: set[bytes] = set()
    for rollout in range(ROLLOUTS):
        for batch in acted(bench, bench.seed + rollout, model):
            met = list(steps(bench, batch))
            fresh = [place for place, key in enumerate(met) if key not in known]
            known.update(met)
            if fresh:
                with torch.no_grad():
                    outputs = bench.forward(model, batch)
                taken.append(arrays([batch[action][fresh]])[0])
                given.append(arrays([outputs[name][fresh] for name in parameters]))
        if sum(map(len, taken)) >= STEPS:
            break
    if not taken:
        return not_run("no rollout holds a step")
    actions = np.concatenate(taken)
    outputs_of_all = [np.concatenate(column) for column in zip(*given, strict=True)]
    if distribution == "categorical":
        n, off, bound, what = of_categorical(outputs_of_all[0], actions)
    else:
        n, off, bound, what = of_gaussian(outputs_of_all[0], outputs_of_all[1], actions)
    if n < FEWEST:
        return not_run(f"only {n} steps have no action rarer than {RAREST:g}: too few to judge how actions are drawn")
    fields: dict[str, Any] = {
        "component": action,
        "expected": f"actions drawn from the policy: {what} is 0 on average",
        "observed": f"{off / n:+.3g} a step over {n} steps",
        "threshold": f"±{bound / n:.2g} a step (chance {CHANCE:g})",
        "location": drawing(bench, model),
    }
    if abs(off) <= bound:
        return passed(f"actions of {n} steps are as likely as draws from the policy", **fields)
    likely: tuple[str, ...] = ("the noise that draws the action is wrong (sign, scale, distribution)",)
    if off > 0:
        likely = ("the likeliest action is taken in place of a draw", "drawn at another temperature than 1", *likely)
    else:
        likely = ("actions are drawn uniformly, or by another policy than the one that is stored", *likely)
    more = "more" if off > 0 else "less"
    return failed(f"actions are {more} likely under the policy than draws from it", likely=likely, **fields)


def drawing(bench: Bench, model: Any) -> str:
    """Where actions are drawn: in the model's own `act`, or else somewhere in the data."""
    drawers = [module.act for module in bench.modules(model).values() if callable(getattr(module, "act", None))]
    return location_of(drawers[0]) if drawers else component_location(bench, "data")


def decided(bench: Bench, distribution: str, parameters: Sequence[str]) -> Any:
    """A model whose policy prefers some actions to others, by the smallest random weights that do."""
    for scale in SCALES:
        seed_all(bench.seed)
        model = bench.model(dtype=torch.float32)
        randomise(bench, model, scale)
        batch = next(acted(bench, bench.seed, model), None)
        if distribution != "categorical" or batch is None:
            break
        with torch.no_grad():
            p = oracle.probabilities(arrays([bench.forward(model, batch)[parameters[0]]])[0])
        if float(-(p * np.log(p.clip(1e-300))).sum(axis=1).mean()) <= DECIDED * math.log(p.shape[1]):
            break
    return model


@torch.no_grad()
def randomise(bench: Bench, model: Any, scale: float) -> None:
    """Add random weights of variance scale² / fan-in to every matrix, and a tenth of that deviation to vectors."""
    generator = torch.Generator().manual_seed(5)
    for module in bench.modules(model).values():
        for parameter in module.parameters():
            size = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.1
            parameter.add_(scale * size * torch.randn(parameter.shape, generator=generator).to(parameter.dtype))


def of_categorical(logits: np.ndarray, actions: np.ndarray) -> tuple[int, float, float, str]:
    """Steps judged, the sum of log π(a) plus entropy over them, its bound, and what it is of."""
    p = oracle.probabilities(logits)
    kept = p.min(axis=1) >= RAREST
    log_p = np.log(p[kept])
    entropy = -(p[kept] * log_p).sum(axis=1)
    off = oracle.categorical_log_probability(logits[kept], actions[kept].astype(np.int64)) + entropy
    variance = float((p[kept] * (log_p + entropy[:, None]) ** 2).sum())
    largest = -math.log(RAREST) + math.log(logits.shape[1])
    level = math.log(2 / CHANCE)
    half = level * largest / 3
    return int(kept.sum()), float(off.sum()), half + math.sqrt(half**2 + 2 * level * variance), "log π(a) + entropy"


def of_gaussian(mean: np.ndarray, log_std: np.ndarray, actions: np.ndarray) -> tuple[int, float, float, str]:
    """The same of ½ (1 - z²) summed over dimensions, z the standardised action; its variance is half a dimension."""
    z = (actions - mean) * np.exp(-log_std)
    off = 0.5 * (1 - z**2).sum()
    return len(z), float(off), 5.5 * math.sqrt(z.size / 2), "log π(a) + entropy"
