"""The networks of Table 6: printed sizes, shortcuts, and blocks worked by hand."""

from __future__ import annotations

import pytest
import torch

from repro.papers.resnet.model import Block, ResNet, residual_block, shortcut_a


@pytest.mark.parametrize(
    "layers, option_a, printed",
    [(20, 269_722, 0.27), (32, 464_154, 0.46), (44, 658_586, 0.66), (56, 853_018, 0.85), (110, 1_727_962, 1.7)],
)
def test_sizes_of_table_6(layers: int, option_a: int, printed: float) -> None:
    def size(shortcut: str) -> int:
        with torch.device("meta"):
            return sum(p.numel() for p in ResNet(layers, shortcut=shortcut).parameters())

    assert size("A") == size("none") == option_a
    assert size("B") == option_a + 16 * 32 + 32 * 64 + 2 * (32 + 64)
    digits = len(str(printed).partition(".")[2])
    assert round(option_a / 1e6, digits) == printed
    # of option B the rows of 32 and 56 layers would print another number
    assert (round(size("B") / 1e6, digits) == printed) == (layers not in (32, 56))


def test_shortcut_a_by_hand() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    wanted = torch.tensor([[[[0.0, 2.0], [8.0, 10.0]], [[0.0, 0.0], [0.0, 0.0]]]])
    assert torch.equal(shortcut_a(x, 2, 2), wanted)
    assert torch.equal(shortcut_a(x, 1, 1), x)


def test_the_sum_comes_before_the_last_activation() -> None:
    x = torch.tensor([-3.0, 1.0])
    assert torch.equal(residual_block(x, lambda x: 2 * x, lambda x: x), torch.tensor([0.0, 3.0]))


def test_a_block_without_weights_passes_its_input_on() -> None:
    x = torch.rand(2, 4, 6, 6)  # not negative, as after any block
    for shortcut, wanted in (("A", x), ("none", torch.zeros_like(x))):
        block = Block(4, 4, 1, shortcut, norm=True)
        torch.nn.init.zeros_(block.conv2.weight)
        torch.testing.assert_close(block(x), wanted)


def test_stages_halve_the_map_and_double_the_filters() -> None:
    model = ResNet(8, filters=4)
    h = model.norm(model.convolution(torch.randn(2, 3, 32, 32)))
    shapes = []
    for stage in model.stages:
        h = stage(h)
        shapes.append(tuple(h.shape))
    assert shapes == [(2, 4, 32, 32), (2, 8, 16, 16), (2, 16, 8, 8)]


def test_channels_last_is_the_same_function() -> None:
    torch.manual_seed(0)
    plain = ResNet(8, filters=4)
    other = ResNet(8, filters=4, channels_last=True)
    other.load_state_dict(plain.state_dict())
    assert other.convolution.weight.is_contiguous(memory_format=torch.channels_last)
    image = torch.randn(3, 3, 16, 16)
    torch.testing.assert_close(plain(image), other(image), atol=1e-5, rtol=1e-5)


def test_without_normalisation_convolutions_have_biases() -> None:
    model = ResNet(8, norm=False)
    assert all(m.bias is not None for m in model.modules() if isinstance(m, torch.nn.Conv2d))
    assert not list(model.buffers())


@pytest.mark.parametrize("layers, near", [(18, 20), (21, 20), (2, 8), (50, 50)])
def test_depths_that_are_not_6n_2_are_named(layers: int, near: int) -> None:
    if layers == near:
        ResNet(layers, filters=1)
        return
    with pytest.raises(ValueError, match=rf"model\.layers is {layers}, needed 6n \+ 2.*nearest is {near}"):
        ResNet(layers)


def test_unknown_shortcut_is_named() -> None:
    with pytest.raises(ValueError, match=r"model\.shortcut is 'C', needed one of A, B, none"):
        ResNet(shortcut="C")
