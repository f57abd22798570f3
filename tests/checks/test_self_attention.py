"""Attention modules as people write them: each layout of their projections passes, each known mistake is named."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repro.checks.self_attention import self_attention_agrees
from repro.findings import Finding, Outcome

WIDTH, HEADS = 12, 3


class Fused(nn.Module):
    """One layer to queries, keys and values; `layout` says how it holds them, `wrong` what is mistaken."""

    def __init__(self, layout: str = "qkv", wrong: str = "", causal: bool = False, told: bool = True) -> None:
        super().__init__()
        self.to_qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.to_out = nn.Linear(WIDTH, WIDTH)
        self.layout, self.wrong, self.causal = layout, wrong, causal
        if told:
            self.heads = HEADS

    def forward(self, x: Tensor) -> Tensor:
        if self.layout == "length first":
            return self.attend(x.transpose(0, 1)).transpose(0, 1)
        return self.attend(x)

    def attend(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        d = WIDTH // HEADS
        made = self.to_qkv(x)
        if self.layout == "by head":
            q, k, v = made.view(b, n, HEADS, 3, d).unbind(3)
        elif self.layout == "by number":
            q, k, v = made.view(b, n, HEADS, d, 3).unbind(4)
        else:
            q, k, v = made.view(b, n, 3, HEADS, d).unbind(2)
        q, k, v = (y.transpose(1, 2) for y in (q, k, v))
        scale = {"not scaled": 1.0, "times": math.sqrt(d), "width": WIDTH**-0.5, "d_k": 1 / d}.get(self.wrong, d**-0.5)
        scores = q @ k.transpose(-2, -1) * scale
        hidden = ~torch.tril(torch.ones(n, n, dtype=torch.bool))
        if self.causal and self.wrong != "after":
            scores = scores.masked_fill(hidden, -1e9)
        weights = scores.softmax({"queries": -2, "heads": 1, "batch": 0}.get(self.wrong, -1))
        if self.causal and self.wrong == "after":
            weights = weights.masked_fill(hidden, 0.0)
        made = weights @ (k if self.wrong == "keys" else v)
        merged = (made if self.wrong == "merged" else made.transpose(1, 2)).reshape(b, n, WIDTH)
        out: Tensor = merged if self.wrong == "no output" else self.to_out(merged)
        return out


class Apart(nn.Module):
    """Four layers with other widths of keys and values, called with query, key, value and a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.k_proj = nn.Linear(WIDTH, 6, bias=False), nn.Linear(WIDTH, 6, bias=False)
        self.v_proj, self.out_proj = nn.Linear(WIDTH, 9), nn.Linear(9, WIDTH)
        self.n_head = HEADS

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> tuple[Tensor, None]:
        b, n, _ = query.shape
        q, k, v = (
            layer(x).view(b, n, HEADS, -1).transpose(1, 2)
            for layer, x in ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value))
        )
        made = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.out_proj(made.transpose(1, 2).reshape(b, n, -1)), None


class Cosine(Fused):
    """Another attention: of queries and keys of length 1."""

    def attend(self, x: Tensor) -> Tensor:
        q, k, v = self.to_qkv(x).chunk(3, -1)
        out: Tensor = self.to_out((nn.functional.normalize(q, dim=-1) @ k.transpose(1, 2)).softmax(-1) @ v)
        return out


class Bench:
    """A bench of one module in float64."""

    dtype = torch.float64

    def __init__(self, module: nn.Module) -> None:
        torch.manual_seed(1)
        self.module = nn.Sequential(module).double()
        self.paper = SimpleNamespace(has=lambda name: False)

    def model(self) -> nn.Module:
        return self.module

    def modules(self, model: Any) -> dict[str, nn.Module]:
        return {"model": model}

    def precision(self) -> Any:
        from contextlib import nullcontext

        return nullcontext()


def found(module: nn.Module, **options: str) -> Finding:
    (finding,) = self_attention_agrees(Bench(module), **options)  # type: ignore[arg-type]
    return finding


@pytest.mark.parametrize(("wrong", "scale"), [("not scaled", "none"), ("width", "width"), ("d_k", "d_k")])
def test_another_scale_can_be_declared_and_the_message_says_how(wrong: str, scale: str) -> None:
    told = found(Fused(wrong=wrong))
    assert told.outcome is not Outcome.PASSED and f"scale: {scale}}}" in told.expected
    assert found(Fused(wrong=wrong), scale=scale).outcome is Outcome.PASSED
    assert found(Fused(), scale=scale).likely == ("scores are divided by sqrt(d_k), where another scale is declared",)
    assert found(Fused(), scale="half").outcome is Outcome.NOT_RUN


@pytest.mark.parametrize("layout", ["qkv", "by head", "by number", "length first"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("told", [False, True])
def test_every_layout_of_the_projections_passes(layout: str, causal: bool, told: bool) -> None:
    finding = found(Fused(layout, causal=causal, told=told))
    assert finding.outcome is Outcome.PASSED, finding
    assert f"{HEADS} heads" in finding.summary


def test_four_layers_of_other_widths_pass() -> None:
    assert found(Apart()).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("not scaled", "not divided by sqrt(d_k)"),
        ("times", "multiplied by sqrt(d_k)"),
        ("width", "the model's width"),
        ("queries", "query axis"),
        ("heads", "over the heads"),
        ("batch", "over the batch"),
        ("keys", "keys are averaged"),
        ("merged", "without transpose"),
        ("no output", "not applied"),
    ],
)
def test_a_mistake_is_named(wrong: str, words: str) -> None:
    finding = found(Fused(wrong=wrong))
    assert finding.outcome is Outcome.FAILED
    assert words in finding.likely[0]


def test_a_mask_after_the_softmax_is_named() -> None:
    assert "after the softmax" in found(Fused(wrong="after", causal=True)).likely[0]


def test_the_scale_of_maximal_update_parametrisation_only_warns() -> None:
    assert found(Fused(wrong="d_k")).outcome is Outcome.WARNED


def test_another_attention_is_not_judged() -> None:
    assert found(Cosine()).outcome is Outcome.NOT_RUN
