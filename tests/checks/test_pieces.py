"""Directions of a paper's own policy loss, the range of Bernoulli targets, and variants that whole components hold."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from repro.checks.modules import norms_of_norms
from repro.checks.registry import run_check
from repro.contract.bench import Bench
from repro.contract.paper import Paper
from repro.findings import Outcome

from .small_papers import REGRESSION

HERE = __name__


class Steps:
    """States, actions and advantages; targets of a decoder in [0, 1], or around 0."""

    def __init__(self, seed: int = 0, centred: bool = False) -> None:
        self.centred = centred

    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        yield self.synthetic(6, len(split))

    def synthetic(self, n: int, seed: int) -> dict[str, Tensor]:
        made = torch.Generator().manual_seed(seed)
        image = torch.rand(n, 4, generator=made)
        return {
            "state": torch.randn(n, 3, generator=made),
            "action": torch.randint(0, 4, (n,), generator=made),
            "advantage": torch.randn(n, generator=made),
            "image": (image - 0.5) / 0.5 if self.centred else image,
        }


class Policy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, state: Tensor) -> Tensor:
        result: Tensor = self.layer(state)
        return result


def right(logits: Tensor, action: Tensor, advantage: Tensor) -> dict[str, Tensor]:
    dist = Categorical(logits=logits)
    normal = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    return {"total": -(dist.log_prob(action) * normal).mean() - 0.5 * dist.entropy().mean()}


def wrong_sign(logits: Tensor, action: Tensor, advantage: Tensor) -> dict[str, Tensor]:
    return {"total": (Categorical(logits=logits).log_prob(action) * advantage).mean()}


def broadcast(logits: Tensor, action: Tensor, advantage: Tensor) -> dict[str, Tensor]:
    return {"total": -(Categorical(logits=logits).log_prob(action) * advantage[:, None]).mean()}


def detached(logits: Tensor, action: Tensor, advantage: Tensor) -> dict[str, Tensor]:
    return {"total": -(Categorical(logits=logits.detach()).log_prob(action) * advantage).mean()}


def acting(loss: str = "right", centred: bool = False) -> Bench:
    settings = {
        "paper": {"name": "acting"},
        "data": {"_target_": f"{HERE}.Steps", "centred": centred},
        "model": {"_target_": f"{HERE}.Policy"},
        "loss": {"_target_": f"{HERE}.{loss}"},
        "tensors": {
            "state": {"axes": ["batch", 3], "dtype": "float32"},
            "action": {"axes": ["batch"], "dtype": "int64"},
            "advantage": {"axes": ["batch"], "dtype": "float32"},
            "image": {"axes": ["batch", 4], "dtype": "float32"},
            "logits": {"axes": ["batch", 4], "dtype": "float32", "output_of": "model"},
        },
    }
    return Bench(Paper.from_config(settings))


@pytest.mark.parametrize(
    ("loss", "outcome"),
    [("right", "passed"), ("wrong_sign", "failed"), ("broadcast", "failed"), ("detached", "failed")],
)
def test_direction_of_a_policy_loss(loss: str, outcome: str) -> None:
    options = {"logits": "logits", "action": "action", "advantage": "advantage"}
    (found,) = run_check("advantage_direction", acting(loss), options)
    assert found.outcome == outcome, found


def test_direction_without_names_is_not_run() -> None:
    (found,) = run_check("advantage_direction", acting())
    assert found.outcome is Outcome.NOT_RUN


@pytest.mark.parametrize(("centred", "outcome"), [(False, "passed"), (True, "failed")])
def test_targets_of_a_bernoulli_decoder(centred: bool, outcome: str) -> None:
    found = run_check("unit_interval", acting(centred=centred), {"tensor": "image"})
    assert [f.outcome for f in found] == [outcome] * 3, found


def with_average(model: nn.Module, data: Any, split: str = "test", restore: bool = True) -> dict[str, float]:
    """Evaluates averaged weights, copied into the model that trains."""
    was, kept = model.training, copy.deepcopy(model.state_dict())
    model.eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
        total = sum(float(((model(b["x"]) - b["y"]) ** 2).sum()) for b in data.batches(split))
    if restore:
        model.load_state_dict(kept)
    model.train(was)
    return {"error": total}


@pytest.mark.parametrize(("restore", "blocks"), [(True, False), (False, True)])
def test_an_average_that_is_restored_leaves_training_untouched(restore: bool, blocks: bool) -> None:
    settings = copy.deepcopy(REGRESSION) | {"evaluation": {"_target_": f"{HERE}.with_average", "restore": restore}}
    (found,) = run_check("evaluation_leaves_training_untouched", Bench(Paper.from_config(settings)))
    assert found.outcome is not Outcome.NOT_RUN, found
    assert found.blocks is blocks, found


def test_a_surplus_of_biases_before_a_norm_is_no_bug() -> None:
    settings = copy.deepcopy(REGRESSION)
    settings["properties"] = [{"property": "parameter_count", "equals": "3 * 8 + 2 * 8 + 8 + 1"}]
    bench = Bench(Paper.from_config(settings))
    found = run_check("parameter_count", bench, {"equals": "3 * 8 + 2 * 8 + 8 + 1"})
    assert found
    assert not any(f.blocks for f in found), found


class TwiceNormalised(torch.nn.Module):
    """A head after a norm, and after a norm of that norm where `again`."""

    def __init__(self, again: bool) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(4)
        self.end = torch.nn.LayerNorm(4) if again else torch.nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.end(self.norm(x))


@pytest.mark.parametrize("again", [False, True])
def test_a_norm_of_what_is_normalised_is_named(again: bool) -> None:
    model = TwiceNormalised(again)
    bench: Any = SimpleNamespace(
        modules=lambda model: {"model": model},
        synthetic=lambda n: torch.randn(n, 4),
        forward=lambda model, batch: model(batch),
    )
    assert norms_of_norms(bench, model) == ({"end": "norm"} if again else {})
