"""Targets made of the value of the next state: what follows the end of an episode, and where gradients must stop."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from repro.checks import tolerance
from repro.checks.gradient import outputs_for_loss
from repro.checks.pieces import Case, compare
from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.contract.components import location_of, parameters_of
from repro.findings import Finding
from repro.oracles import returns as oracle

N, GAMMA = 7, 0.9
#: What people call the flag of the step after which nothing follows.
OVER = ("done", "dones", "terminated", "terminal", "terminals", "terminations", "is_terminal")


@check(phase="loss", family="oracle", component="td_target")
def td_target_oracle_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `td_target` is r + gamma V(s'), and r alone where the episode terminated.

    Broken: another value for random rewards and values, some of whose steps are the last.
    Likely: what follows the end of an episode counts (1 - done is missing) | the flag is read the other way round |
    the discount is missing
    """
    random = np.random.default_rng(34)
    rewards, following = random.normal(size=(2, N))
    terminated = np.arange(N) % 3 == 1
    arguments = (rewards, terminated, following, GAMMA)
    case = Case(arguments, oracle.td_target(*arguments), oracle.td_target_as_mistaken(*arguments))
    signature = "(rewards, terminated, next_values [N], gamma) → [N]"
    return compare(bench, "td_target", signature, [case], oracle.TD_TARGET_MISTAKES, "r + gamma (1 - terminated) V(s')")


def over_and_next(bench: Bench, loss: Any) -> tuple[list[str], list[str]]:
    """(flags of the last step, values of the next state) that a loss takes.

    A value is an output [batch], or [batch, n] with n what an action of the batch indexes, made from a batch tensor
    whose name begins with `next`.
    """
    tensors = bench.paper.tensors
    taken = [tensors[name] for name in parameters_of(loss) if name in tensors]
    flags = [t.name for t in taken if t.name.lower() in OVER and not t.output_of and tuple(t.axes) == ("batch",)]
    actions = {str(t.indexes) for t in tensors.values() if t.indexes is not None}
    values = [
        t.name
        for t in taken
        if t.output_of
        and any(str(source).startswith("next") for source in (t.given or {}).values())
        and (tuple(t.axes) == ("batch",) or (len(t.axes) == 2 and str(t.axes[1]) in actions))
    ]
    return flags, values


@check(phase="loss", family="metamorphic", component="loss")
def nothing_after_the_end(bench: Bench) -> list[Finding]:
    """Decides whether the value of the next state counts in the loss while an episode goes on, and not after its end.

    Needs no declaration where the loss takes a flag such as `done` or `terminated`, and values that the model gives of
    a tensor called next_…: it is called with every step the last, and other values.
    Broken: the loss moves with the value of what follows a terminal state, or not at all with it.
    Likely: what follows the end of an episode counts (1 - done is missing) | the flag is read the other way round | the
    flag of the step before or after is used
    """
    losses = bench.loss()
    batch, outputs = outputs_for_loss(bench)
    found = []
    for loss in losses.values() if isinstance(losses, dict) else [losses]:
        flags, values = over_and_next(bench, loss)
        if len(flags) != 1 or not values:
            continue
        tensors = {**batch, **outputs}
        other = {
            name: outputs[name] + 1 + torch.arange(len(outputs[name])).view(-1, *[1] * (outputs[name].dim() - 1))
            for name in values
        }

        def moved(
            flag: int, loss: Any = loss, tensors: Any = tensors, other: Any = other, over: str = flags[0]
        ) -> Tensor:
            given = {**tensors, over: torch.full_like(tensors[over], flag)}
            totals = [bench.call_loss(t, loss)["total"].detach().double() for t in (given, {**given, **other})]
            return tolerance.difference(totals[0], totals[1]) / max(1.0, tolerance.largest(*totals))

        after, before = float(moved(1)), float(moved(0))
        fields: dict[str, Any] = {
            "expected": f"with {flags[0]} = 1 the loss is the same for any {values[0]}; with {flags[0]} = 0 it moves",
            "observed": f"it moves by {after:.3g} of itself with {flags[0]} = 1, by {before:.3g} with 0",
            "threshold": "8 eps of float64",
            "location": location_of(loss),
        }
        exact = 8 * torch.finfo(torch.float64).eps
        if after <= exact < before:
            found.append(passed(f"nothing counts after {flags[0]}", **fields))
        elif after > exact >= before:
            more = ("the flag is read the other way round (done for 1 - done)",)
            found.append(failed(f"{values[0]} counts only after the end of an episode", likely=more, **fields))
        elif after > exact:
            found.append(failed(f"{values[0]} counts after the end of an episode", **fields))
        else:
            found.append(not_run(f"the loss does not move with {values[0]}"))
    return found or [not_run("no loss takes a flag such as `done` and values of a next state (`given: {…: next_…}`)")]


@check(phase="training", family="gradient", component="training")
def target_detached(bench: Bench, *, residual: bool = False, source: str = "") -> Finding:
    """Decides whether an update sends gradient into the value of the next state, which is part of a target.

    `residual: true` declares that the paper does so (residual gradients, Baird 1995).
    Broken: a module is called on the tensor called next_…, and what it returns receives gradient.
    Likely: the target is not detached: no_grad is missing around the value of the next state | the network that learns
    is called for the target instead of its copy
    """
    tensors = bench.paper.tensors
    losses = bench.loss()
    values = {
        name
        for loss in (losses.values() if isinstance(losses, dict) else [losses])
        for name in over_and_next(bench, loss)[1]
    }
    if not values:
        return not_run("no loss takes values of a next state (`given: {…: next_…}`)")
    following = {str(given) for name in values for given in (tensors[name].given or {}).values()}
    model = bench.model()
    batch = bench.synthetic(6)
    marks = [batch[name] for name in following if name in batch]
    reached: list[str] = []

    def watch(name: str, module: nn.Module) -> Any:
        def hook(_: nn.Module, inputs: tuple[Any, ...], returned: Any) -> None:
            if any(
                isinstance(x, Tensor) and any(x.shape == m.shape and torch.equal(x, m) for m in marks) for x in inputs
            ):
                for value in returned if isinstance(returned, tuple) else (returned,):
                    if isinstance(value, Tensor) and value.requires_grad:
                        value.register_hook(lambda g: reached.append(name) if bool(g.any()) else None)  # type: ignore[no-untyped-call]

        return module.register_forward_hook(hook)

    handles = [watch(name, module) for name, module in bench.modules(model).items()]
    training = bench.training(model)
    try:
        with bench.precision(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(bench.seed)
            training.update(batch)
    finally:
        for handle in handles:
            handle.remove()
    wanted = f"gradient ({source})" if residual else "no gradient"
    fields: dict[str, Any] = {
        "expected": f"{wanted} into what a module says of {', '.join(sorted(following))}",
        "observed": f"gradient into the output of {', '.join(sorted(set(reached)))}" if reached else "none",
        "threshold": "exactly zero",
        "location": location_of(training.update),
    }
    if bool(reached) == residual:
        return passed(
            "gradient flows into the next state, as declared" if residual else "targets are constants", **fields
        )
    if residual:
        return failed("the target is a constant, where the gradient of the residual is declared", likely=(), **fields)
    return failed("the target is no constant: gradient flows into the value of the next state", **fields)
