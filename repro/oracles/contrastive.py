"""Contrastive cross entropies of paired embeddings, one anchor after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: What people get wrong in NT-Xent, in words.
NT_XENT_MISTAKES = {
    "self": "a view is its own negative: the diagonal of the similarities is not masked",
    "not normalised": "projections are not normalised to length 1",
    "times": "similarities are multiplied by the temperature instead of divided",
    "no temperature": "the temperature has no effect",
    "off by one": "the positive of the second half is off by one: another example's view",
    "one half": "only the views of the other half are candidates (N - 1 negatives instead of 2N - 2)",
    "no positive": "the positive is missing from the denominator",
    "sign": "the sign is wrong: views of one example are driven apart",
}
INFO_NCE_MISTAKES = {
    "times": NT_XENT_MISTAKES["times"],
    "no temperature": NT_XENT_MISTAKES["no temperature"],
    "off by one": "the positive is off by one: another example's key",
    "no positive": NT_XENT_MISTAKES["no positive"],
    "sign": "the sign is wrong: pairs are driven apart",
}


def nt_xent(z1: Array, z2: Array, temperature: float) -> Array:
    """-log(exp(s_ij / t) / sum over k ≠ i of exp(s_ik / t)) of each of the 2N views i, with j the other view of its
    example and s the cosine similarity (Chen et al. 2020, arXiv:2002.05709, equation 1).

    Standard signature of the piece `nt_xent`: z1, z2 [N, D] (row i of both is example i), temperature. Returns the
    loss of each view [2N], or their mean or sum.
    """
    z = unit(np.concatenate([z1, z2]))
    n = len(z1)
    losses = []
    for i in range(2 * n):
        scores = {k: float(z[i] @ z[k]) / temperature for k in range(2 * n) if k != i}
        losses.append(log_sum(list(scores.values())) - scores[(i + n) % (2 * n)])
    return np.array(losses)


def nt_xent_as_mistaken(z1: Array, z2: Array, temperature: float) -> dict[str, Array]:
    """What each known mistake gives, [2N]."""
    n = len(z1)
    raw = np.concatenate([z1, z2])
    z = unit(raw)
    other = [(i + n) % (2 * n) for i in range(2 * n)]
    late = [*range(n, 2 * n), *((i + 1) % n for i in range(n))]

    def loss(s: Array, positive: list[int], skip: bool = True, but: bool = False) -> Array:
        rows = []
        for i in range(2 * n):
            kept = [s[i, k] for k in range(2 * n) if not (skip and k == i) and not (but and k == positive[i])]
            rows.append(log_sum(kept) - s[i, positive[i]])
        return np.array(rows)

    s = z @ z.T
    across = z[:n] @ z[n:].T / temperature
    halves = [log_sum(list(row)) - row[i] for m in (across, across.T) for i, row in enumerate(m)]
    right = loss(s / temperature, other)
    return {
        "self": loss(s / temperature, other, skip=False),
        "not normalised": loss(raw @ raw.T / temperature, other),
        "times": loss(s * temperature, other),
        "no temperature": loss(s, other),
        "off by one": loss(s / temperature, late),
        "one half": np.array(halves),
        "no positive": loss(s / temperature, other, but=True),
        "sign": -right,
    }


def info_nce(queries: Array, keys: Array, temperature: float) -> Array:
    """-log(exp(q_i k_i / t) / sum over j of exp(q_i k_j / t)) of each query (van den Oord et al. 2018,
    arXiv:1807.03748, equation 4; with both directions averaged it is CLIP's, Radford et al. 2021, figure 3).

    Standard signature of the piece `info_nce`: queries, keys [N, D] of length 1, temperature. Returns the loss of each
    query [N], or their mean or sum.
    """
    s = queries @ keys.T / temperature
    return np.array([log_sum(list(row)) - row[i] for i, row in enumerate(s)])


def info_nce_as_mistaken(queries: Array, keys: Array, temperature: float) -> dict[str, Array]:
    """What each known mistake gives, [N]."""
    n = len(queries)
    s = queries @ keys.T / temperature
    without = [log_sum([s[i, k] for k in range(n) if k != i]) - s[i, i] for i in range(n)]
    return {
        "times": info_nce(queries, keys, 1 / temperature),
        "no temperature": info_nce(queries, keys, 1.0),
        "off by one": np.array([log_sum(list(row)) - row[(i + 1) % n] for i, row in enumerate(s)]),
        "no positive": np.array(without),
        "sign": -info_nce(queries, keys, temperature),
    }


def unit(z: Array) -> Array:
    """Rows of length 1."""
    return np.asarray(z / np.sqrt((z**2).sum(axis=1, keepdims=True)))


def log_sum(values: list[float]) -> float:
    """log of the sum of exponentials."""
    top = max(values)
    return float(top + np.log(sum(np.exp(value - top) for value in values)))
