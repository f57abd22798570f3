"""Layer and batch normalisation against PyTorch."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from repro.oracles.normalisation import batch_norm, layer_norm

RANDOM = np.random.default_rng(0)


def test_layer_norm_by_hand() -> None:
    np.testing.assert_allclose(layer_norm(np.array([[1.0, 3.0]]), eps=0.0), [[-1.0, 1.0]])


def test_layer_norm_agrees_with_pytorch() -> None:
    x, gain, bias = RANDOM.normal(size=(2, 3, 5)), RANDOM.normal(size=5), RANDOM.normal(size=5)
    theirs = F.layer_norm(torch.tensor(x), (5,), torch.tensor(gain), torch.tensor(bias))
    np.testing.assert_allclose(layer_norm(x, gain, bias), theirs.numpy(), atol=1e-12)


def test_layer_norm_ignores_shift_and_scale_of_a_token() -> None:
    x = RANDOM.normal(size=(4, 6))
    np.testing.assert_allclose(layer_norm(3 * x + 7, eps=0.0), layer_norm(x, eps=0.0), atol=1e-12)


def test_batch_norm_agrees_with_pytorch() -> None:
    x, gain, bias = RANDOM.normal(size=(4, 3, 5, 5)), RANDOM.normal(size=3), RANDOM.normal(size=3)
    theirs = F.batch_norm(torch.tensor(x), None, None, torch.tensor(gain), torch.tensor(bias), training=True)
    np.testing.assert_allclose(batch_norm(x, gain, bias), theirs.numpy(), atol=1e-12)
