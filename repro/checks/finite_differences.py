"""Gradients of the whole model and loss: against finite differences, reaching every parameter, finite, of sane size."""

from __future__ import annotations

import math
from typing import Any

import torch

from repro.checks.floor import descends
from repro.checks.non_finite import find_first
from repro.checks.registry import check, failed, not_run, passed, warned
from repro.checks.watch import NoDropout, kept_random_state, named_parameters, seed_all
from repro.contract.bench import Bench
from repro.contract.components import location_of
from repro.findings import Finding

#: Steps of the central difference. Its error is about h² of curvature plus eps / h of rounding: with float64 the
#: first
#: balances both, the second is for code that computes part of its work in float32.
STEPS = (1e-5, 1e-3)
#: eps^(2/3) of float64 is 4e-11 for the first step; a thousandth leaves room for kinks (ReLU) and float32 parts, and
#: a wrong factor in a hand-written backward is of order 1.
AGREE = 1e-3


Tensors = dict[str, torch.Tensor]


class Total:
    """The total of a batch, drawn with the same random numbers each time.

    Of a loss that detaches a part on purpose (an actor's advantage) the value is no guide: its gradient at the outputs,
    held fixed, stands for it, so that the way back through the model is still compared.
    """

    def __init__(self, bench: Bench, model: Any, batch: Tensors, loss: Any) -> None:
        self.bench, self.model, self.batch, self.loss = bench, model, batch, loss
        self.state = torch.get_rng_state()
        outputs = {n: v.detach() for n, v in self.outputs().items() if torch.is_tensor(v) and v.is_floating_point()}
        free = {name: torch.zeros_like(value).requires_grad_() for name, value in outputs.items()}
        self.pull: Tensors | None = None
        if not descends(list(free.values()), lambda: bench.call_loss({**batch, **outputs, **free}, loss)["total"]):
            at = {name: value.clone().requires_grad_() for name, value in outputs.items()}
            total = bench.call_loss({**batch, **at}, loss)["total"]
            found = torch.autograd.grad(total, list(at.values()), allow_unused=True)
            self.pull = {name: pull for name, pull in zip(at, found, strict=True) if pull is not None}

    def outputs(self) -> Tensors:
        torch.set_rng_state(self.state)
        return self.bench.forward(self.model, self.batch)

    def __call__(self) -> torch.Tensor:
        if self.pull is None:
            torch.set_rng_state(self.state)
            return self.bench.terms(self.model, self.batch, self.loss)["total"]
        outputs = self.outputs()
        return torch.stack([(outputs[name] * pull).sum() for name, pull in self.pull.items()]).sum()


@check(phase="gauntlet", family="gradient", component="loss")
def gradient_check(bench: Bench) -> Finding:
    """The gradient of the total by backward agrees with central differences along a random direction of each tensor.

    Broken: a hand-written backward, a detach or an in-place change gives a gradient that is not the derivative.
    Likely: a custom backward is off by a factor or sign | detach or no_grad cuts part of the path | an in-place
    operation changes what backward needs
    """
    if not isinstance(bench.model(), torch.nn.Module) or isinstance(bench.loss(), dict):
        return not_run("several modules or losses: which total belongs to which parameters is not declared")
    if bench.dtype != torch.float64:
        return not_run("finite differences need a bench in float64")
    seed_all(bench.seed)
    model, loss, batch = bench.model(), bench.loss(), bench.synthetic(2)
    model.train()
    parameters = {n: p for n, p in named_parameters(bench.modules(model)).items() if p.requires_grad}
    generator = torch.Generator().manual_seed(bench.seed)
    wrong: list[tuple[str, float, float]] = []
    with bench.precision(), NoDropout(), kept_random_state():
        value = Total(bench, model, batch, loss)
        total = value()
        if not total.requires_grad:
            return failed(
                "the total has no gradient",
                expected="a total that depends on the parameters",
                observed="requires_grad is False",
                location=location_of(loss),
                likely=("the loss is re-wrapped in a new tensor, or computed under no_grad",),
            )
        gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients if g is not None))
        size = max(abs(float(total.detach())), 1.0)
        for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
            direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter.dtype)
            if gradient is not None and float(gradient.norm()) > 0:
                # half along the gradient, so that the derivative is large against rounding
                direction = direction / direction.norm() + gradient / gradient.norm()
                if float(direction.norm()) < 0.1:  # opposite, as the two directions of a single number can be
                    direction = gradient / gradient.norm()
            direction = direction / direction.norm()
            by_backward = 0.0 if gradient is None else float((gradient * direction).sum())
            differences = []
            for h in STEPS:
                difference = central(value, parameter, direction, h)
                noise = 100 * torch.finfo(torch.float64 if h < 1e-4 else torch.float32).eps * size / h
                differences.append(difference)
                if abs(difference - by_backward) <= AGREE * max(abs(by_backward), abs(difference), 1e-3 * norm) + noise:
                    break
            else:
                wrong.append((name, by_backward, differences[0]))
    if wrong:
        name, by_backward, difference = max(wrong, key=lambda w: abs(w[1] - w[2]))
        ratio = by_backward / difference if difference else float("nan")
        return failed(
            f"the gradient of {name} is not the derivative of the total;"
            f" {len(wrong)} of {len(parameters)} tensors disagree",
            expected=f"derivative {difference:.6g} along a random direction (central difference, step {STEPS[0]:g})",
            observed=f"{by_backward:.6g} by backward, {ratio:.4g} times as much",
            threshold=f"{AGREE:g} relative, plus rounding: eps / step",
            location=location_of(loss),
            likely=(
                ("detach or no_grad cuts the path",)
                if not by_backward
                else ("a custom backward is off by a factor or sign",)
            )
            + ("an in-place operation changes what backward needs",),
        )
    along = "" if value.pull is None else ", along the gradient of a loss that is partly detached"
    return passed(
        f"backward and central differences agree for {len(parameters)} parameter tensors{along}",
        threshold=f"{AGREE:g} relative",
    )


def central(value: Total, parameter: torch.nn.Parameter, direction: torch.Tensor, h: float) -> float:
    """(L(w + h d) − L(w − h d)) / 2h; the parameter is as before afterwards."""
    before = parameter.detach().clone()
    with torch.no_grad():
        parameter.copy_(before + h * direction)
        above = float(value())
        parameter.copy_(before - h * direction)
        below = float(value())
        parameter.copy_(before)
    return (above - below) / (2 * h)


@check(phase="gauntlet", family="gradient", component="model")
def gradients_reach_everything(bench: Bench) -> Finding:
    """Every trainable parameter gets a finite, non-zero gradient from the total; nothing explodes on the way.

    Broken: part of the model never learns, or NaN and explosion from some module on.
    Likely: a part is never used, detached or under no_grad | a layer is missing from ModuleList, or was frozen | a
    division by zero, logarithm of zero or a fully masked row
    """
    if not isinstance(bench.model(), torch.nn.Module) or isinstance(bench.loss(), dict):
        return not_run("several modules or losses: which total belongs to which parameters is not declared")
    seed_all(bench.seed)
    model, loss, batch = bench.model(), bench.loss(), bench.synthetic(4)
    model.train()
    with bench.precision(), NoDropout():
        found = find_first(model, batch, loss, bench.forward)
        if found is not None and found.kind != "growth":
            return failed(
                f"{found.kind} first in {found.where}",
                expected="finite values everywhere",
                observed=found.summary,
                location=found.location,
                likely=likely_of(found.step),
                details={"replay": found.replay},
            )
        parameters = {n: p for n, p in named_parameters(bench.modules(model)).items() if p.requires_grad}
        total = bench.terms(model, batch, loss)["total"]
        gradients = (
            torch.autograd.grad(total, list(parameters.values()), allow_unused=True) if total.requires_grad else ()
        )
    reached = dict(zip(parameters, gradients or [None] * len(parameters), strict=True))
    dead = [n for n, g in reached.items() if g is None or not bool(g.any())]
    if dead:
        return failed(
            f"{len(dead)} of {len(parameters)} trainable parameters get no gradient: {', '.join(dead[:4])}",
            expected="a non-zero gradient for every trainable parameter",
            observed="none" if reached[dead[0]] is None else "all zeros",
            threshold="exactly zero: rounding alone would give something else",
            location=location_of(model),
            details={"parameters": dead},
        )
    if found is not None:
        return warned(
            f"values grow over a thousandfold in {found.where}",
            expected="outputs of the order of their inputs",
            observed=found.summary,
            threshold="a thousandfold in one module",
            location=found.location,
            details={"replay": found.replay},
        )
    norms = sorted(float(g.norm()) for g in reached.values() if g is not None)
    return passed(f"{len(parameters)} parameters get finite gradients, norms {norms[0]:.2g} … {norms[-1]:.2g}")


def likely_of(step: str) -> tuple[str, ...]:
    if step == "loss":
        return ("the logarithm of zero or a division by a count of zero in the loss",)
    if step == "backward":
        return ("the derivative of sqrt, norm or std at zero", "a mask of -inf over a whole row of a softmax")
    return (
        "a row of attention that is masked entirely (softmax over -inf)",
        "a division by zero or square root of a negative number",
    )
