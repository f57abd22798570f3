"""Scaled dot-product and multi-head attention (Vaswani et al. 2017, section 3.2, equation 1), one query at a time.

Mask polarity: true = may attend. A query that may attend to nothing has no defined output; it is NaN here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def attention(q: Array, k: Array, v: Array, mask: Mask | None = None) -> Array:
    """softmax(q k^T / sqrt(d_k)) v.

    Standard signature of the piece `attention`: q [b, h, n, d_k], k [b, h, m, d_k], v [b, h, m, d_v],
    mask boolean and broadcastable to [b, h, n, m], true = may attend. Returns [b, h, n, d_v].
    """
    batch, heads, queries, d_k = q.shape
    keys = k.shape[2]
    allowed = np.ones((batch, heads, queries, keys), bool)
    if mask is not None:
        allowed = np.broadcast_to(mask, allowed.shape)
    result = np.empty((batch, heads, queries, v.shape[3]))
    for b in range(batch):
        for h in range(heads):
            for i in range(queries):
                seen = [j for j in range(keys) if allowed[b, h, i, j]]
                if not seen:
                    result[b, h, i] = np.nan
                    continue
                scores = np.array([np.dot(q[b, h, i], k[b, h, j]) for j in seen]) / np.sqrt(d_k)
                weights = np.exp(scores - scores.max())
                weights /= weights.sum()
                result[b, h, i] = sum(w * v[b, h, j] for w, j in zip(weights, seen, strict=True))
    return result


def multi_head_attention(
    query: Array,
    key: Array,
    value: Array,
    mask: Mask | None,
    w_q: Array,
    w_k: Array,
    w_v: Array,
    w_o: Array,
    heads: int,
) -> Array:
    """Concat(head_1 … head_h) W^O with head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V) (section 3.2.2), no biases.

    Standard signature of the piece `multi_head_attention`: query [b, n, width], key and value [b, m, width],
    mask broadcastable to [b, heads, n, m], w_q and w_k [width, heads * d_k], w_v [width, heads * d_v],
    w_o [heads * d_v, width]; head i owns columns i * d … (i + 1) * d. Returns [b, n, width].
    """
    parts = []
    for i in range(heads):
        d_k, d_v = w_q.shape[1] // heads, w_v.shape[1] // heads
        q = query @ w_q[:, i * d_k : (i + 1) * d_k]
        k = key @ w_k[:, i * d_k : (i + 1) * d_k]
        v = value @ w_v[:, i * d_v : (i + 1) * d_v]
        of_head = mask
        if mask is not None:
            shape = (query.shape[0], heads, query.shape[1], key.shape[1])
            of_head = np.broadcast_to(mask, shape)[:, i : i + 1]
        parts.append(attention(q[:, None], k[:, None], v[:, None], of_head)[:, 0])
    return np.concatenate(parts, axis=-1) @ w_o


def attention_as_mistaken(mistake: str, q: Array, k: Array, v: Array, mask: Mask | None, width: int) -> Array:
    """What attention returns under one of the mistakes people make; `MISTAKES` names them.

    Shapes as in `attention`; `width` is the model's width where the scale is taken from it.
    """
    d_k = q.shape[-1]
    scale = {"no scale": 1.0, "scale from the model's width": width**-0.5, "scale by d_k": 1 / d_k}.get(
        mistake, d_k**-0.5
    )
    scores = np.einsum("bhnd,bhmd->bhnm", q, k) * scale
    allowed = np.ones(scores.shape, bool) if mask is None else np.broadcast_to(mask, scores.shape)
    if mistake == "mask inverted":
        allowed = ~allowed
    if mistake not in ("mask ignored", "mask after the softmax"):
        scores = np.where(allowed, scores, -1e9)
    axis = -2 if mistake == "softmax over queries" else -1
    weights = np.exp(scores - scores.max(axis=axis, keepdims=True))
    weights = weights / weights.sum(axis=axis, keepdims=True)
    if mistake == "mask after the softmax":
        weights = np.where(allowed, weights, 0.0)
    return np.einsum("bhnm,bhmd->bhnd", weights, v)


#: Mistakes that `attention_as_mistaken` knows, with the words a failure message uses for them.
MISTAKES = {
    "no scale": "scores are not divided by sqrt(d_k)",
    "scale from the model's width": "scores are scaled by the model's width instead of the width of one head",
    "scale by d_k": "scores are divided by d_k instead of sqrt(d_k)",
    "softmax over queries": "the softmax runs over the query axis instead of the key axis",
    "mask after the softmax": "the mask is applied after the softmax, so rows do not sum to 1",
    "mask inverted": "mask polarity inverted: forbidden keys are attended to, allowed ones hidden",
    "mask ignored": "the mask has no effect (not used, or the result of a non-in-place masked_fill discarded)",
}
