"""Sinusoidal positions: numbers by hand, a vectorised version in PyTorch, and the match up to the order of channels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from repro.oracles import positions


def test_entries_by_hand() -> None:
    table = positions.positional_encoding(3, 4)
    np.testing.assert_allclose(table[0], [0, 1, 0, 1])
    # width 4: frequencies 1 and 10000^(-2/4) = 1/100
    np.testing.assert_allclose(table[2], [math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)])


def test_agrees_with_pytorch() -> None:
    pos = torch.arange(50, dtype=torch.float64)[:, None]
    angle = pos * 10000.0 ** (-torch.arange(0, 16, 2, dtype=torch.float64) / 16)
    theirs = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
    np.testing.assert_allclose(positions.positional_encoding(50, 16), theirs.numpy(), atol=1e-12)


def test_a_shift_is_a_rotation() -> None:
    # section 3.5: PE(pos + k) is a linear function of PE(pos), so the dot product depends on the distance only
    table = positions.positional_encoding(20, 8)
    assert table[3] @ table[7] == pytest.approx(table[11] @ table[15])


def test_order_of_channels_is_free() -> None:
    table = positions.positional_encoding(30, 12)
    blocks = np.concatenate([table[:, 0::2], table[:, 1::2]], axis=1)
    assert positions.distance_up_to_channels(blocks, table) == 0.0


@pytest.mark.parametrize(
    "other", [positions.positional_encoding_tensor2tensor, positions.positional_encoding_doubled_exponent]
)
def test_other_frequencies_are_far_away(other: object) -> None:
    assert positions.distance_up_to_channels(other(30, 12), positions.positional_encoding(30, 12)) > 0.1  # type: ignore[operator]


def test_other_shapes_are_infinitely_far() -> None:
    assert positions.distance_up_to_channels(np.zeros((3, 4)), np.zeros((4, 4))) == math.inf
