"""Penalties on gradients: one that is to train something must keep the graph of the gradient that it is made from."""

from __future__ import annotations

from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.contract.components import location_of
from repro.findings import Finding

ADDS = ("add", "__add__", "__radd__", "sub", "__sub__", "__rsub__", "add_", "__iadd__", "sub_", "__isub__", "rsub")


class Followed(TorchFunctionMode):
    """Follows what is made of gradients that came without a graph, until it is added to a loss that has one."""

    def __init__(self) -> None:
        super().__init__()
        self.without: set[int] = set()
        self.kept: list[Tensor] = []  # alive, so that no other tensor gets their id
        self.asked = 0
        self.added = 0

    def follow(self, value: Any) -> None:
        for one in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(one, Tensor) and not one.requires_grad and id(one) not in self.without:
                self.without.add(id(one))
                self.kept.append(one)

    def grad(self, *args: Any, **kwargs: Any) -> Any:
        """In place of torch.autograd.grad."""
        found = ORIGINAL(*args, **kwargs)
        self.asked += 1
        self.follow(found)
        return found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.without and getattr(func, "__name__", "") not in ("requires_grad_", "__get__", "__set__", "detach"):
            given = [a for group in args for a in (group if isinstance(group, (tuple, list)) else (group,))]
            if any(isinstance(a, Tensor) and id(a) in self.without for a in given):
                if isinstance(result, Tensor) and result.requires_grad:
                    whole = [a for a in given if isinstance(a, Tensor)]
                    numbers = all(a.dim() == 0 for a in whole) and len(whole) == 2
                    self.added += numbers and getattr(func, "__name__", "") in ADDS
                else:
                    self.follow(result)
        return result


ORIGINAL = torch.autograd.grad


@check(phase="training", family="gradient", component="training")
def penalty_trains(bench: Bench) -> Finding:
    """Decides whether a penalty that an update makes of a gradient, and adds to its loss, has a gradient itself.

    Broken: a number made of what torch.autograd.grad returned is added to a loss, and depends on no parameter.
    Likely: create_graph=True is missing in torch.autograd.grad: the penalty is a constant and trains nothing | the
    gradient is detached before the penalty is made of it
    """
    model = bench.model()
    training = bench.training(model)
    batch = bench.synthetic(6)
    followed = Followed()
    with (
        bench.precision(),
        torch.random.fork_rng(devices=[]),
        mock.patch("torch.autograd.grad", followed.grad),
        followed,
    ):
        torch.manual_seed(bench.seed)
        training.update(batch)
    fields: dict[str, Any] = {
        "expected": "a penalty with a graph: it depends on the parameters that it is to train",
        "observed": f"{followed.added} times a number without a graph, made of a gradient, is added to a loss with one",
        "threshold": "exact",
        "location": location_of(training.update),
    }
    if not followed.asked:
        return not_run("the update does not call torch.autograd.grad")
    if followed.added:
        return failed("the penalty on the gradient is a constant of the loss", **fields)
    return passed("what is made of gradients keeps its graph", **fields)
