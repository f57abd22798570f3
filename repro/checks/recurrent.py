"""Recurrent layers that a paper writes itself, against their definition."""

from __future__ import annotations

import numpy as np

from repro.checks.pieces import Case, compare
from repro.checks.registry import check, not_run
from repro.contract.bench import Bench
from repro.findings import Finding
from repro.oracles import recurrent as oracle

PIECES = ("gru", "lstm", "bidirectional_gru", "bidirectional_lstm")


@check(phase="model", family="oracle", component="model")
def recurrent_agrees(bench: Bench, *, piece: str = "", inputs: int = 2) -> Finding:
    """Decides whether a recurrent layer, given its weights, is the definition: `gru`, `lstm`, or one of them both ways.

    `inputs` is how many numbers a point has, where the layer takes no other number.

    Broken: other states than one step of one sequence at a time in float64.
    Likely: the update gate keeps what it should replace | gates in another order | states of the backward direction are
    not turned round again
    """
    if piece not in PIECES or bench.piece(piece) is None:
        return not_run(
            f"declare {{property: recurrent_agrees, piece: <one of {', '.join(PIECES)}>}} and pieces.{piece or '<it>'}"
        )
    layer, both = piece.rpartition("_")[2], piece.startswith("bidirectional")
    random = np.random.default_rng(61)
    hidden = 4
    rows = oracle.GATES[layer] * hidden
    front = (2,) if both else ()
    shapes = ((rows, inputs), (rows, hidden), (rows,), (rows,))
    weights = [random.normal(size=(*front, *shape)) for shape in shapes]
    x = random.normal(size=(2, 5, inputs))
    words = {**oracle.MISTAKES[layer], **(oracle.BOTH_WAYS if both else {})}
    wrong = {form: oracle.batch_of(layer, x, weights, form) for form in words}
    accepted = {text: oracle.batch_of(layer, x, weights, form) for form, text in oracle.CONVENTIONS[layer].items()}
    axes = "[2, …] each" if both else ""
    signature = f"(x [b, t, i], w_ih, w_hh, b_ih, b_hh {axes}) → states [b, t, {'2 ' if both else ''}h]"
    cases = [Case((x, *weights), oracle.batch_of(layer, x, weights), wrong, accepted)]
    return compare(bench, piece, signature, cases, words, f"a {layer.upper()} from a state of 0")
