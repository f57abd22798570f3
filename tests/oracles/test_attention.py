"""The attention oracle against PyTorch's kernel and by its properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from repro.oracles.attention import MISTAKES, attention, attention_as_mistaken, multi_head_attention

RANDOM = np.random.default_rng(0)


def test_two_keys_by_hand() -> None:
    # scores 0 and ln 3 (d_k = 1): weights 1/4 and 3/4
    q, k = np.array([[[[1.0]]]]), np.array([[[[0.0], [math.log(3)]]]])
    v = np.array([[[[4.0], [8.0]]]])
    assert attention(q, k, v)[0, 0, 0, 0] == pytest.approx(4 / 4 + 8 * 3 / 4)


@pytest.mark.parametrize("masked", [False, True])
def test_agrees_with_pytorch(masked: bool) -> None:
    q, k, v = RANDOM.normal(size=(2, 3, 5, 4)), RANDOM.normal(size=(2, 3, 7, 4)), RANDOM.normal(size=(2, 3, 7, 6))
    mask = RANDOM.random((2, 1, 5, 7)) < 0.6
    mask[..., 0] = True
    used = mask if masked else None
    theirs = F.scaled_dot_product_attention(*map(torch.tensor, (q, k, v)), torch.tensor(mask) if masked else None)
    np.testing.assert_allclose(attention(q, k, v, used), theirs.numpy(), atol=1e-12)


def test_a_query_without_keys_is_nan() -> None:
    x = np.ones((1, 1, 1, 2))
    assert np.isnan(attention(x, x, x, np.zeros((1, 1, 1, 1), bool))).all()


def test_order_of_keys_does_not_matter() -> None:
    q, k, v = RANDOM.normal(size=(1, 2, 3, 4)), RANDOM.normal(size=(1, 2, 5, 4)), RANDOM.normal(size=(1, 2, 5, 4))
    p = RANDOM.permutation(5)
    np.testing.assert_allclose(attention(q, k, v), attention(q, k[:, :, p], v[:, :, p]), atol=1e-13)


def test_multi_head_agrees_with_pytorchs_module() -> None:
    width, heads = 12, 3
    theirs = torch.nn.MultiheadAttention(width, heads, bias=False, batch_first=True, dtype=torch.float64)
    w_q, w_k, w_v = theirs.in_proj_weight.detach().numpy().reshape(3, width, width).transpose(0, 2, 1)
    w_o = theirs.out_proj.weight.detach().numpy().T
    query, key = RANDOM.normal(size=(2, 4, width)), RANDOM.normal(size=(2, 6, width))
    mask = np.tril(np.ones((4, 6), bool))
    expected, _ = theirs(*map(torch.tensor, (query, key, key)), attn_mask=torch.tensor(~mask))
    ours = multi_head_attention(query, key, key, mask, w_q, w_k, w_v, w_o, heads)
    np.testing.assert_allclose(ours, expected.detach().numpy(), atol=1e-12)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_known_mistake_changes_the_result(mistake: str) -> None:
    q, k, v = (RANDOM.normal(size=(2, 3, 5, 4)) for _ in range(3))
    mask = np.tril(np.ones((5, 5), bool))
    wrong = attention_as_mistaken(mistake, q, k, v, mask, width=12)
    assert np.abs(wrong - attention(q, k, v, mask)).max() > 1e-2


def test_no_mistake_is_attention_itself() -> None:
    q, k, v = (RANDOM.normal(size=(2, 3, 5, 4)) for _ in range(3))
    mask = np.tril(np.ones((5, 5), bool))
    np.testing.assert_allclose(attention_as_mistaken("", q, k, v, mask, 12), attention(q, k, v, mask), atol=1e-12)
