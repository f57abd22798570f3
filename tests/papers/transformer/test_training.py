"""The schedule by hand, one update against Adam's closed form, and resuming."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from repro.papers.transformer.loss import Loss
from repro.papers.transformer.model import Transformer
from repro.papers.transformer.training import Training, learning_rate


def make(**changes: object) -> tuple[Transformer, Training]:
    torch.manual_seed(0)
    model = Transformer(11, width=8, layers=1, heads=2, d_ff=16, max_length=20).double()
    settings = {"width": 8, "warmup_steps": 10} | changes
    return model, Training(model, Loss(), **settings)  # type: ignore[arg-type]


def batch() -> dict[str, torch.Tensor]:
    return {
        "source": torch.tensor([[4, 5, 2], [6, 2, 0]]),
        "target_input": torch.tensor([[1, 7, 8], [1, 9, 2]]),
        "target_output": torch.tensor([[7, 8, 2], [9, 2, 0]]),
    }


def test_schedule_of_the_base_model() -> None:
    assert learning_rate(4000, 512, 4000) == pytest.approx(6.99e-4, rel=5e-4)  # the peak: (512 · 4000)^-0.5
    assert learning_rate(1, 512, 4000) == pytest.approx(512**-0.5 * 4000**-1.5)
    assert learning_rate(16000, 512, 4000) == pytest.approx(learning_rate(4000, 512, 4000) / 2)  # step^-0.5
    assert max(learning_rate(step, 512, 4000) for step in range(3900, 4100)) == learning_rate(4000, 512, 4000)


def test_first_update_moves_each_parameter_by_the_first_rate() -> None:
    # Adam's first step is lr · g / (|g| + eps), so lr wherever the gradient is far above eps = 1e-9
    model, training = make(peak=0.01)
    model.eval()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    scalars = training.update(batch())
    assert model.training
    assert scalars["learning_rate"] == pytest.approx(0.001)  # a tenth of the peak at update 1 of 10
    for old, parameter in zip(before, model.parameters(), strict=True):
        assert parameter.grad is not None
        large = parameter.grad.abs() > 1e-5
        step = (old - parameter.detach())[large]
        torch.testing.assert_close(step, 0.001 * parameter.grad[large].sign(), rtol=1e-3, atol=0)


def test_settings_of_section_5_3() -> None:
    _, training = make()
    assert training.optimiser.param_groups[0]["betas"] == (0.9, 0.98)
    assert training.optimiser.param_groups[0]["eps"] == 1e-9


def test_without_warmup_the_rate_starts_at_the_peak() -> None:
    _, training = make(warmup=False)
    assert training.learning_rate(1) == training.learning_rate(10) == learning_rate(10, 8, 10)
    assert training.learning_rate(40) == learning_rate(40, 8, 10)


def test_clipping_limits_what_the_optimiser_sees() -> None:
    model, training = make(clip=0.01)
    scalars = training.update(batch())
    assert float(scalars["gradient_norm"]) > 0.01  # reported before clipping
    norms = [parameter.grad.norm() for parameter in model.parameters() if parameter.grad is not None]
    total = torch.stack(norms).norm()
    assert float(total) == pytest.approx(0.01, rel=1e-3)


def test_resuming_continues_bit_for_bit(tmp_path: Path) -> None:
    model, training = make()
    for _ in range(3):
        training.update(batch())
    torch.save({"model": model.state_dict(), "training": training.state_dict()}, tmp_path / "checkpoint.pt")
    random = torch.get_rng_state()
    expected = [float(training.update(batch())["loss"]) for _ in range(3)]

    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    model, training = make()
    model.load_state_dict(state["model"])
    training.load_state_dict(state["training"])
    torch.set_rng_state(random)
    assert [float(training.update(batch())["loss"]) for _ in range(3)] == expected
