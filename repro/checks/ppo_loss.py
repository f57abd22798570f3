"""The whole loss of PPO, its value and its slopes, one step at a time in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.checks import tolerance
from repro.checks.inputs import component_location
from repro.checks.pieces import Case, matching, shown
from repro.checks.policies import arrays, entropy, log_probability, undeclared, unknown
from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.findings import Finding


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
    surrogate = surrogates(new, old, gain, clip)
    error = value_errors(worth, before, target, clip_value)

    def reference(moved: Mapping[str, np.ndarray]) -> float:
        """The right total for other outputs."""
        now = [moved[name] for name in parameters]
        policy = surrogates(log_probability(distribution, now, taken), old, gain, clip)[""]
        critic = value_errors(moved[value], before, target, clip_value)[""]
        bonus = entropy(distribution, now)
        return float((policy + value_coefficient * 0.5 * critic - entropy_coefficient * bonus).mean())

    right, wrong = totals(surrogate, error, entropy(distribution, given), value_coefficient, entropy_coefficient)
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


def totals(
    surrogate: Mapping[str, np.ndarray], error: Mapping[str, np.ndarray], bonus: np.ndarray, c1: float, c2: float
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """- L^CLIP + c₁ ½ (V - V^targ)² - c₂ S over all steps, and what mistakes make of it by their words.

    `surrogate` and `error` are as `surrogates` and `value_errors` give them, `bonus` is the entropy [n] of each step.
    """

    def total(policy: str = "", critic: str = "", c1: float = c1, c2: float = c2) -> np.ndarray:
        return np.array((surrogate[policy] + c1 * 0.5 * error[critic] - c2 * bonus).mean())

    right, others = total(), len(bonus) - 1
    wrong = {text: total(policy=text) for text in surrogate if text}
    wrong |= {text: total(critic=text) for text in error if text}
    if c2:
        wrong |= {
            "the sign of the entropy bonus is wrong: it punishes exploration": total(c2=-c2),
            "the entropy bonus is left out": total(c2=0.0),
        }
    else:
        wrong |= {"an entropy bonus where the paper has none": np.array(np.nan)}
    wrong |= {
        "the value loss is left out": total(c1=0.0),
        "the value loss has no factor ½, or c₁ is twice the declared one": total(c1=2 * c1),
        "the value loss is halved twice, or c₁ is half of the declared one": total(c1=0.5 * c1),
        "the sign of the value loss is wrong": total(c1=-c1),
        "sum instead of mean reduction": right * len(bonus),
        "sum instead of mean reduction of the surrogate": right + others * surrogate[""].mean(),
        "sum instead of mean reduction of the value loss": right + others * c1 * 0.5 * error[""].mean(),
    }
    return right, wrong


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
