"""Watching leaves the person's code as it is: recomputed activations, gradients made inside of a step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.utils import checkpoint

from repro.checks.watch import NoDropout, Update, watching


def test_without_dropout_a_second_forward_in_the_pass_back_repeats_the_first() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.Linear(3, 1)).double()
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before = checkpoint._checkpoint_without_reentrant_generator
    with NoDropout():
        checkpoint.checkpoint(net, x, use_reentrant=False).sum().backward()
    recomputed = [p.grad for p in net.parameters()]
    plain = torch.autograd.grad(net.eval()(x).sum(), list(net.parameters()))
    for got, wanted in zip(recomputed, plain, strict=True):
        torch.testing.assert_close(got, wanted)
    assert checkpoint._checkpoint_without_reentrant_generator is before


def recorded(step: Callable[[torch.optim.Optimizer, nn.Parameter], None]) -> Update:
    parameter = nn.Parameter(torch.tensor([2.0]))
    optimiser = torch.optim.SGD([parameter], lr=0.1)
    update = Update(1, {})
    with watching(update, {"w": parameter}, {}):
        step(optimiser, parameter)
    return update


def test_a_gradient_made_inside_of_a_step_is_the_one_applied() -> None:
    def outside(optimiser: torch.optim.Optimizer, parameter: nn.Parameter) -> None:
        optimiser.zero_grad()
        torch.autograd.backward(parameter.square().sum())
        optimiser.step()

    def inside(optimiser: torch.optim.Optimizer, parameter: nn.Parameter) -> None:
        def closure() -> float:
            optimiser.zero_grad()
            loss = parameter.square().sum()
            torch.autograd.backward(loss)
            return float(loss.detach())

        optimiser.step(closure)

    for way in (outside, inside):
        update = recorded(way)
        assert update.events == ["zero_grad", "backward", "step"]
        (step,) = update.steps
        assert step.gradient["w"] is not None and step.gradient["w"].tolist() == [4.0]
        assert step.norm == 4.0
        assert step.before["w"].tolist() == [2.0] and abs(step.after["w"][0] - 1.6) < 1e-6
