"""The model against hand-worked numbers, PyTorch's own parts, and the parameter counts of the paper's text."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.papers.transformer.model import (
    Cache,
    MultiHeadAttention,
    Transformer,
    attention,
    causal_mask,
    padding_mask,
    positional_encoding,
)
from repro.papers.transformer.pieces import multi_head_attention


@pytest.fixture(autouse=True)
def double() -> None:
    torch.manual_seed(0)


def small(**changes: object) -> Transformer:
    settings = {"vocabulary": 11, "width": 8, "layers": 2, "heads": 2, "d_ff": 16, "max_length": 20} | changes
    return Transformer(**settings).double().eval()  # type: ignore[arg-type]


def test_attention_by_hand() -> None:
    # d_k = 4, so scores are q·k / 2: [2, 0] / 2 = [1, 0]; softmax = [e, 1] / (e + 1)
    q = torch.tensor([[[[2.0, 0.0, 0.0, 0.0]]]])
    k = torch.tensor([[[[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]]])
    v = torch.tensor([[[[1.0], [0.0]]]])
    assert attention(q, k, v).item() == pytest.approx(math.e / (math.e + 1))
    assert attention(q, k, v, torch.tensor([False, True])).item() == 0.0  # true = may attend: only the second key


@pytest.mark.parametrize("masked", [False, True])
def test_attention_explicit_fused_and_pytorch_agree(masked: bool) -> None:
    q, k = torch.randn(2, 3, 5, 4, dtype=torch.float64), torch.randn(2, 3, 7, 4, dtype=torch.float64)
    v = torch.randn(2, 3, 7, 6, dtype=torch.float64)
    mask = torch.rand(2, 1, 5, 7) < 0.5
    mask[..., 0] = True
    seen = mask if masked else None
    theirs = F.scaled_dot_product_attention(q, k, v, seen)
    torch.testing.assert_close(attention(q, k, v, seen), theirs, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(attention(q, k, v, seen, fused=True), theirs, rtol=1e-12, atol=1e-14)
    unscaled = attention(q, k, v, seen, scaled=False)
    torch.testing.assert_close(attention(q, k, v, seen, scaled=False, fused=True), unscaled, rtol=1e-12, atol=1e-14)
    assert not torch.allclose(unscaled, theirs)


def test_multi_head_attention_equals_pytorch_with_copied_weights() -> None:
    ours = MultiHeadAttention(12, 3, 4, 4).double()
    theirs = nn.MultiheadAttention(12, 3, bias=False, batch_first=True).double()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.out_proj.weight.copy_(ours.output.weight)
    x, y = torch.randn(2, 5, 12, dtype=torch.float64), torch.randn(2, 7, 12, dtype=torch.float64)
    hidden = torch.zeros(2, 7, dtype=torch.bool)
    hidden[0, 4:] = True
    expected, _ = theirs(x, y, y, key_padding_mask=hidden)  # PyTorch: true = may not attend
    torch.testing.assert_close(ours(x, y, y, ~hidden[:, None, None, :]), expected, rtol=1e-10, atol=1e-12)
    matrices = [part.weight.T for part in (ours.query, ours.key, ours.value, ours.output)]
    torch.testing.assert_close(
        multi_head_attention(x, y, y, ~hidden[:, None, None, :], *matrices, 3), expected, rtol=1e-10, atol=1e-12
    )


def test_positional_encoding_by_hand() -> None:
    table = positional_encoding(3, 4)
    assert table[0].tolist() == [0.0, 1.0, 0.0, 1.0]
    # pos 2, d_model 4: 10000^(0/4) = 1 and 10000^(2/4) = 100
    expected = [math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)]
    assert table[2].tolist() == pytest.approx(expected, abs=1e-7)
    assert positional_encoding(2, 5).shape == (2, 5)


def test_masks() -> None:
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert padding_mask(torch.tensor([[5, 2, 0]])).tolist() == [[[[True, True, False]]]]


def count(width: int, layers: int, d_ff: int, heads: int, d_k: int, d_v: int, vocabulary: int, matrices: int) -> int:
    """Parameters by the paper's text: attention without biases, FFN with both, LayerNorm with gain and bias."""
    attention = 2 * width * heads * d_k + 2 * width * heads * d_v
    feed_forward = 2 * width * d_ff + d_ff + width
    norm = 2 * width
    encoder = attention + feed_forward + 2 * norm
    decoder = 2 * attention + feed_forward + 3 * norm
    return layers * (encoder + decoder) + matrices * vocabulary * width


@pytest.mark.parametrize(("changes", "matrices"), [({}, 1), ({"tied": False}, 3), ({"d_k": 3, "d_v": 5}, 1)])
def test_parameter_count(changes: dict[str, int], matrices: int) -> None:
    model = small(**changes)
    ours = sum(parameter.numel() for parameter in model.parameters())
    assert ours == count(8, 2, 16, 2, changes.get("d_k", 4), changes.get("d_v", 4), 11, matrices)


def test_base_model_has_63_million_parameters() -> None:
    with torch.device("meta"):
        model = Transformer(37000)
    # 18.944 million in the one embedding matrix, 44.101 million in the stacks; the paper prints 65
    assert sum(parameter.numel() for parameter in model.parameters()) == 63_045_632
    assert count(512, 6, 2048, 8, 64, 64, 37000, 1) == 63_045_632


def test_tied_means_one_tensor() -> None:
    model = small()
    assert model.output.weight is model.source_embedding.pieces.weight is model.target_embedding.pieces.weight
    untied = small(tied=False)
    assert untied.output.weight is not untied.source_embedding.pieces.weight


def sentences() -> tuple[Tensor, Tensor]:
    source = torch.tensor([[4, 5, 6, 2], [7, 2, 0, 0]])
    target = torch.tensor([[1, 4, 5, 6, 7], [1, 8, 9, 0, 0]])
    return source, target


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "none"])
def test_explicit_and_fused_models_agree(norm: str, positions: str) -> None:
    explicit = small(norm=norm, positions=positions)
    fused = small(norm=norm, positions=positions, attention="fused")
    fused.load_state_dict(explicit.state_dict())
    torch.testing.assert_close(explicit(*sentences()), fused(*sentences()), rtol=1e-11, atol=1e-12)


def test_later_pieces_and_padding_do_not_matter() -> None:
    model = small()
    source, target = sentences()
    logits = model(source, target)
    for t in range(1, target.size(1)):
        other = target.clone()
        other[:, t] = 3
        assert torch.equal(model(source, other)[:, :t], logits[:, :t])
    longer = F.pad(source, (0, 3))
    torch.testing.assert_close(model(longer, target), logits, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("changes", [{}, {"norm": "pre", "attention": "fused"}, {"positions": "learned"}])
def test_cached_decoding_gives_the_same_logits(changes: dict[str, str]) -> None:
    model = small(**changes)
    source, target = sentences()
    full, cache = model(source, target), Cache()
    steps = [model(source, target[:, :t], cache) for t in range(1, target.size(1) + 1)]
    real = target != 0
    torch.testing.assert_close(torch.cat(steps, dim=1)[real], full[real], rtol=1e-11, atol=1e-12)


def test_post_norm_output_is_normalised() -> None:
    model = small()
    y = model.decoder.layers[-1].residual3(torch.randn(2, 3, 8, dtype=torch.float64), torch.zeros_like)
    torch.testing.assert_close(y.mean(-1), torch.zeros(2, 3, dtype=torch.float64), atol=1e-12, rtol=0)


def test_impossible_settings_are_all_listed() -> None:
    faults = r"model\.positions is 'no'.*model\.norm is 'mid'.*does not divide by model\.heads=3"
    with pytest.raises(ValueError, match=faults):
        small(positions="no", norm="mid", heads=3)
    with pytest.raises(ValueError, match=r"21 pieces, but model\.max_length is 20"):
        small()(torch.ones(1, 21, dtype=torch.long), torch.ones(1, 2, dtype=torch.long))
