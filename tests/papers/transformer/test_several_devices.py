"""The same update however a batch is shared: two processes, or parts one after the other, without dropout."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from repro.configuration.compose import compose
from repro.configuration.identity import run_id
from repro.contract.paper import Paper
from repro.tracking.store import ProcessStore
from repro.training.devices import shard, weight
from repro.training.interruption import SignalWatch
from repro.training.loop import Loop
from repro.training.process import ProcessSpec
from repro.training.train import train

UPDATES = 8
STILL = ["paper=transformer", "scale=smoke", "model.dropout=0.0"]
#: Adam divides by the root of the second moment: where a gradient is nothing but rounding, that becomes a whole step.
#: A large eps bounds the step by rate · gradient / eps, so that trajectories can be compared at all.
STABLE = ["training.eps=1.0"]


def paper(*overrides: str) -> Paper:
    return Paper.from_config(compose([*STILL, *STABLE, *overrides]).config)


def trained(folder: Path, paper: Paper, devices: int = 1) -> ProcessStore:
    store = ProcessStore(folder)
    spec = ProcessSpec(
        "seed-0", "reproduction", 0, UPDATES, log_every=1, final_split=None, device="cpu", devices=devices
    )
    train(spec, paper, store)
    return store


def column(store: ProcessStore, name: str) -> list[float]:
    return [row[name] for row in store.rows if row["split"] == "train"]


def tolerance(paper: Paper) -> float:
    """Relative difference that another order of summation explains.

    A gradient is a sum over about `batch_tokens` pieces; summed in another order, it differs by the random walk of so
    many roundings. Each update hands its differences on, and the next loss is as smooth in the weights as the last.
    """
    return UPDATES * math.sqrt(paper.settings["data"]["batch_tokens"]) * torch.finfo(torch.float32).eps


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_and_accumulation_follow_the_trajectory_of_one(tmp_path: Path) -> None:
    one = trained(tmp_path / "one", paper())
    others = {
        "three parts": trained(tmp_path / "parts", paper("training.accumulate=3")),
        "two processes, two parts each": trained(tmp_path / "both", paper("training.accumulate=2"), devices=2),
    }
    allowed = tolerance(paper())
    for name, other in others.items():
        for metric in ("loss", "nll", "learning_rate", "gradient_norm"):
            assert column(other, metric) == pytest.approx(column(one, metric), rel=allowed), (name, metric)
    # the comparison would see parts that count alike, whatever they hold
    settings = paper().settings
    settings["loss_mean_over"] = None
    alike = trained(tmp_path / "alike", Paper.from_config(settings), devices=2)
    worst = max(abs(a / b - 1) for a, b in zip(column(alike, "loss"), column(one, "loss"), strict=True))
    assert worst > 10 * allowed


def test_accumulated_gradients_are_those_of_the_whole_batch() -> None:
    batch = paper().build_data().synthetic(7, 0)
    gradients: list[dict[str, Any]] = []
    terms = []
    for parts in (1, 3, 7):
        torch.manual_seed(0)
        about = paper(f"training.accumulate={parts}")
        model = about.build_model(0).double()
        training = about.build_training(model, about.build_loss())
        terms.append(training.update(batch))
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for other, said in zip(gradients[1:], terms[1:], strict=True):
        assert all(torch.allclose(other[name], g, rtol=1e-10, atol=1e-12) for name, g in gradients[0].items())
        assert float(said["loss"]) == pytest.approx(float(terms[0]["loss"]), rel=1e-12)
        assert float(said["nll"]) == pytest.approx(float(terms[0]["nll"]), rel=1e-12)


def test_weights_of_parts_by_hand() -> None:
    declared = paper().tensors
    # 3 + 1 + 1 real pieces; two processes get rows [0, 1] and [2]
    target = torch.tensor([[5, 5, 2], [2, 0, 0], [2, 0, 0]])
    whole = {"source": torch.ones(3, 4, dtype=torch.int64), "target_output": target}
    parts = [shard(whole, declared, rank, 2) for rank in (0, 1)]
    assert [weight(whole, part, declared, "target_output", 2) for part in parts] == [2 * 4 / 5, 2 * 1 / 5]
    assert [weight(whole, part, declared, None, 2) for part in parts] == [2 * 2 / 3, 2 * 1 / 3]


def test_each_process_has_its_own_noise_and_the_common_stream_stays(tmp_path: Path) -> None:
    spec = ProcessSpec("seed-0", "reproduction", 0, UPDATES, final_split=None, device="cpu", devices=2)
    noise: dict[tuple[int, int], torch.Tensor] = {}
    for rank in (0, 1):
        backend: Any = SimpleNamespace(rank=rank, world=2)
        loop = Loop(spec, paper(), ProcessStore(tmp_path), backend, SignalWatch())
        step = loop._own_noise(lambda _: torch.nn.functional.dropout(torch.ones(64), 0.5))
        torch.manual_seed(7)  # what data and sampling draw from, the same in all processes
        for loop.update in (3, 4):
            noise[rank, loop.update] = step({})
            assert torch.equal(step({}), noise[rank, loop.update])  # after a resume the same noise again
        after = torch.rand(3)
        torch.manual_seed(7)
        assert torch.equal(torch.rand(3), after)
    masks = {tuple(mask.tolist()) for mask in noise.values()}
    assert len(masks) == 4  # two processes, two updates


def test_sharing_a_batch_changes_no_identity() -> None:
    one = compose(STILL)
    several = compose([*STILL, "devices=8", "training.accumulate=2"])
    assert run_id(one.config) == run_id(several.config)
    assert several.config.devices == 8
