"""The loss against numbers worked by hand and against PyTorch's own label smoothing."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from repro.papers.transformer.loss import Loss, label_smoothed_cross_entropy


def test_by_hand() -> None:
    # probabilities 1/2, 1/4, 1/4; target 0: nll = ln 2, uniform term = (ln 2 + 2 ln 4) / 3 = 5/3 ln 2
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log()
    target = torch.tensor([0])
    expected = 0.9 * math.log(2) + 0.1 * 5 / 3 * math.log(2)
    assert label_smoothed_cross_entropy(logits, target, 0.1, padding=-1).item() == pytest.approx(expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_equals_pytorch_and_leaves_padding_out(smoothing: float) -> None:
    torch.manual_seed(0)
    logits = torch.randn(9, 5, dtype=torch.float64)
    targets = torch.tensor([1, 0, 4, 0, 2, 3, 3, 0, 1])
    expected = F.cross_entropy(logits, targets, ignore_index=0, label_smoothing=smoothing)
    ours = label_smoothed_cross_entropy(logits, targets, smoothing, padding=0)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-13)


def test_terms() -> None:
    logits = torch.zeros(2, 3, 7, requires_grad=True)
    targets = torch.tensor([[4, 5, 2], [2, 0, 0]])
    terms = Loss(0.1)(logits, targets)
    assert terms["total"].item() == pytest.approx(math.log(7))  # uniform scores: ln C, smoothed or not
    assert terms["nll"].item() == pytest.approx(math.log(7))
    terms["total"].backward()
    assert logits.grad is not None
    assert logits.grad[1, 1:].abs().max() == 0  # padding
    assert not terms["nll"].requires_grad
