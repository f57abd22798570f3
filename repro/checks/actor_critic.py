"""What one loss of an actor and a critic may do to each: no advantage trains the critic, no bonus calms the actor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from repro.checks import tolerance
from repro.checks.gradient import float_outputs, outputs_for_loss
from repro.checks.inputs import component_location
from repro.checks.registry import check, failed, not_run, passed
from repro.checks.reinforcement_learning import policy_tensors
from repro.contract.bench import Bench
from repro.findings import Finding


@check(phase="loss", family="gradient", component="loss")
def critic_kept_apart(bench: Bench) -> Finding:
    """Decides whether what the critic learns is untouched by the policy: the advantage is a constant of its loss.

    Of a loss that takes a value [batch] and other outputs of the model: the gradient that reaches the value must not
    itself depend, through the graph, on those others.
    Broken: it does, so the policy's loss trains the critic.
    Likely: the advantage is not detached: the critic learns from the policy's loss | the critic's value is part of the
    bonus or of the ratio
    """
    if isinstance(bench.loss(), dict):
        return not_run("several losses: each player has its own")
    tensors = bench.paper.tensors
    names = float_outputs(bench)
    values = [name for name in names if tuple(tensors[name].axes) == ("batch",)]
    others = [name for name in names if len(tensors[name].axes) == 2 and not tensors[name].given]
    if len(values) != 1 or not others or tensors[values[0]].given:
        return not_run("the loss takes no value [batch] beside the outputs of a policy")
    value = values[0]
    batch, outputs = outputs_for_loss(bench)
    tracked = {name: outputs[name].detach().clone().requires_grad_() for name in (value, *others)}
    total = bench.call_loss({**batch, **outputs, **tracked})["total"]
    fields: dict[str, Any] = {
        "expected": f"d total / d {value} is the same whatever {' and '.join(others)} are",
        "threshold": "exactly zero: no path in the graph",
        "location": component_location(bench, "loss"),
    }
    slopes: Sequence[Tensor | None] = torch.autograd.grad(total, [tracked[value]], create_graph=True, allow_unused=True)
    slope = slopes[0]
    if slope is None:
        return not_run(f"the loss sends no gradient to {value}")
    weights = torch.arange(1, slope.numel() + 1, dtype=slope.dtype).view_as(slope)  # a plain sum may cancel
    mixed: Sequence[Tensor | None] = (None,) * len(others)
    if slope.requires_grad:
        mixed = torch.autograd.grad((slope * weights).sum(), [tracked[n] for n in others], allow_unused=True)
    touched = [name for name, grad in zip(others, mixed, strict=True) if grad is not None and bool(grad.any())]
    if touched:
        observed = f"it moves with {' and '.join(touched)}"
        return failed(f"the policy's part of the loss trains {value}", observed=observed, **fields)
    return passed(f"{value} learns from its own part of the loss alone", observed="it does not move", **fields)


@check(phase="loss", family="gradient", component="loss")
def entropy_rewarded(bench: Bench) -> Finding:
    """Decides whether what is left of the loss without any advantage makes the policy more random, not less.

    Of a loss that takes scores of actions, an action and an advantage or return: at advantage 0 its gradient is that
    of an entropy bonus, or none.
    Broken: the gradient of the scores is a positive multiple of the entropy's, so a step lowers it.
    Likely: the sign of the entropy bonus is wrong: it punishes exploration | the entropy itself has the wrong sign
    """
    logits, _, good = policy_tensors(bench)
    if not logits:
        return not_run("the loss takes no scores of actions with an action and an advantage or return")
    batch, outputs = outputs_for_loss(bench)
    tensors = bench.paper.tensors
    baselines = [
        name for name in float_outputs(bench) if tuple(tensors[name].axes) == ("batch",) and not tensors[name].given
    ]
    if good.startswith("return") and len(baselines) > 1:
        return not_run(f"which of {', '.join(baselines)} is the baseline of {good}?")
    nothing = (
        outputs[baselines[0]].double() if good.startswith("return") and baselines else torch.zeros(len(batch[good]))
    )
    scores = 2 * torch.randn(outputs[logits].shape, generator=torch.Generator().manual_seed(35), dtype=torch.float64)
    scores.requires_grad_()
    given = {**batch, **outputs, logits: scores, good: nothing.to(bench.dtype)}
    total = bench.call_loss(given)["total"]
    slope = torch.autograd.grad(total, scores, allow_unused=True)[0] if total.requires_grad else None
    if slope is None or float(slope.abs().max()) <= tolerance.FLOAT32:
        return not_run(f"the loss does not move {logits} where {good} says that actions are neither good nor bad")
    log_p = scores.log_softmax(-1)
    entropy = torch.autograd.grad(-(log_p.exp() * log_p).sum(), scores)[0]
    times = float((slope * entropy).sum() / (entropy * entropy).sum())
    rest = float((slope - times * entropy).norm() / slope.norm())
    fields: dict[str, Any] = {
        "expected": f"d total / d {logits} is a negative multiple of that of the entropy, at advantage 0",
        "observed": f"{times * len(scores):.4g} times that of the mean entropy, {rest:.2g} of it in other directions",
        "threshold": "the sign, where less than 1e-3 goes elsewhere",
        "location": component_location(bench, "loss"),
    }
    if rest > 1e-3:
        return not_run(f"without an advantage the loss moves {logits} by more than an entropy bonus")
    if times > 0:
        return failed("the entropy of the policy is punished", **fields)
    return passed("the entropy of the policy is rewarded", **fields)
