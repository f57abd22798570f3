"""The four models: sizes of the authors' code, shapes, and the residual sum worked by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from repro.papers.mnist1d.model import CNN, GRU, MLP, BidirectionalGRU, Logistic, Plain, Residual


@pytest.mark.parametrize("model, parameters", [(Logistic, 410), (MLP, 15210), (CNN, 5210), (GRU, 5134)])
def test_parameters_and_shape(model: type[nn.Module], parameters: int) -> None:
    built = model()
    assert sum(p.numel() for p in built.parameters()) == parameters
    assert built(torch.randn(3, 40)).shape == (3, 10)


def test_residual_by_hand() -> None:
    # W = [[1, -1], [0, 2]], b = [0, -1]: W h + b of h = [1, 2] is [-1, 3], relu [0, 3]
    for block, expected in ((Residual(2), [1.0, 5.0]), (Plain(2), [0.0, 3.0])):
        with torch.no_grad():
            block.linear.weight.copy_(torch.tensor([[1.0, -1.0], [0.0, 2.0]]))
            block.linear.bias.copy_(torch.tensor([0.0, -1.0]))
        assert block(torch.tensor([1.0, 2.0])).tolist() == expected


def test_the_sum_costs_no_parameter() -> None:
    assert sum(p.numel() for p in MLP(residual=False).parameters()) == 15210


def test_cnn_lengths() -> None:
    lengths = []
    model = CNN()
    for layer in (model.conv1, model.conv2, model.conv3):
        layer.register_forward_hook(lambda _, __, out: lengths.append(out.shape[-1]))
    model(torch.randn(2, 40))
    assert lengths == [
        19,
        10,
        5,
    ]  # floor((40 + 2 - 5) / 2) + 1, floor((19 + 2 - 3) / 2) + 1, floor((10 + 2 - 3) / 2) + 1


def test_gru_reads_both_ways() -> None:
    torch.manual_seed(0)
    model = GRU()
    x = torch.randn(1, 40)
    with torch.no_grad():
        h = model.gru(x)
        changed = x.clone()
        changed[0, 20] += 1
        other = model.gru(changed)
    moved = (h != other)[0]  # [40, 12]
    assert not moved[:20, :6].any() and moved[20:, :6].any()  # forwards: only from there on
    assert not moved[21:, 6:].any() and moved[:21, 6:].any()  # backwards: only up to there


def test_gru_equals_pytorch_with_copied_weights() -> None:
    torch.manual_seed(0)
    ours = BidirectionalGRU(6).double()
    theirs = nn.GRU(1, 6, batch_first=True, bidirectional=True).double()
    names = {"weight_ih": "input_weight", "weight_hh": "state_weight", "bias_ih": "input_bias", "bias_hh": "state_bias"}
    with torch.no_grad():
        for name, own in names.items():
            for direction, suffix in enumerate(("_l0", "_l0_reverse")):
                value = getattr(ours, own)[direction]
                getattr(theirs, name + suffix).copy_(value.T if "weight" in name else value[0])
    x = torch.randn(3, 40, dtype=torch.float64)
    expected, _ = theirs(x[..., None])
    torch.testing.assert_close(ours(x), expected, rtol=1e-12, atol=1e-14)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
