"""Pieces of papers about images: preprocessing, augmentation, convolution, shortcuts, the residual sum, the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.checks.loss import scale_is_settled_elsewhere
from repro.checks.oracle import bound_piece, judge_loss
from repro.checks.pieces import Case, compare, fields_of, result_of, tensors
from repro.checks.registry import check, failed, passed, warned
from repro.contract.bench import Bench
from repro.contract.components import persons_errors
from repro.findings import Finding, Outcome
from repro.oracles import images as oracle

N, SIDE = 6, 8


# --- data ---------------------------------------------------------------------------------------------------------


@check(phase="data", family="oracle", component="preprocess")
def preprocess_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the piece `preprocess` keeps pixels and channels in place, and gives splits one normalisation.

    Broken: a test image whose channels are no increasing straight lines of the raw ones, a range of no use, or a
    training image of one colour that comes out otherwise than the same test image.
    Likely: channels exchanged (BGR with RGB statistics) | HWC data reshaped instead of permuted | normalisation
    statistics on the wrong scale | the test transform lacks the normalisation
    """
    name, signature = "preprocess", "(images uint8 [N, H, W, 3], split) → [N, 3, H, W]"
    raw = np.random.default_rng(41).integers(0, 256, size=(N, SIDE, SIDE + 2, 3), dtype=np.uint8)
    ours = result_of(bench, name, signature, raw, "test")
    if isinstance(ours, Finding):
        return [ours]
    wanted = raw.transpose(0, 3, 1, 2)
    if tuple(torch.as_tensor(ours).shape) != wanted.shape:
        reshaped = (
            "axes are not permuted to channels first",
            "height and width exchanged",
            "images are cropped or resized",
        )
        observed = f"shape {list(torch.as_tensor(ours).shape)}"
        return [
            failed(
                "preprocess returns another shape",
                expected=f"shape {list(wanted.shape)}",
                observed=observed,
                likely=reshaped,
                **fields_of(bench, name),
            )
        ]
    black = torch.as_tensor(result_of(bench, name, signature, np.zeros_like(raw), "test"))
    # without its value for black, each pixel must be its own raw value times one number a channel
    change = (torch.as_tensor(ours).double() - black.double()).numpy()
    findings = [judge_places(bench, name, raw, change, wanted)]
    if not findings[0].blocks:
        findings.append(judge_range(bench, name, change, wanted, black))
    findings.append(judge_splits(bench, name, signature))
    return findings


def slope_of(change: np.ndarray, raw: np.ndarray) -> tuple[float, float]:
    """The least-squares factor between two arrays, and the largest remainder as a share of the largest change."""
    flat, base = change.reshape(-1), raw.reshape(-1).astype(np.float64)
    slope = float(flat @ base / (base @ base))
    return slope, float(np.abs(flat - slope * base).max() / max(np.abs(flat).max(), 1e-12))


def judge_places(bench: Bench, name: str, raw: np.ndarray, change: np.ndarray, wanted: np.ndarray) -> Finding:
    limit = 1e-4  # rounding of float32 between 0 and 255 is 1e-5 of the largest
    fits = [slope_of(change[:, c], wanted[:, c]) for c in range(3)]
    worst = max(rest for _, rest in fits)
    fields = fields_of(
        bench,
        name,
        expected="out[n, c, i, j] is a straight line of raw[n, i, j, c], rising",
        observed=f"off by {worst:.3g} of the range",
        threshold=f"{limit:g}",
    )
    if worst <= limit and all(slope > 0 for slope, _ in fits):
        return passed("every pixel and channel is in its place", **fields)
    words = {
        "channels": "channels exchanged: BGR images with RGB statistics",
        "reshaped": "HWC data reshaped instead of permuted",
        "transposed": "height and width exchanged",
        "flipped": "test images are flipped or cropped: augmentation is on",
    }
    readings = {
        "channels": wanted[:, ::-1],
        "reshaped": raw.reshape(wanted.shape),
        "flipped": wanted[..., ::-1],
    }
    if wanted.shape[2] == wanted.shape[3]:
        readings["transposed"] = wanted.transpose(0, 1, 3, 2)
    same = [
        words[key]
        for key, reading in readings.items()
        if max(slope_of(change[:, c], reading[:, c])[1] for c in range(3)) <= limit
    ]
    if same:
        fields["observed"] += f"; it is exactly what comes out when {same[0]}"
    likely = tuple(dict.fromkeys((*same, *words.values())))[:4]
    return failed("pixels or channels are not in their place", likely=likely, **fields)


def judge_range(bench: Bench, name: str, change: np.ndarray, wanted: np.ndarray, black: Tensor) -> Finding:
    """What raw values of 0 to 255 become: [0, 1], [-1, 1] and standardised images all span between ½ and 20."""
    slopes = [slope_of(change[:, c], wanted[:, c])[0] for c in range(3)]
    starts = [float(black[:, c].double().mean()) for c in range(3)]
    text = ", ".join(f"{start:.3g} to {start + 255 * slope:.3g}" for start, slope in zip(starts, slopes, strict=True))
    fields = fields_of(
        bench,
        name,
        expected="raw values of 0 to 255 that span ½ to 20 and reach both sides of, or touch, 0",
        observed=text,
        threshold="½ and 20: the standard deviation of pixels lies between a fortieth and the whole of their range",
    )
    spans = [255 * slope for slope in slopes]
    raw_scale = all(abs(span - 255) < 1 for span in spans)
    if all(0.5 <= span <= 20 for span in spans) and all(
        s <= 0.5 and s + span > 0 for s, span in zip(starts, spans, strict=True)
    ):
        return passed("the range of the result is of use", **fields)
    if raw_scale:
        return warned("images are not scaled: the model is given 0 to 255", **fields)
    likely = (
        "normalisation statistics on the wrong scale (0 to 255 against 0 to 1)",
        "pixels are not divided by 255 before the normalisation",
        "normalised twice",
    )
    return failed("the range of the result is of no use", likely=likely, **fields)


def judge_splits(bench: Bench, name: str, signature: str) -> Finding:
    """Images of one colour, which no crop or flip changes in the middle, must come out alike in every split."""
    colours = np.array([[200, 30, 90], [10, 250, 120]], dtype=np.uint8)
    flat = np.broadcast_to(colours[:, None, None], (2, SIDE * 4, SIDE * 4, 3)).copy()
    middle = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(42)
        for split in ("train", "test"):
            ours = torch.as_tensor(result_of(bench, name, signature, flat, split)).double()
            middle[split] = ours[:, :, ours.shape[2] // 2, ours.shape[3] // 2].numpy()
    gap = float(np.abs(middle["train"] - middle["test"]).max())
    fields = fields_of(
        bench,
        name,
        expected="one colour comes out alike in training and test",
        observed=f"differs by {gap:.3g}",
        threshold="0.2, a fifth of a standard deviation, for statistics of another split",
    )
    if gap <= 0.2:
        return passed("training and test are normalised alike", **fields)
    likely = (
        "the test transform lacks the normalisation, or has another one",
        "the training transform lacks the normalisation",
        "channels are exchanged in one split",
    )
    return failed("training and test are normalised differently", likely=likely, **fields)


@check(phase="data", family="oracle", component="per_pixel_mean")
def per_pixel_mean_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `per_pixel_mean` averages over images alone.

    Broken: another result than the mean over N for each channel, row and column.
    Likely: the mean of each channel instead of each pixel | one mean of everything | rows and columns averaged
    """
    images = np.random.default_rng(43).random((N, 3, SIDE, SIDE + 1)) + np.arange(3).reshape(1, 3, 1, 1)
    right = oracle.per_pixel_mean(images)
    channel = images.mean((0, 2, 3))
    wrong = {
        "channel": np.broadcast_to(channel[:, None, None], right.shape),
        "channel [3]": channel,
        "channel [3, 1, 1]": channel[:, None, None],
        "all": np.array(images.mean()),
        "channels too": images.mean((0, 1)),
    }
    words = {
        "channel": "the mean of each channel instead of each pixel",
        "all": "one mean of everything",
        "channels too": "channels are averaged as well",
    }
    words |= {key: words["channel"] for key in ("channel [3]", "channel [3, 1, 1]")}
    case = Case((images,), right, wrong)
    return compare(bench, "per_pixel_mean", "(images [N, C, H, W]) → [C, H, W]", [case], words, "mean over N")


@check(phase="data", family="oracle", component="augment")
def augment_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `augment` gives a crop of the padded image, flipped or not, drawn anew for each image.

    Broken: a result that is none of the possible crops of its own image, or one place or one side for the whole batch.
    Likely: the flip turns images upside down | one crop is drawn for the whole batch | crops never reach the last
    place (randint without + 1) | images are exchanged among the labels
    """
    name, signature, n, padding = "augment", "(images [N, C, H, W], padding) → [N, C, H, W]", 120, 2
    images = np.random.default_rng(44).normal(size=(n, 1, 4, 5))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(45)
        ours = result_of(bench, name, signature, images, padding)
    if isinstance(ours, Finding):
        return ours
    result = torch.as_tensor(ours).double().numpy()
    fields = fields_of(
        bench, name, expected="each image: one of its 25 crops (padding 2), flipped or not", threshold="exact"
    )
    words = {
        "upside down": "the flip turns images upside down (the wrong axis)",
        "batch": "one crop, or one flip, is drawn for the whole batch",
        "last": "crops never reach the last place (randint without + 1)",
        "exchanged": "images are exchanged within the batch, away from their labels",
        "border": "padded with something else than zeros",
        "no flip": "images are never flipped",
    }
    if result.shape != images.shape:
        return failed(
            "augment returns another shape", observed=f"shape {list(result.shape)}", likely=(words["last"],), **fields
        )
    places: list[tuple[int, int, bool]] = []
    for image, made in zip(images, result, strict=True):
        known = oracle.crops_and_flips(image, padding)
        place = next((key for key, value in known.items() if np.allclose(value, made, atol=1e-5)), None)
        if place is None:
            upside = any(np.allclose(value[:, ::-1], made, atol=1e-5) for value in known.values())
            others = not upside and any(np.allclose(made, other, atol=1e-5) for other in images)
            first = words["upside down"] if upside else words["exchanged"] if others else words["border"]
            observed = f"image {len(places)} is none of its crops"
            likely = tuple(dict.fromkeys((first, words["upside down"], words["border"], words["exchanged"])))[:3]
            return failed("a result is no crop of its image", observed=observed, likely=likely, **fields)
        places.append(place)
    tops, lefts, flips = (sorted({place[axis] for place in places}) for axis in range(3))
    fields["observed"] = f"tops {tops}, lefts {lefts}, flipped {sum(place[2] for place in places)} of {n}"
    if len(flips) == 2 and len(tops) == len(lefts) == 2 * padding + 1:
        return passed("images are cropped and flipped, each by its own draw", **fields)
    if len(tops) > 1 and len(lefts) > 1 and len(flips) == 1:
        likely = (words["no flip"], words["batch"])
        return warned("images are cropped but not flipped each by its own draw", **fields | {"likely": likely})
    first = words["batch"] if len(set(places)) <= 2 else words["last"]
    likely = tuple(dict.fromkeys((first, words["last"], words["batch"])))
    return failed("not every crop is drawn", likely=likely, **fields)


# --- model --------------------------------------------------------------------------------------------------------


@check(phase="model", family="oracle", component="convolution")
def convolution_oracle_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `convolution` is the sum over window and channels, with stride, padding and bias.

    Broken: another result than the definition.
    Likely: the kernel is flipped (convolution instead of cross-correlation) | no padding | bias left out
    """
    cases = []
    for seed, (stride, padding) in enumerate(((1, 1), (2, 1))):
        random = np.random.default_rng(46 + seed)
        x, weight, bias = random.normal(size=(2, 3, 7, 6)), random.normal(size=(4, 3, 3, 3)), random.normal(size=4)
        wrong = {
            "flipped": oracle.convolution(x, weight[:, :, ::-1, ::-1], bias, stride, padding),
            "transposed": oracle.convolution(x, weight.transpose(0, 1, 3, 2), bias, stride, padding),
            "no padding": oracle.convolution(x, weight, bias, stride, 0),
            "no bias": oracle.convolution(x, weight, None, stride, padding),
            "no stride": oracle.convolution(x, weight, bias, 1, padding),
        }
        arguments = (x, weight, bias, stride, padding)
        cases.append(Case(arguments, oracle.convolution(*arguments), wrong))
    words = {
        "flipped": "the kernel is flipped (convolution instead of cross-correlation)",
        "no padding": "no padding",
        "no bias": "bias left out",
        "transposed": "rows and columns of the kernel are exchanged",
        "no stride": "the stride has no effect",
    }
    signature = "(x [N, C, H, W], weight [O, C, K, K], bias [O], stride, padding) → [N, O, …]"
    return compare(bench, "convolution", signature, cases, words, "sum over channels and window, plus bias")


@check(phase="model", family="oracle", component="shortcut_a")
def shortcuts_agree(bench: Bench) -> list[Finding]:
    """Decides whether the pieces `shortcut_a` and `shortcut_b` are the identity with zeros, and the projection.

    Zeros for new channels may stand behind, in front, or half on either side.
    Broken: a value of option A that is neither of the input nor 0, another shape, or another projection.
    Likely: a projection shortcut (option B) in place of option A | averaged instead of every second pixel taken | the
    zeros stand between the channels
    """
    x = np.random.default_rng(48).normal(size=(2, 4, 6, 6))
    right = oracle.shortcut_a(x, 8, 2)
    pooled = np.zeros_like(right)
    pooled[:, :4] = x.reshape(2, 4, 3, 2, 3, 2).mean((3, 5))
    repeated = right.copy()
    repeated[:, 4:] = right[:, :4]
    wrong = {
        "pooled": pooled,
        "pooled, half": np.roll(pooled, 2, axis=1),
        "repeated": repeated,
        "last": oracle.shortcut_a(x[:, :, 1:, 1:], 8, 2),
    }
    words = {
        "projection": "a projection shortcut (option B, with parameters) in place of option A",
        "pooled": "pixels are averaged, where every second one is taken",
        "pooled, half": "pixels are averaged, where every second one is taken",
        "repeated": "channels are repeated instead of filled with zeros",
        "last": "the second pixel of each pair is taken",
    }
    accepted = {"zeros half on either side": np.roll(right, 2, axis=1), "zeros in front": np.roll(right, 4, axis=1)}
    signature = "(x [N, C, H, W], channels, stride) → [N, channels, H / stride, W / stride]"
    what = "every second pixel, zeros for new channels"
    findings = [compare(bench, "shortcut_a", signature, [Case((x, 8, 2), right, wrong, accepted)], words, what)]
    weight = np.random.default_rng(49).normal(size=(8, 4, 1, 1))
    projected = oracle.shortcut_b(x, weight, 2)
    wrong = {
        "identity": right,
        "no stride": oracle.shortcut_b(x, weight, 1),
        "pooled": oracle.shortcut_b(pooled[:, :4], weight, 1),
        "activation": np.maximum(projected, 0),
    }
    words = {
        "identity": "option A (zeros) in place of the projection",
        "no stride": "the stride has no effect",
        "pooled": "pixels are averaged before the projection",
        "activation": "an activation follows the projection",
    }
    signature = "(x [N, C, H, W], weight [O, C, 1, 1], stride) → [N, O, …]"
    return [
        *findings,
        compare(bench, "shortcut_b", signature, [Case((x, weight, 2), projected, wrong)], words, "1 × 1 projection"),
    ]


@check(phase="model", family="oracle", component="residual_block")
def residual_block_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `residual_block` adds the shortcut before the last activation.

    Broken: another result than max(0, F(x) + x), for F that is 0 and for F = 2x + 1 on every channel.
    Likely: the residual addition is missing | the activation comes before the addition | the shortcut is added twice
    """
    name = "residual_block"
    signature = "(x [N, C, H, W], sublayers: x → F(x), shortcut: x → x) → max(0, F(x) + x)"
    x = np.random.default_rng(50).normal(size=(2, 3, 4, 4))
    functions: list[Callable[[Any], Any]] = [lambda value: value * 0, lambda value: 2 * value + 1]
    cases, before = [], []
    for function in functions:
        residual = function(x)
        wrong = {
            "missing": np.maximum(residual, 0),
            "missing, no activation": residual,
            "activation first": np.maximum(residual, 0) + x,
            "twice": np.maximum(residual + 2 * x, 0),
            "subtracted": np.maximum(residual - x, 0),
            "shortcut alone": np.maximum(x, 0),
        }
        cases.append(Case((x, function, lambda value: value), oracle.residual_block(x, residual), wrong))
        before.append(residual + x)
    words = {
        "missing": "the residual addition is missing",
        "missing, no activation": "the residual addition is missing, and so is the activation",
        "activation first": "the activation comes before the addition",
        "twice": "the shortcut is added twice",
        "subtracted": "the shortcut is subtracted",
        "shortcut alone": "the sublayers are not used",
    }
    found = compare(bench, name, signature, cases, words, "max(0, F(x) + x)")
    if found.outcome is not Outcome.FAILED:
        return found
    ours = [torch.as_tensor(result_of(bench, name, signature, *case.arguments)).double().numpy() for case in cases]
    if all(a.shape == b.shape and np.allclose(a, b, atol=1e-5) for a, b in zip(ours, before, strict=True)):
        what = (
            "residual_block has no activation after the sum, as in pre-activation networks (He et al. 2016, figure 4e)"
        )
        return warned(what, **fields_of(bench, name, expected="max(0, F(x) + x)", observed="F(x) + x"))
    return found


@check(phase="model", family="oracle", component="global_average_pool")
def global_average_pool_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `global_average_pool` is the mean over all places of each map.

    Broken: another result than the mean, on maps that are not square.
    Likely: the maximum in place of the mean | the sum in place of the mean | averaged over channels instead of places
    """
    x = np.random.default_rng(52).normal(size=(3, 4, 2, 5))
    wrong = {
        "maximum": x.max(axis=(2, 3)),
        "sum": x.sum(axis=(2, 3)),
        "corner": x[:, :, 0, 0],
        "rows": x.mean(axis=2)[:, :, 0],
        "columns": x.mean(axis=3)[:, :, 0],
    }
    words = {
        "maximum": "the maximum in place of the mean",
        "sum": "the sum in place of the mean",
        "corner": "one place is taken for all",
        "rows": "averaged over rows alone",
        "columns": "averaged over columns alone",
    }
    cases = [Case((x,), oracle.global_average_pool(x), wrong)]
    name, signature = "global_average_pool", "(x [N, C, H, W]) → [N, C]"
    return compare(bench, name, signature, cases, words, "mean over height and width")


# --- loss ---------------------------------------------------------------------------------------------------------


@check(phase="loss", family="oracle", component="cross_entropy")
def class_cross_entropy_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `cross_entropy` takes unnormalised scores and is - log softmax of the right class.

    Broken: another value than one example at a time in float64.
    Likely: softmax applied before the cross entropy | probabilities handed to nll_loss instead of log-probabilities |
    sum instead of mean reduction
    """
    random = np.random.default_rng(51)
    logits, targets = 2 * random.normal(size=(9, 5)), random.integers(0, 5, size=9)
    name, signature = "cross_entropy", "(logits [N, C], targets [N]) → loss"
    piece = bound_piece(bench, name, signature, *tensors(bench, (logits, targets)))
    if isinstance(piece, Finding):
        return piece
    with persons_errors(f"pieces.{name} raised on {signature}"), bench.precision(), torch.no_grad():
        ours = torch.as_tensor(piece(*tensors(bench, (logits, targets))))
    finding = judge_loss(bench, name, f"pieces.{name}", ours.detach(), logits, targets, 0.0, None)
    return scale_is_settled_elsewhere(bench, finding)
