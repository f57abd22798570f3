"""Schedules at numbers worked by hand, and against PyTorch's schedulers."""

from __future__ import annotations

import pytest
import torch

from repro.oracles.schedules import cosine, inverse_square_root, linear, milestones, warm_up


def test_inverse_square_root_of_the_base_model() -> None:
    # 512^-0.5 · 4000^-0.5 = 1 / sqrt(2,048,000)
    assert inverse_square_root(4000, 512, 4000) == pytest.approx(2_048_000**-0.5)
    assert inverse_square_root(1, 512, 4000) == pytest.approx(2_048_000**-0.5 / 4000)
    assert inverse_square_root(16000, 512, 4000) == pytest.approx(2_048_000**-0.5 / 2)
    with pytest.raises(ValueError, match="count from 1"):
        inverse_square_root(0, 512, 4000)


def test_milestones_and_cosine_agree_with_torch() -> None:
    p = torch.zeros(1, requires_grad=True)
    optimisers = [torch.optim.SGD([p], lr=0.1) for _ in range(2)]
    schedulers = [
        torch.optim.lr_scheduler.MultiStepLR(optimisers[0], [3, 6]),
        torch.optim.lr_scheduler.CosineAnnealingLR(optimisers[1], 8),
    ]
    for step in range(1, 9):
        assert optimisers[0].param_groups[0]["lr"] == pytest.approx(milestones(step, 0.1, [3, 6]))
        assert optimisers[1].param_groups[0]["lr"] == pytest.approx(cosine(step, 0.1, 8))
        for optimiser, scheduler in zip(optimisers, schedulers, strict=True):
            optimiser.step()
            scheduler.step()


def test_linear_and_warm_up() -> None:
    assert [linear(s, 1.0, 4) for s in (1, 3, 5)] == [1.0, 0.5, 0.0]
    assert [warm_up(s, 1.0, 4) for s in (1, 4, 9)] == [0.25, 1.0, 1.0]
