"""Recurrent layers, one step of one sequence at a time: GRU and LSTM, with PyTorch's form and order of gates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: w_ih [G h, i], w_hh [G h, h], b_ih [G h], b_hh [G h]; G gates one below the other.
Weights = tuple[Array, Array, Array, Array]


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def gru(x: Array, weights: Weights, form: str = "") -> Array:
    """States of a gated recurrent unit that starts from 0 (Cho et al. 2014, arXiv:1406.1078, section 2.3).

        r, z = sigmoid(W x + b + U h + c)        n = tanh(W x + b + r * (U h + c))        h = (1 - z) * n + z * h

    Standard signature of the piece `gru`: x [b, t, i], w_ih [3 h, i], w_hh [3 h, h], b_ih, b_hh [3 h], gates in the
    order r, z, n. Here x is [t, i]; `form` "reset first" is that of the paper, tanh(W x + b + U (r * h) + c), which
    PyTorch exchanged for one that is faster; other forms are mistakes of `MISTAKES`.

    Returns:
        [t, h]
    """
    w_ih, w_hh, b_ih, b_hh = weights
    size = len(b_ih) // 3
    h = np.zeros(size)
    states = []
    for given in x:
        from_input, from_state = w_ih @ given + b_ih, w_hh @ h + b_hh
        r, z = sigmoid(from_input[: 2 * size] + from_state[: 2 * size]).reshape(2, size)
        if form == "gates exchanged":
            r, z = z, r
        inner = r * from_state[2 * size :]
        if form == "reset first":
            inner = w_hh[2 * size :] @ (r * h) + b_hh[2 * size :]
        if form == "no reset":
            inner = from_state[2 * size :]
        n = np.tanh(from_input[2 * size :] + inner)
        h = z * n + (1 - z) * h if form == "update turned round" else (1 - z) * n + z * h
        states.append(h)
    return np.array(states)


def lstm(x: Array, weights: Weights, form: str = "") -> Array:
    """Outputs of a long short-term memory that starts from 0 (Gers et al. 2000, without peepholes).

        i, f, o = sigmoid(W x + b + U h + c)     g = tanh(…)     s = f * s + i * g     h = o * tanh(s)

    Standard signature of the piece `lstm`: x [b, t, i], w_ih [4 h, i], w_hh [4 h, h], b_ih, b_hh [4 h], gates in the
    order i, f, g, o. Here x is [t, i]; `form` is "" or one of `MISTAKES`.

    Returns:
        [t, h]
    """
    w_ih, w_hh, b_ih, b_hh = weights
    size = len(b_ih) // 4
    h, cell = np.zeros(size), np.zeros(size)
    outputs = []
    for given in x:
        i, f, g, o = (w_ih @ given + b_ih + w_hh @ h + b_hh).reshape(4, size)
        if form == "gates exchanged":
            i, f = f, i
        candidate = sigmoid(g) if form == "candidate by sigmoid" else np.tanh(g)
        cell = sigmoid(f) * cell + sigmoid(i) * candidate
        h = sigmoid(o) * (cell if form == "cell not squashed" else np.tanh(cell))
        outputs.append(h)
    return np.array(outputs)


def both_ways(layer: str, x: Array, forwards: Weights, backwards: Weights, form: str = "") -> Array:
    """[t, 2 h]: the states of reading x forwards, and of reading it backwards, each beside the point that it stands at.

    Standard signature of the pieces `bidirectional_gru` and `bidirectional_lstm`: x [b, t, i], then the four weights as
    of one direction, each with an axis [2, …] in front: forwards, backwards.
    """
    run = LAYERS[layer]
    inner = "" if form in ("not turned back", "one direction twice") else form
    ahead, behind = run(x, forwards, inner), run(x[::-1], backwards, inner)
    if form == "one direction twice":
        return np.concatenate([ahead, run(x, backwards)], axis=1)
    return np.concatenate([ahead, behind if form == "not turned back" else behind[::-1]], axis=1)


LAYERS = {"gru": gru, "lstm": lstm}
GATES = {"gru": 3, "lstm": 4}
#: Forms that are mistakes, with the words a failure message uses for them.
MISTAKES: dict[str, dict[str, str]] = {
    "gru": {
        "update turned round": "the update gate keeps what it should replace: z * n + (1 - z) * h",
        "gates exchanged": "reset and update gate are exchanged",
        "no reset": "the reset gate does not reach the candidate",
    },
    "lstm": {
        "gates exchanged": "input and forget gate are exchanged",
        "cell not squashed": "the output is not o * tanh(cell)",
        "candidate by sigmoid": "the candidate goes through a sigmoid in place of tanh",
    },
}
BOTH_WAYS = {
    "not turned back": "states of the backward direction are not turned round again",
    "one direction twice": "the backward direction reads forwards",
}
#: Forms in use that are no mistake.
CONVENTIONS: dict[str, dict[str, str]] = {
    "gru": {"reset first": "with the reset before the product, as Cho et al. 2014 print it"},
    "lstm": {},
}


def batch_of(layer: str, x: Array, weights: Sequence[Array], form: str = "") -> Array:
    """[b, t, …] of x [b, t, i]: one direction, or both where each weight has an axis [2, …] in front."""
    if weights[0].ndim == 2:
        one: Weights = (weights[0], weights[1], weights[2], weights[3])
        return np.array([LAYERS[layer](row, one, form) for row in x])
    ahead: Weights = (weights[0][0], weights[1][0], weights[2][0], weights[3][0])
    behind: Weights = (weights[0][1], weights[1][1], weights[2][1], weights[3][1])
    return np.array([both_ways(layer, row, ahead, behind, form) for row in x])
