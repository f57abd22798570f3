"""Adapters from this paper's modules to the signatures of the oracles."""

from __future__ import annotations

import torch
from torch import Tensor

from repro.papers.transformer.model import FeedForward, MultiHeadAttention


@torch.no_grad()
def multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    w_q: Tensor,
    w_k: Tensor,
    w_v: Tensor,
    w_o: Tensor,
    heads: int,
) -> Tensor:
    """Multi-head attention with given matrices (section 3.2.2): head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V).

    Args:
        query: [b, n, width].
        key, value: [b, m, width].
        mask: broadcastable to [b, heads, n, m], true (1) = may attend; None is no mask.
        w_q, w_k: [width, heads * d_k], the heads side by side.
        w_v: [width, heads * d_v].
        w_o: [heads * d_v, width].

    Returns:
        [b, n, width]
    """
    layer = MultiHeadAttention(w_q.size(0), heads, w_q.size(1) // heads, w_v.size(1) // heads).to(query.dtype)
    for linear, matrix in ((layer.query, w_q), (layer.key, w_k), (layer.value, w_v), (layer.output, w_o)):
        linear.weight.copy_(matrix.T)
    result: Tensor = layer.eval()(query, key, value, mask)
    return result


@torch.no_grad()
def feed_forward(x: Tensor, w_1: Tensor, b_1: Tensor, w_2: Tensor, b_2: Tensor) -> Tensor:
    """The feed-forward network with given weights (equation 2).

    Args:
        x: [b, n, width].
        w_1, b_1: [width, d_ff] and [d_ff].
        w_2, b_2: [d_ff, width] and [width].

    Returns:
        [b, n, width]
    """
    layer = FeedForward(*w_1.shape).to(x.dtype)
    for linear, matrix, bias in ((layer.inner, w_1, b_1), (layer.outer, w_2, b_2)):
        linear.weight.copy_(matrix.T)
        linear.bias.copy_(bias)
    result: Tensor = layer.eval()(x)
    return result
