"""Order by relative positions: seen where attention is unmasked, and missed where there is none."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from repro.checks.registry import run_check
from repro.checks.unmasked import Unmasked
from repro.contract.bench import Bench
from repro.findings import Outcome
from tests.planted_bugs.planting import Patch, Planted, plant

TURNED = "q, k = rotate(q, cos, sin), rotate(k, cos, sin)"
MASKED = "att = att.masked_fill(future, -torch.inf).softmax(dim=-1)"
MASKS = {
    "filled": MASKED,
    "where": "att = torch.where(future, -1e9, att).softmax(dim=-1)",
    "where, of the scores": "att = att.where(~future, -torch.inf).softmax(dim=-1)",
    "added": "att = (att + torch.full_like(att, -torch.inf).triu(1)).softmax(dim=-1)",
    "subtracted": "att = (att - 1e9 * future.to(att)).softmax(dim=-1)",
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("turned", [True, False])
def test_rotary_positions_are_told_from_none(mask: str, turned: bool, tmp_path: Path) -> None:
    patches = [Patch("model", MASKED, MASKS[mask])] if mask != "filled" else []
    if not turned:
        patches.append(Patch("model", TURNED, "q, k = +q, +k"))
    bench = Bench(plant(Planted(tuple(patches), paper="rope"), tmp_path))
    (finding,) = run_check("position_sensitive", bench, {"output": "logits", "input": "tokens"})
    assert finding.outcome is (Outcome.PASSED if turned else Outcome.FAILED), finding


def test_a_mask_that_cannot_be_taken_away_leaves_it_open(tmp_path: Path) -> None:
    hidden = "att = att.softmax(dim=-1).tril(); att = att / att.sum(-1, keepdim=True)"
    patches = (Patch("model", MASKED, hidden), Patch("model", TURNED, "q, k = +q, +k"))
    bench = Bench(plant(Planted(patches, paper="rope"), tmp_path))
    (finding,) = run_check("position_sensitive", bench, {"output": "logits", "input": "tokens"})
    assert finding.outcome is Outcome.WARNED
    assert "relative positions, or none" in finding.summary


def test_fused_attention_sees_every_place_and_keeps_its_biases() -> None:
    q, k, v = (torch.randn(1, 2, 4, 3, generator=torch.Generator().manual_seed(i)) for i in range(3))
    bias = torch.arange(16.0).view(4, 4) / 8
    causal = bias.masked_fill(torch.ones(4, 4, dtype=torch.bool).triu(1), -math.inf)
    with Unmasked():
        first = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        second = functional.scaled_dot_product_attention(q, k, v, torch.ones(4, 4, dtype=torch.bool).tril())
        third = functional.scaled_dot_product_attention(q, k, v, attn_mask=causal)
    whole = functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(first, whole)
    torch.testing.assert_close(second, whole)
    torch.testing.assert_close(third, functional.scaled_dot_product_attention(q, k, v, bias.tril()))


def test_an_encoder_layer_of_the_library_is_unmasked_too() -> None:
    layer = torch.nn.MultiheadAttention(4, 2, batch_first=True)
    x = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.full((5, 5), -math.inf).triu(1)
    with Unmasked(), torch.no_grad():
        seen = layer(x, x, x, attn_mask=mask, need_weights=False)[0]
    torch.testing.assert_close(seen, layer(x, x, x, need_weights=False)[0])
