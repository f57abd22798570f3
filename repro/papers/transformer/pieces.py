"""Adapters from this paper's modules to the signatures of the oracles."""

from __future__ import annotations

import torch
from torch import Tensor

from repro.papers.transformer.model import MultiHeadAttention


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
    """Multi-head attention with given matrices, as section 3.2.2 writes it: head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V).

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
