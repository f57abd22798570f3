"""Oracle checks: a person's piece against our float64 NumPy version on small random inputs, and known mistakes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.checks import tolerance
from repro.checks.inputs import component_location
from repro.checks.registry import check, failed, not_run, passed, warned
from repro.checks.signs import seen_in
from repro.contract.bench import Bench
from repro.contract.components import persons_errors
from repro.findings import Finding
from repro.oracles import attention as attention_oracle
from repro.oracles import cross_entropy as cross_entropy_oracle
from repro.oracles import positions as positions_oracle

#: Heads that differ from 1 and widths that differ from each other: a mistake in either must not cancel.
BATCH, HEADS, QUERIES, KEYS, D_K, D_V = 2, 3, 5, 7, 4, 6


def bound_piece(bench: Bench, name: str, signature: str, *arguments: Any) -> Callable[..., Any] | Finding:
    """The declared callable of a piece where it takes these arguments, or the finding that says what to declare."""
    piece = bench.piece(name)
    if piece is None:
        seen = seen_in(bench, name)
        return not_run(
            f"declare `pieces: {{{name}: <dotted path>}}` to get it; its signature is {signature}",
            component=name,
            details={"seen": {"location": seen, "config": f"conf/paper/{bench.paper.name}.yaml"}} if seen else {},
        )
    try:
        inspect.signature(piece).bind(*arguments)
    except TypeError as mismatch:
        return not_run(
            f"pieces.{name} does not take {signature} ({mismatch}); bridge it in a few lines of pieces.py to get it",
            component=name,
        )
    found: Callable[..., Any] = piece
    return found


def call_piece(bench: Bench, name: str, signature: str, *arguments: Any) -> Tensor | Finding:
    """What the declared piece returns as one tensor in the bench's precision, or the finding that says why not."""
    piece = bound_piece(bench, name, signature, *arguments)
    if isinstance(piece, Finding):
        return piece
    with persons_errors(f"pieces.{name} raised on {signature}"), bench.precision(), torch.no_grad():
        returned = piece(*arguments)
    if isinstance(returned, (tuple, list)):
        returned = returned[0]
    if not isinstance(returned, Tensor):
        returned = torch.as_tensor(returned)
    return returned.detach()


def judge(
    bench: Bench,
    name: str,
    ours: Tensor,
    expected: np.ndarray,
    mistakes: Mapping[str, np.ndarray],
    words: Mapping[str, str],
    what: str,
) -> Finding:
    """Compare a piece's result with the oracle's; on failure put the mistakes that give exactly this result first."""
    fields: dict[str, Any] = {"component": name, "location": component_location(bench, f"pieces.{name}")}
    if tuple(ours.shape) != expected.shape:
        return failed(
            f"{name} returns another shape",
            expected=str(list(expected.shape)),
            observed=str(list(ours.shape)),
            threshold="exact",
            likely=("a last projection is not applied", "axes merged or kept in another order"),
            **fields,
        )
    reference = torch.from_numpy(np.ascontiguousarray(expected))
    bound = tolerance.other_order(reference)
    gap = tolerance.difference(ours, reference)
    fields |= {
        "expected": f"{what}, to {tolerance.number(bound)}",
        "observed": f"largest difference {tolerance.number(float(gap.max()))}",
        "threshold": f"{tolerance.number(bound)} ({tolerance.why_other_order()})",
    }
    if float(gap.max()) <= bound:
        return passed(f"{name} agrees with its oracle on random inputs", **fields)
    same = [
        words[mistake]
        for mistake, wrong in mistakes.items()
        if wrong.shape == expected.shape
        and float(tolerance.difference(ours, torch.from_numpy(np.ascontiguousarray(wrong))).max()) <= bound
    ]
    if same:
        fields["observed"] += f"; it is exactly what comes out when {same[0]}"
    rest = [text for text in words.values() if text not in same]
    return failed(f"{name} differs from its oracle", likely=(*same, *rest)[:4], **fields)


def tensors_of(seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(size=shape) for shape in shapes]


def random_mask(seed: int) -> np.ndarray:
    """[BATCH, 1, QUERIES, KEYS], true = may attend; every query has a key, and no two rows need be alike."""
    mask = np.random.default_rng(seed).random((BATCH, 1, QUERIES, KEYS)) < 0.6
    mask[..., 0] = True
    mask[..., -1] = False  # so that the opposite polarity leaves every query a key too
    return mask


@check(phase="model", family="oracle", component="attention")
def attention_oracle_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the piece `attention` computes softmax(q k^T / sqrt(d_k)) v, with and without a mask.

    Broken: another result than the float64 definition for several heads, d_k ≠ d_v, and random masks.
    Likely: scores are not divided by sqrt(d_k) | scores are scaled by the model's width instead of the width of one
    head | the softmax runs over the query axis | the mask is applied after the softmax, or has no effect
    """
    q, k, v = tensors_of(1, (BATCH, HEADS, QUERIES, D_K), (BATCH, HEADS, KEYS, D_K), (BATCH, HEADS, KEYS, D_V))
    findings: list[Finding] = []
    signature = "(q [b, h, n, d_k], k [b, h, m, d_k], v [b, h, m, d_v], mask, true = may attend)"
    for mask in (None, random_mask(2)):
        given = [torch.from_numpy(x).to(bench.dtype) for x in (q, k, v)]
        ours = call_piece(bench, "attention", signature, *given, None if mask is None else torch.from_numpy(mask))
        if isinstance(ours, Finding):
            return [ours]
        expected = attention_oracle.attention(q, k, v, mask)
        words = attention_oracle.MISTAKES
        if mask is None:
            words = {name: text for name, text in words.items() if "mask" not in name}
        wrong = {m: attention_oracle.attention_as_mistaken(m, q, k, v, mask, HEADS * D_K) for m in words}
        what = "softmax(q k^T / sqrt(d_k)) v" + ("" if mask is None else " over the keys that the mask allows")
        finding = judge(bench, "attention", ours, expected, wrong, words, what)
        if finding.blocks and mask is not None:
            other = other_convention(bench, signature, given, mask, expected)
            if other:
                finding = warned(
                    f"attention reads masks as {other}",
                    component="attention",
                    expected="true = may attend",
                    observed="the oracle's result for masks of that convention",
                    location=component_location(bench, "pieces.attention"),
                )
        findings.append(finding)
        if finding.blocks:
            break  # what is wrong without a mask is wrong with one, and nothing more is known
    return findings


def other_convention(bench: Bench, signature: str, given: list[Tensor], mask: np.ndarray, expected: np.ndarray) -> str:
    """Under which other convention of masks the piece agrees with the oracle, or "".

    The opposite polarity is not judged here: where masks are built so, it is right, and the causal and padding checks
    decide that on the whole model.
    """
    allowed = torch.from_numpy(mask)
    additive = torch.zeros(allowed.shape, dtype=bench.dtype).masked_fill(~allowed, -1e9)
    for words, value in (("true = may not attend", ~allowed), ("numbers that are added to the scores", additive)):
        ours = call_piece(bench, "attention", signature, *given, value)
        if isinstance(ours, Tensor) and tuple(ours.shape) == expected.shape:
            reference = torch.from_numpy(expected)
            if float(tolerance.difference(ours, reference).max()) <= tolerance.other_order(reference):
                return words
    return ""


@check(phase="model", family="oracle", component="multi_head_attention")
def multi_head_oracle_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the piece `multi_head_attention`, given four matrices, concatenates its heads as the paper does.

    Broken: another result than one head at a time by the definition, for heads > 1 and a causal mask.
    Likely: heads merged without transpose (positions and heads are mixed) | heads split in another order of axes |
    scores are scaled by the model's width instead of the width of one head | the mask has no effect | W^O not applied
    """
    width, heads, d_k, d_v, length = 12, HEADS, 4, 5, 6
    query, key, value, w_q, w_k, w_v, w_o = tensors_of(
        3,
        (BATCH, length, width),
        (BATCH, length, width),
        (BATCH, length, width),
        (width, heads * d_k),
        (width, heads * d_k),
        (width, heads * d_v),
        (heads * d_v, width),
    )
    signature = "(query [b, n, width], key, value [b, m, width], mask, w_q, w_k, w_v, w_o [heads · d_v, width], heads)"
    findings: list[Finding] = []
    for mask in (None, np.tril(np.ones((length, length), bool))[None, None]):
        given = [torch.from_numpy(x).to(bench.dtype) for x in (query, key, value, w_q, w_k, w_v, w_o)]
        as_tensor = None if mask is None else torch.from_numpy(mask)
        ours = call_piece(bench, "multi_head_attention", signature, *given[:3], as_tensor, *given[3:], heads)
        if isinstance(ours, Finding):
            return [ours]
        arguments = (query, key, value, mask, w_q, w_k, w_v, w_o, heads)
        expected = attention_oracle.multi_head_attention(*arguments)
        wrong, words = mistaken_heads(*arguments)
        what = "Concat(head_1 … head_h) W^O" + ("" if mask is None else " under a causal mask")
        finding = judge(bench, "multi_head_attention", ours, expected, wrong, words, what)
        if finding.blocks and mask is not None:
            inverted = call_piece(
                bench, "multi_head_attention", signature, *given[:3], ~torch.from_numpy(mask), *given[3:], heads
            )
            if isinstance(inverted, Tensor):
                gap = tolerance.difference(inverted, torch.from_numpy(expected)).max()
                if float(gap) <= tolerance.other_order(torch.from_numpy(expected)):
                    finding = warned(
                        "multi_head_attention reads masks as true = may not attend",
                        component="multi_head_attention",
                        location=component_location(bench, "pieces.multi_head_attention"),
                    )
        findings.append(finding)
        if finding.blocks:
            break
    return findings


def mistaken_heads(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray | None,
    w_q: np.ndarray,
    w_k: np.ndarray,
    w_v: np.ndarray,
    w_o: np.ndarray,
    heads: int,
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Results of known mistakes in splitting and merging heads, and of those inside attention; and their words."""

    def split(x: np.ndarray) -> np.ndarray:
        return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    def split_without_transpose(x: np.ndarray) -> np.ndarray:
        return x.reshape(x.shape[0], heads, x.shape[1], -1)

    def merge(x: np.ndarray) -> np.ndarray:
        return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)

    batch, length = query.shape[:2]
    q, k, v = split(query @ w_q), split(key @ w_k), split(value @ w_v)
    right = attention_oracle.attention(q, k, v, mask)
    words = {
        "merged": "heads merged without transpose",
        "split": "heads split without transpose",
        "no output": "W^O is not applied",
    }
    wrong = {"merged": right.reshape(batch, length, -1) @ w_o}
    q_whole, k_whole, v_whole = (split_without_transpose(x) for x in (query @ w_q, key @ w_k, value @ w_v))
    wrong["split"] = merge(attention_oracle.attention(q_whole, k_whole, v_whole, mask)) @ w_o
    if merge(right).shape[-1] == query.shape[-1]:
        wrong["no output"] = merge(right)
    for name, text in attention_oracle.MISTAKES.items():
        if mask is None and "mask" in name:
            continue
        words[name] = text
        wrong[name] = merge(attention_oracle.attention_as_mistaken(name, q, k, v, mask, query.shape[-1])) @ w_o
    return wrong, words


@check(phase="model", family="oracle", component="feed_forward")
def feed_forward_oracle_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `feed_forward`, given its weights, computes max(0, x W_1 + b_1) W_2 + b_2 at each
    position.

    Broken: another result than the definition.
    Likely: activation missing or another one than ReLU | bias left out | matrices used in the wrong order
    """
    x, w_1, b_1, w_2, b_2 = tensors_of(4, (2, 5, 6), (6, 10), (10,), (10, 6), (6,))
    given = [torch.from_numpy(value).to(bench.dtype) for value in (x, w_1, b_1, w_2, b_2)]
    signature = "(x [b, n, width], w_1 [width, d_ff], b_1, w_2 [d_ff, width], b_2)"
    ours = call_piece(bench, "feed_forward", signature, *given)
    if isinstance(ours, Finding):
        return ours
    inner = x @ w_1 + b_1
    wrong = {"no activation": inner @ w_2 + b_2, "no bias": np.maximum(x @ w_1, 0) @ w_2}
    words = {"no activation": "activation missing", "no bias": "bias left out", "other": "another activation than ReLU"}
    return judge(
        bench, "feed_forward", ours, np.maximum(inner, 0) @ w_2 + b_2, wrong, words, "max(0, x W_1 + b_1) W_2 + b_2"
    )


@check(phase="model", family="oracle", component="positional_encoding")
def positions_oracle_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `positional_encoding` is the paper's sinusoids, whatever the order of its channels.

    Broken: channels that are no sin or cos of pos / 10000^(2i/width).
    Likely: wrong frequencies: the exponent counts channels, not pairs (d // 2 for d) | positions counted from 1 | base
    other than 10000
    """
    length, width = 40, 16
    ours = call_piece(bench, "positional_encoding", "(length, width) → [length, width]", length, width)
    if isinstance(ours, Finding):
        return ours
    table = ours.double().numpy().reshape(-1, ours.shape[-1])
    where: dict[str, Any] = {
        "component": "positional_encoding",
        "location": component_location(bench, "pieces.positional_encoding"),
    }
    expected = positions_oracle.positional_encoding(length, width)
    # a float32 table: its angles reach `length`, so the argument of sin alone is rounded by length · eps
    bound = length * tolerance.FLOAT32 * 4
    gap = positions_oracle.distance_up_to_channels(table[:length], expected)
    where |= {
        "expected": f"PE(pos, 2i) = sin(pos / 10000^(2i/{width})), cos at 2i + 1, up to the order of channels",
        "observed": f"largest difference {tolerance.number(gap)}",
        "threshold": f"{tolerance.number(bound)} (4 float32 roundings of an angle of up to {length})",
    }
    if gap <= bound:
        return passed("positional_encoding is the paper's table", **where)
    candidates: dict[str, Callable[[int, int], np.ndarray]] = {
        "wrong frequencies: the exponent counts channels, not pairs (d // 2 for d)": (
            positions_oracle.positional_encoding_doubled_exponent
        ),
        "positions counted from 1": lambda n, d: positions_oracle.positional_encoding(n + 1, d)[1:],
    }
    known = positions_oracle.positional_encoding_tensor2tensor(length, width)
    if positions_oracle.distance_up_to_channels(table[:length], known) <= bound:
        return warned(
            "positional_encoding deviates from the paper: log(10000) / (half - 1), as tensor2tensor does", **where
        )
    same = [
        words
        for words, make in candidates.items()
        if positions_oracle.distance_up_to_channels(table[:length], make(length, width)) <= bound
    ]
    likely = (
        *same,
        "wrong frequencies: the exponent counts channels, not pairs (d // 2 for d)",
        "positions counted from 1",
        "base other than 10000",
    )
    return failed(
        "positional_encoding differs from the paper's formula", likely=tuple(dict.fromkeys(likely))[:3], **where
    )


@check(phase="model", family="oracle", component="causal_mask")
def masks_oracle_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the pieces `causal_mask` and `padding_mask` allow exactly what they must.

    Broken: a mask that shows a later position, hides a present one, or hides a real token.
    Likely: mask off by one (tril with diagonal=1) | mask polarity inverted | compared with another padding id
    """
    findings = []
    length = 5
    ours = call_piece(bench, "causal_mask", "(length) → [length, length], true = may attend", length)
    lower = torch.tril(torch.ones(length, length, dtype=torch.bool))
    findings.append(ours if isinstance(ours, Finding) else judge_mask(bench, "causal_mask", ours, lower))
    padding = next(
        (t.padding for t in bench.paper.tensors.values() if t.padding is not None and not t.is_floating), None
    )
    if padding is None:
        return findings
    ids = torch.tensor([[5, 6, 7], [5, 6, int(padding)], [8, int(padding), int(padding)]])
    ours = call_piece(bench, "padding_mask", "(ids [b, m]) → broadcastable to [b, h, n, m], true = may attend", ids)
    findings.append(ours if isinstance(ours, Finding) else judge_mask(bench, "padding_mask", ours, ids != padding))
    return findings


def judge_mask(bench: Bench, name: str, ours: Tensor, expected: Tensor) -> Finding:
    fields: dict[str, Any] = {"component": name, "location": component_location(bench, f"pieces.{name}")}
    if ours.numel() != expected.numel():
        return not_run(
            f"pieces.{name} returns {list(ours.shape)} for {list(expected.shape)}; bridge it in pieces.py", **fields
        )
    flat = ours.reshape(expected.shape)
    allowed = flat != 0 if flat.dtype != torch.bool and float(flat.double().min()) >= 0 else flat
    if allowed.dtype != torch.bool:
        allowed = flat > -1e4  # additive: 0 may attend, a large negative number may not
    fields |= {"expected": str(expected.int().tolist()), "observed": str(allowed.int().tolist()), "threshold": "exact"}
    if bool((allowed == expected).all()):
        return passed(f"{name} allows what it must", **fields)
    if bool((allowed == ~expected).all()):
        return warned(f"{name} is true where attention is forbidden, the opposite of its standard signature", **fields)
    off = "mask off by one (tril with diagonal=1: the next token is visible)"
    likely: tuple[str, ...] = (off, "mask polarity inverted", "upper for lower triangle")
    if name == "padding_mask":
        likely = ("compared with another padding id", "mask polarity inverted")
    return failed(f"{name} is not the mask it must be", likely=likely, **fields)


def smoothed_otherwise(
    value: float, logits: np.ndarray, targets: np.ndarray, smoothing: float, padding: int | None
) -> list[str]:
    """ "labels are smoothed by 0.1, …" where that explains the value: the loss is linear in the smoothing."""
    none, all_ = (
        cross_entropy_oracle.label_smoothed_cross_entropy(logits, targets, eps, padding) for eps in (0.0, 1.0)
    )
    if none == all_:
        return []
    fitted = (value - none) / (all_ - none)
    round_one = round(fitted, 3)
    if not 0 < round_one < 0.5 or abs(fitted - round_one) > 1e-4:
        return []
    return [f"labels are smoothed by {round_one:g} where the config declares a label smoothing of {smoothing:g}"]


def judge_loss(
    bench: Bench,
    component: str,
    where: str,
    ours: Tensor,
    logits: np.ndarray,
    targets: np.ndarray,
    smoothing: float,
    padding: int | None,
) -> Finding:
    """A loss value against the definition; conventions in use only warn, known mistakes are named."""
    expected = cross_entropy_oracle.label_smoothed_cross_entropy(logits, targets, smoothing, padding)
    fields: dict[str, Any] = {"component": component, "location": component_location(bench, where)}
    if ours.numel() != 1:
        return failed(
            f"{component} is no single number",
            expected="a scalar",
            observed=f"shape {list(ours.shape)}",
            likely=("no reduction (mean missing)",),
            **fields,
        )
    value = float(ours)
    bound = 100 * tolerance.FLOAT32 * max(abs(expected), 1.0)
    fields |= {
        "expected": f"{expected:.6f} nats per target (label-smoothed cross entropy, smoothing {smoothing:g})",
        "observed": f"{value:.6f}",
        "threshold": f"{tolerance.number(bound)} (100 eps of float32 times the value)",
    }
    if abs(value - expected) <= bound:
        return passed(f"{component} agrees with its oracle (smoothing {smoothing:g})", **fields)

    def matches(kind: str) -> bool:
        wrong = cross_entropy_oracle.cross_entropy_as_mistaken(kind, logits, targets, smoothing, padding)
        return abs(value - wrong) <= 100 * tolerance.FLOAT32 * max(abs(wrong), 1.0)

    summed = False
    for convention, words in cross_entropy_oracle.CONVENTIONS.items() if smoothing > 0 else ():
        losses = cross_entropy_oracle.losses_by_convention(convention, logits, targets, smoothing, padding)
        total = sum(losses)
        if abs(value - total / max(1, len(losses))) <= bound:
            return warned(f"{component} deviates from Szegedy et al. 2015: {words}", **fields)
        summed = summed or abs(value - total) <= 100 * tolerance.FLOAT32 * max(abs(total), 1.0)
    same = [words for mistake, words in cross_entropy_oracle.MISTAKES.items() if matches(mistake)]
    if summed:
        same = [cross_entropy_oracle.MISTAKES["sum"]]
    if same:
        fields["observed"] += f"; it is exactly what comes out when: {same[0]}"
    if not same:
        same = smoothed_otherwise(value, logits, targets, smoothing, padding)
    likely = tuple(dict.fromkeys((*same, *cross_entropy_oracle.MISTAKES.values())))[:3]
    details = {"matches": same}
    return failed(
        f"{component} differs from its oracle (smoothing {smoothing:g})", likely=likely, details=details, **fields
    )
