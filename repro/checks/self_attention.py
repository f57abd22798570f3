"""Self-attention as most people write it, a module with its own projections, against its definition."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from repro.checks import tolerance
from repro.checks.registry import check, failed, not_run, passed, warned
from repro.contract.bench import Bench
from repro.contract.components import location_of
from repro.findings import Finding

Array = NDArray[np.float64]

EXAMPLES, LENGTH = 2, 5
#: Attributes under which a module keeps its number of heads.
HEADS = ("heads", "num_heads", "n_heads", "n_head", "nhead", "nheads", "h")
#: Three of four projections, as they are named: q, query, queries, q_proj, to_q, w_q, …; the other leads back.
ROLES = ("query", "key", "value")
PLURAL = {"query": "queries", "key": "keys", "value": "values"}
WORDS = {
    "not scaled": "scores are not divided by sqrt(d_k)",
    "times": "scores are multiplied by sqrt(d_k) instead of divided",
    "d_k": "scores are divided by d_k instead of sqrt(d_k)",
    "width": "scores are scaled by the model's width instead of the width of one head",
    "queries": "the softmax runs over the query axis",
    "heads": "the softmax runs over the heads",
    "batch": "the softmax runs over the batch",
    "keys": "keys are averaged instead of values",
    "queries twice": "queries are compared with queries: the keys are not used",
    "merged": "heads are merged without transpose (positions and heads are mixed)",
    "after": "the mask is applied after the softmax, and rows no longer sum to 1",
    "no output": "the last projection W^O is not applied",
}
#: Scales that a paper may declare, by the mistake of `WORDS` that they are elsewhere.
SCALES = {"none": "not scaled", "width": "width", "d_k": "d_k"}


@dataclass(frozen=True)
class Projections:
    """Queries, keys and values [b, n, …] of the inputs tried, and the last projection; as the module's weights give."""

    q: Array
    k: Array
    v: Array
    output: nn.Linear

    def last(self, heads_merged: Array) -> Array:
        weight = self.output.weight.detach().double().numpy()
        bias = 0.0 if self.output.bias is None else self.output.bias.detach().double().numpy()
        return np.asarray(heads_merged @ weight.T + bias)


@check(phase="model", family="oracle", component="model")
def self_attention_agrees(bench: Bench, *, scale: str = "", source: str = "") -> list[Finding]:
    """Decides of a module with projections to queries, keys and values and one back whether it is softmax(q k^T /
    sqrt(d_k)) v of its own weights, for each head, with or without a causal mask.

    Needs no declaration: a module is taken for attention by its linear layers, one of width 3 d or three named like q,
    k and v, and one that leads back; it is called on random inputs. `scale` declares another one than 1 / sqrt(d_k):
    `none` (Raffel et al. 2020 take none), `width` for 1 / sqrt(d_model), or `d_k` for 1 / d_k.
    Broken: its result is exactly what a known mistake gives. Another attention than the standard one is not judged.
    Likely: scores are not divided by sqrt(d_k) | the softmax runs over the query axis | heads are merged without
    transpose | the mask is applied after the softmax
    """
    if scale not in ("", *SCALES):
        return [not_run(f"properties: self_attention_agrees: scale is {scale!r}, known are {', '.join(SCALES)}")]
    found = []
    for owner, model in bench.modules(bench.model()).items():
        model.eval()
        kinds: set[type] = set()
        for name, module in model.named_modules():
            if type(module) in kinds or not (linear := linears(module)):
                continue
            kinds.add(type(module))
            found.append(judge(bench, f"{owner}.{name}".removeprefix("model."), module, linear, scale, source))
    return found or [not_run("the model has no module with linear layers to queries, keys and values and one back")]


def linears(module: nn.Module) -> dict[str, nn.Linear]:
    """{"qkv", "output"} or {"query", "key", "value", "output"} of a module that holds just these; {} of another."""
    own = {name: layer for name, layer in module.named_children() if isinstance(layer, nn.Linear)}
    if len(own) == 2:
        (first, last) = sorted(own.values(), key=lambda layer: -layer.out_features)
        if first.out_features == 3 * last.in_features and first.in_features == last.out_features:
            return {"qkv": first, "output": last}
    if len(own) == 4:
        roles: dict[str, nn.Linear] = {}
        for name, layer in own.items():
            parts = name.lower().replace("proj", "").replace("linear", "").split("_")
            role = next((role for part in parts for role in ROLES if part in (role[0], role, PLURAL[role])), "")
            roles[role or "output"] = layer
        if len(roles) == 4 and roles["value"].out_features == roles["output"].in_features:
            return roles
    return {}


def result(module: nn.Module, x: Tensor) -> Array | None:
    """What the module makes of [b, n, width], attending to itself; None where it wants something else."""
    parameters = [
        p for p in inspect.signature(module.forward).parameters.values() if p.default is p.empty and p.kind <= 1
    ]
    masks = [p for p in parameters if "mask" in p.name]
    inputs = len(parameters) - len(masks)
    if inputs not in (1, 3):
        return None
    given = [None if p in masks else x for p in parameters]
    try:
        with torch.no_grad():
            returned = module(*given)
    except Exception:  # noqa: BLE001 - whatever it wants, it is not attention of one sequence to itself
        return None
    returned = returned[0] if isinstance(returned, tuple) else returned
    if not isinstance(returned, Tensor) or returned.shape[:2] != x.shape[:2]:
        return None
    return np.asarray(returned.double().numpy())


def judge(
    bench: Bench, name: str, module: nn.Module, linear: dict[str, nn.Linear], scale: str = "", source: str = ""
) -> Finding:
    width = next(iter(linear.values())).in_features
    x = torch.randn(EXAMPLES, LENGTH, width, generator=torch.Generator().manual_seed(37), dtype=torch.float64)
    with bench.precision():
        ours = result(module, x.to(bench.dtype))
    if ours is None:
        return not_run(f"{name} cannot be called on one sequence [batch, length, {width}]")
    number = next((getattr(module, key) for key in HEADS if isinstance(getattr(module, key, None), int)), None)
    inner = linear["output"].in_features
    counts = [number] if number and inner % number == 0 else [h for h in range(1, inner + 1) if inner % h == 0]
    bound = tolerance.other_order(torch.from_numpy(ours))
    fields: dict[str, Any] = {
        "expected": "softmax(q k^T / sqrt(d_k)) v of each head, with the module's own projections",
        "threshold": f"{tolerance.number(bound)} ({tolerance.why_other_order()})",
        "location": location_of(module),
    }
    tried = [
        (heads, causal, turned, p)
        for heads, turned in product(counts, (False, True))  # a module may take [length, batch, width]
        for p in projections(linear, x.transpose(0, 1) if turned else x, heads)
        for causal in (False, True)
    ]

    def equal(heads: int, causal: bool, turned: bool, p: Projections, mistake: str = "") -> bool:
        made = attention(p, heads, causal, mistake)
        return near(ours, made.transpose(1, 0, 2) if turned else made, bound)

    declared = SCALES.get(scale, "")
    if declared:
        fields["expected"] += f", the scale as declared: {scale}" + (f" ({source})" if source else "")
    for heads, causal, turned, p in tried:
        if equal(heads, causal, turned, p, declared):
            mask = ", causal" if causal else ""
            return passed(f"{name} is softmax attention of {heads} heads{mask}", observed="equal", **fields)
        if declared and equal(heads, causal, turned, p):
            scaled = "scores are divided by sqrt(d_k), where another scale is declared"
            return failed(
                f"{name} has another scale than declared", observed="1 / sqrt(d_k)", likely=(scaled,), **fields
            )
    for (heads, causal, turned, p), (mistake, words) in product(tried, WORDS.items()):
        if equal(heads, causal, turned, p, mistake):
            mask = ", causal" if causal else ""
            fields["observed"] = f"exactly what comes out when {words}, with {heads} heads{mask}"
            for key in (key for key, text in SCALES.items() if text == mistake):
                fields["expected"] += f"; if so meant by the paper, {{property: self_attention_agrees, scale: {key}}}"
            if mistake == "d_k":  # the scale of maximal update parametrisation (Yang et al. 2022, definition 4.1)
                return warned(f"{name} is attention with another scale: {words}", **fields)
            rest = [text for key, text in WORDS.items() if key in ("not scaled", "queries") and key != mistake]
            return failed(f"{name} is not softmax(q k^T / sqrt(d_k)) v", likely=(words, *rest), **fields)
    return not_run(f"{name} is another attention than the standard one, and no known mistake of it")


def near(a: Array, b: Array, bound: float) -> bool:
    return a.shape == b.shape and float(np.abs(a - b).max()) <= bound


def projections(linear: dict[str, nn.Linear], x: Tensor, heads: int) -> Iterator[Projections]:
    """The queries, keys and values, in each order in which one layer may hold them: [q k v], of each head, of each
    number.
    """
    made = {}
    with torch.no_grad():
        for role, layer in linear.items():
            bias = None if layer.bias is None else layer.bias.double()
            if role != "output":
                made[role] = nn.functional.linear(x, layer.weight.double(), bias).numpy()
    output = linear["output"]
    if "qkv" not in made:
        yield Projections(made["query"], made["key"], made["value"], output)
        return
    b, n, wide = made["qkv"].shape
    d = wide // 3 // heads
    for shape, axis in (((b, n, 3, heads, d), 2), ((b, n, heads, 3, d), 3), ((b, n, heads, d, 3), 4)):
        q, k, v = np.moveaxis(made["qkv"].reshape(shape), axis, 0).reshape(3, b, n, -1)
        yield Projections(q, k, v, output)


def attention(p: Projections, heads: int, causal: bool, mistake: str = "") -> Array:
    """Attention of each head by its definition, or with one mistake of `WORDS`; [b, n, width]."""

    def split(value: Array) -> Array:
        b, n, wide = value.shape
        return value.reshape(b, n, heads, wide // heads).transpose(0, 2, 1, 3)  # [b, h, n, d]

    q, k, v = split(p.q), split(p.k), split(p.v)
    d_k = q.shape[-1]
    scales = {"not scaled": 1.0, "times": math.sqrt(d_k), "d_k": 1 / d_k, "width": 1 / math.sqrt(d_k * heads)}
    scores = q @ (q if mistake == "queries twice" else k).transpose(0, 1, 3, 2) * scales.get(mistake, d_k**-0.5)
    n = scores.shape[-1]
    allowed = np.tril(np.ones((n, n), bool)) if causal else np.ones((n, n), bool)
    if mistake != "after":
        scores = np.where(allowed, scores, -np.inf)
    axis = {"queries": -2, "heads": 1, "batch": 0}.get(mistake, -1)
    top = scores.max(axis=axis, keepdims=True)
    weights = np.exp(scores - np.where(np.isfinite(top), top, 0.0))
    total = weights.sum(axis=axis, keepdims=True)
    weights = weights / np.where(total > 0, total, 1.0)
    if mistake == "after":
        weights = np.where(allowed, weights, 0.0)
    made = weights @ (k if mistake == "keys" else v)  # [b, h, n, d]
    b, h, n, d = made.shape
    merged = (made if mistake == "merged" else made.transpose(0, 2, 1, 3)).reshape(b, n, h * d)
    return merged if mistake == "no output" else p.last(merged)
