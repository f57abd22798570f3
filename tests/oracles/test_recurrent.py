"""Recurrent layers against PyTorch's own, in one direction and in both, and the form that Cho et al. print."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repro.oracles import recurrent as oracle

RANDOM = np.random.default_rng(4)
X = RANDOM.normal(size=(3, 6, 2))


def weights_of(layer: str, both: bool) -> list[np.ndarray]:
    rows, front = 4 * oracle.GATES[layer], (2,) if both else ()
    return [RANDOM.normal(size=(*front, *shape)) for shape in ((rows, 2), (rows, 4), (rows,), (rows,))]


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("layer", ["gru", "lstm"])
def test_agrees_with_torch(layer: str, both: bool) -> None:
    weights = weights_of(layer, both)
    theirs = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[layer](2, 4, batch_first=True, bidirectional=both).double()
    each = [[w[way] for w in weights] for way in range(2)] if both else [weights]
    with torch.no_grad():
        for parameter, value in zip(theirs.parameters(), (w for way in each for w in way), strict=True):
            parameter.copy_(torch.tensor(value))
        states, _ = theirs(torch.tensor(X))
    np.testing.assert_allclose(oracle.batch_of(layer, X, weights), states.numpy(), atol=1e-12)


@pytest.mark.parametrize("layer", ["gru", "lstm"])
def test_every_known_form_is_another_function(layer: str) -> None:
    weights = weights_of(layer, True)
    right = oracle.batch_of(layer, X, weights)
    for form in (*oracle.MISTAKES[layer], *oracle.BOTH_WAYS, *oracle.CONVENTIONS[layer]):
        assert not np.allclose(oracle.batch_of(layer, X, weights, form), right, rtol=1e-3), form


def test_a_closed_update_gate_keeps_the_state_at_zero() -> None:
    w_ih, w_hh, b_ih, b_hh = weights_of("gru", False)
    b_ih[4:8] = 1e3  # z = 1
    assert not oracle.batch_of("gru", X, [w_ih, w_hh, b_ih, b_hh]).any()
