"""Optimiser oracles against PyTorch's optimisers, and against steps worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from repro.oracles.optimisers import adam_step, clip_by_norm, sgd_step


@pytest.mark.parametrize(
    ("make", "step", "settings"),
    [
        (torch.optim.Adam, adam_step, {"betas": (0.9, 0.98), "eps": 1e-9}),
        (torch.optim.Adam, adam_step, {"weight_decay": 0.1}),
        (torch.optim.AdamW, adam_step, {"weight_decay": 0.1}),
        (torch.optim.SGD, sgd_step, {"momentum": 0.9, "weight_decay": 0.1}),
        (torch.optim.SGD, sgd_step, {"momentum": 0.9, "nesterov": True}),
        (torch.optim.SGD, sgd_step, {}),
    ],
)
def test_agrees_with_torch_over_five_steps(make: Any, step: Any, settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=7)
    p = torch.tensor(w, requires_grad=True)
    optimiser = make([p], lr=0.01, **settings)
    state: dict[str, np.ndarray] = {}
    extra = {"decoupled": True} if make is torch.optim.AdamW else {}
    for number in range(1, 6):
        g = rng.normal(size=7)
        p.grad = torch.tensor(g)
        optimiser.step()
        w, state = step(w, g, state, number, lr=0.01, **settings, **extra)
        np.testing.assert_allclose(p.detach().numpy(), w, rtol=1e-12)


def test_first_adam_step_has_the_size_of_the_rate() -> None:
    # m / (1 - 0.9) = g and v / (1 - 0.999) = g², so the change is lr · g / (|g| + eps)
    new, _ = adam_step(np.array([1.0]), np.array([-3.0]), {}, 1, lr=0.5, eps=0.0)
    assert new[0] == pytest.approx(1.5)


def test_decoupled_decay_of_a_zero_gradient_shrinks_by_the_rate_times_the_decay() -> None:
    new, _ = adam_step(np.array([2.0]), np.array([0.0]), {}, 1, lr=0.1, weight_decay=0.5, decoupled=True)
    assert new[0] == pytest.approx(2.0 * (1 - 0.1 * 0.5))


def test_clipping_keeps_the_direction() -> None:
    a, b = clip_by_norm([np.array([3.0]), np.array([4.0])], 1.0)
    assert (a[0], b[0]) == (pytest.approx(0.6), pytest.approx(0.8))
    assert clip_by_norm([np.array([0.3])], 1.0)[0][0] == pytest.approx(0.3)
