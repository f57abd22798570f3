"""Value checks of the loss: known inputs and outputs, its floor, ln C, the target each output is held to, its scale."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from repro.checks import tolerance
from repro.checks.gradient import no_graph, outputs_for_loss
from repro.checks.inputs import component_location, loss_inputs, other_values, real_places, split_masks
from repro.checks.modules import near
from repro.checks.oracle import call_piece, judge_loss, tensors_of
from repro.checks.registry import CHECKS, check, failed, not_run, passed, warned
from repro.contract.bench import Bench
from repro.contract.components import location_of
from repro.errors import ComponentError, ConfigError
from repro.findings import Finding, Outcome
from repro.oracles import cross_entropy as oracle

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Classification:
    """A term of the loss that is a cross entropy: `logits` has one axis more than `targets`, the classes."""

    term: str
    logits: str
    targets: str
    smoothing: float | None  # None: not declared
    padding: int | None


def classifications(bench: Bench, actions: bool = False) -> list[Classification]:
    """Declared ones (properties named loss_value), else those by their tensors: targets index the logits' last axis.

    `actions` counts the logits of a policy among them, whose actions are no targets.
    """
    found = []
    for declared in bench.paper.properties:
        if declared.name == "loss_value":
            o = declared.options
            padding = o.get("padding")
            found.append(
                Classification(
                    o.get("term", "total"),
                    o.get("logits", ""),
                    o.get("targets", ""),
                    float(o.get("smoothing", 0.0)),
                    padding,
                )
            )
    if found or (bench.paper.type == "reinforcement_learning" and not actions):
        return found  # an action that was taken indexes the logits like a target, and is none
    tensors = bench.paper.tensors
    taken = loss_inputs(bench)
    for logits in taken:
        declared_logits = tensors[logits]
        if declared_logits.output_of is None or not declared_logits.is_floating or not declared_logits.axes:
            continue
        for targets in taken:
            declared_targets = tensors[targets]
            if declared_targets.output_of is not None or declared_targets.is_floating:
                continue
            if (
                declared_targets.axes == declared_logits.axes[:-1]
                and declared_targets.indexes == declared_logits.axes[-1]
            ):
                padding = declared_targets.padding
                found.append(Classification("total", logits, targets, None, None if padding is None else int(padding)))
    return found


def plain_classifications(bench: Bench) -> tuple[list[Classification], str]:
    """Those whose total is the cross entropy itself, and why there are none.

    Where nothing is declared, a loss that also takes a number for each example (an advantage, a weight) is no plain
    cross entropy: an action is no target, since a negative advantage pushes it away.
    """
    pairs = [c for c in classifications(bench) if c.term == "total"]
    if not pairs:
        return [], WHY_NOT
    if any(declared.name == "loss_value" for declared in bench.paper.properties):
        return pairs, ""
    tensors = bench.paper.tensors
    weighing = [
        name
        for name in loss_inputs(bench)
        if tensors[name].output_of is None and tensors[name].is_floating and "batch" in tensors[name].axes
    ]
    if not weighing:
        return pairs, ""
    return [], (
        f"the loss also takes {', '.join(weighing)}, so it is no plain cross entropy of {pairs[0].targets}; "
        "declare {property: loss_value, …} of the term that is one, or {property: advantage_direction, "
        f"logits: {pairs[0].logits}, action: {pairs[0].targets}, advantage: …}}"
    )


WHY_NOT = "declare {property: loss_value, term: total, logits: …, targets: …, smoothing: …, padding: …} to get it"


@check(phase="loss", family="oracle", component="loss")
def loss_value(
    bench: Bench,
    *,
    term: str = "total",
    logits: str = "",
    targets: str = "",
    smoothing: float = 0.0,
    padding: int | None = None,
    source: str = "",
) -> list[Finding]:
    """Decides whether a term of the loss is the label-smoothed cross entropy: on random logits, on equal ones (ln C),
    at its floor.

    Broken: another value than one target at a time in float64.
    Likely: padding counted in the loss | labels shifted twice | sum instead of mean reduction | softmax before the
    cross entropy
    """
    if not logits or not targets:
        return [not_run(WHY_NOT)]
    for name in (logits, targets):
        if name not in bench.paper.tensors:
            return [not_run(f"properties: loss_value names {name!r}, not declared. {near(name, bench.paper.tensors)}")]
    batch, outputs = outputs_for_loss(bench)
    generator = torch.Generator().manual_seed(8)
    place = class_axis(bench, logits, targets)
    shape = outputs[logits].movedim(place, -1).shape
    classes = shape[-1]
    random = torch.randn(shape, generator=generator, dtype=torch.float64) * 2
    findings = []
    flat_targets = batch[targets].flatten().numpy()
    # a target that is no class, such as -100 or the 255 of void pixels, counts for nothing
    counts = ((flat_targets >= 0) & (flat_targets < classes)) | (flat_targets == padding)
    known = np.where((flat_targets >= 0) & (flat_targets < classes), flat_targets, 0)
    label = torch.from_numpy(np.array([oracle.smoothed_label(int(t), classes, smoothing) for t in known]))
    perfect = label.clamp_min(1e-12).log().reshape(shape)
    cases = {
        "random logits": random,
        f"equal logits: ln {classes} = {math.log(classes):.4f}": torch.zeros_like(random),
        f"perfect logits: the floor {oracle.floor(classes, smoothing):.4f}": perfect,
    }
    for words, value in cases.items():
        terms = bench.call_loss({**batch, **outputs, logits: value.movedim(-1, place)})
        if term not in terms:
            return [
                failed(
                    f"the loss has no term {term}",
                    expected=f"a term {term}",
                    observed=", ".join(terms),
                    threshold="exact",
                    location=component_location(bench, "loss"),
                )
            ]
        ours = terms[term].detach()
        rows = value.reshape(-1, classes).numpy()[counts]
        finding = judge_loss(bench, term, "loss", ours, rows, flat_targets[counts], smoothing, padding)
        text = finding.summary.replace("agrees with its oracle", f"is right on {words}")
        text = text.replace("differs from its oracle", f"is wrong on {words}")
        findings.append(finding.with_changes(summary=text, component="loss" if term == "total" else term))
    findings = [scale_is_settled_elsewhere(bench, f) for f in shifted_first(bench, findings, logits, targets, padding)]
    return findings + ignored_that_count(bench, logits, targets, place, classes, {**batch, **outputs, logits: random})


def ignored_that_count(
    bench: Bench, logits: str, targets: str, place: int, classes: int, tensors: Tensors
) -> list[Finding]:
    """A finding where the total depends on scores whose target is no class, such as the 255 of void pixels."""
    ignored = (tensors[targets] < 0) | (tensors[targets] >= classes)
    if not bool(ignored.any()):
        return []
    free = tensors[logits].movedim(-1, place).contiguous().requires_grad_()
    total = bench.call_loss({**tensors, logits: free})["total"]
    if not total.requires_grad:
        return []
    (gradient,) = torch.autograd.grad(total.sum(), free)
    size = gradient.movedim(place, -1).abs().amax(dim=-1)
    count = int((size[ignored] > 0).sum())
    if not count:
        return []
    return [
        failed(
            f"places whose {targets} is no class count in the loss",
            expected=f"d total / d {logits} is 0 where {targets} is not one of the {classes} classes",
            observed=f"gradient at {count} of {int(ignored.sum())} such places",
            threshold="exactly zero",
            location=component_location(bench, "loss"),
            component="loss",
            likely=(
                "a term that takes the ignored places with it (the mask is left out of it)",
                "padding counted in the loss",
            ),
        )
    ]


def class_axis(bench: Bench, logits: str, targets: str) -> int:
    """The axis of the logits that holds the classes: the one that the targets lack, [batch, classes, height, width] in
    segmentation; else the last.
    """
    ours, theirs = bench.paper.tensors[logits].axes, bench.paper.tensors[targets].axes
    more = [place for place, axis in enumerate(ours) if axis not in theirs]
    return more[0] if len(more) == 1 and len(ours) == len(theirs) + 1 else -1


def shifted_first(
    bench: Bench, findings: list[Finding], logits: str, targets: str, padding: int | None
) -> list[Finding]:
    """Put "labels shifted twice" first where the gradient shows it."""
    if not any(f.blocks for f in findings):
        return findings
    shift = shift_of(bench, Classification("total", logits, targets, None, padding))
    if not shift:
        return findings
    words = "labels shifted twice (the data is already shifted)" if shift > 0 else "labels shifted the wrong way"
    return [f.with_changes(likely=(words, *f.likely[:2])) if f.blocks else f for f in findings]


def scale_is_settled_elsewhere(bench: Bench, finding: Finding) -> Finding:
    """A value that is off by a sum instead of a mean only warns here where the training makes up for it."""
    if not finding.blocks or oracle.MISTAKES["sum"] not in finding.details.get("matches", []):
        return finding
    if bench.paper.loss_is_a_sum:
        return finding.with_changes(outcome=Outcome.PASSED, summary="the loss is the sum that is declared", likely=())
    if not sum_is_compensated(bench):
        return finding
    return finding.with_changes(
        outcome=Outcome.WARNED, summary="the loss is a sum, and the learning rate is divided by as much", likely=()
    )


@check(phase="loss", family="gradient", component="loss")
def targets_aligned(bench: Bench) -> list[Finding]:
    """Decides whether each output is held to its own target: with equal logits, the total must fall fastest towards it.

    Broken: the gradient at a position points to another class than that position's target, or padding has gradient.
    Likely: labels shifted twice (the data is already shifted) | padding counted in the loss | sign of the loss flipped
    | targets and logits flattened in different orders
    """
    pairs, reason = plain_classifications(bench)
    if not pairs:
        return [not_run(reason)]
    findings = []
    for pair in pairs:
        batch, outputs = outputs_for_loss(bench)
        gradient = gradient_at_equal_logits(bench, pair, batch, outputs)
        where = {"location": component_location(bench, "loss"), "component": "loss"}
        if gradient is None:
            findings.append(no_graph({**where, "expected": f"gradient at {pair.logits}", "threshold": "exactly zero"}))
            continue
        findings.append(judge_alignment(bench, pair, gradient, batch, where))
    return findings


def gradient_at_equal_logits(bench: Bench, pair: Classification, batch: Tensors, outputs: Tensors) -> Tensor | None:
    logits = torch.zeros_like(outputs[pair.logits], dtype=torch.float64).requires_grad_()
    total = bench.call_loss({**batch, **outputs, pair.logits: logits})["total"]
    if not total.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(total.sum(), logits, allow_unused=True)
    return gradient


def shift_of(bench: Bench, pair: Classification) -> int:
    """By how many positions targets are off (1: each output is held to the next position's target), 0 if not by one."""
    batch, outputs = outputs_for_loss(bench)
    gradient = gradient_at_equal_logits(bench, pair, batch, outputs)
    if gradient is None or gradient.dim() < 3:
        return 0
    targets = batch[pair.targets]
    pulled = gradient.argmin(dim=-1)
    active = gradient.abs().amax(dim=-1) > 0
    for shift in (1, -1):
        moved = targets.roll(-shift, dims=-1)
        compare = active & (moved != pair.padding if pair.padding is not None else torch.ones_like(active))
        if shift > 0:
            compare[..., -1] = False
        else:
            compare[..., 0] = False
        if (
            bool(compare.any())
            and bool((pulled == moved)[compare].all())
            and not bool((pulled == targets)[compare].all())
        ):
            return shift
    return 0


def used_places(bench: Bench, batch: Tensors, name: str) -> Tensor:
    """Boolean, shaped like the tensor: false where a tensor beside it, of the same axes, holds padding."""
    real = torch.ones_like(batch[name], dtype=torch.bool)
    for other, value in batch.items():
        declared = bench.paper.tensors.get(other)
        if declared is not None and declared.axes == bench.paper.tensors[name].axes and value.shape == real.shape:
            real &= real_places(bench, batch, other)
    return real


def judge_alignment(
    bench: Bench, pair: Classification, gradient: Tensor, batch: Tensors, where: dict[str, str]
) -> Finding:
    targets = batch[pair.targets]
    real = counted_places(bench, pair, batch)
    size = gradient.abs().amax(dim=-1)
    fields: dict[str, Any] = {
        "expected": f"d total / d {pair.logits} is negative at the target, ≥ 0 elsewhere, and 0 at padding",
        "threshold": "signs, and exactly 0 at padding",
        **where,
    }
    pulled = gradient.argmin(dim=-1)
    right = pulled == targets
    if not split_masks(bench) and bool((size[~real] > 0).any()) and bool(right[real].all()):
        count = int((size[~real] > 0).sum())
        return failed(
            "padding counts in the loss",
            observed=f"gradient at {count} of {int((~real).sum())} padded positions",
            likely=(
                "padding counted in the loss (no ignore_index, or the mask is lost)",
                "ignore_index is another id than padding",
            ),
            **fields,
        )
    if pair.padding is None and (masks := split_masks(bench)) and bool((size[~real] > 0).any()):
        mask = masks[0]
        return failed(
            f"places outside of {mask} count in the loss",
            observed=f"gradient at {int((size[~real] > 0).sum())} of {int((~real).sum())} places that do not train",
            likely=("the loss is taken over all places instead of the training ones", "another split's mask is used"),
            **{**fields, "expected": f"d total / d {pair.logits} is 0 outside of {mask}"},
        )
    if bool(right[real].all()):
        index = targets.clamp_min(0).unsqueeze(-1)  # padding may be -100, which is no class
        at_target = gradient.gather(-1, index).squeeze(-1)
        if bool((at_target[real] < 0).all()):
            others = gradient.clone().scatter_(-1, index, 0.0)
            low = float(others.min())
            if low >= -tolerance.same_program(gradient):
                return passed(
                    f"each {pair.logits} is held to its own {pair.targets}", observed="all signs right", **fields
                )
            return warned(
                "the gradient lowers the score's loss for a class that is no target", observed=f"{low:.3g}", **fields
            )
    silent = int((size[real] == 0).sum())
    shift = shift_of(bench, pair)
    observed = (
        f"{int((~right[real]).sum())} of {int(real.sum())} positions point to another class; {silent} have no gradient"
    )
    if shift:
        next_one = "next" if shift > 0 else "previous"
        likely = (
            "labels shifted twice (the data is already shifted)",
            "targets and logits flattened in different orders",
        )
        return failed(
            f"each {pair.logits} is held to the {next_one} position's target",
            observed=observed,
            likely=likely,
            **fields,
        )
    if bool((gradient.argmax(dim=-1) == targets)[real].all()):
        return failed(
            "the total grows with the score of the right class",
            observed=observed,
            likely=("sign of the loss flipped",),
            **fields,
        )
    return failed(
        f"{pair.logits} is not held to {pair.targets}",
        observed=observed,
        likely=(
            "targets and logits flattened in different orders",
            "labels shifted twice (the data is already shifted)",
            "softmax or argmax applied before the loss",
        ),
        **fields,
    )


@check(phase="loss", family="initial value", component="logits")
def outputs_unnormalised(bench: Bench) -> list[Finding]:
    """Decides whether the scores that a cross entropy takes are raw: not probabilities already, nor cut off at 0.

    Broken: every row of the model's output sums to 1 and lies in [0, 1]; or none is negative and some are exactly 0.
    Likely: softmax before the cross entropy, which applies its own | sigmoid applied twice
    """
    pairs = {c.logits for c in classifications(bench, actions=True)}
    if not pairs:
        return [not_run(WHY_NOT)]
    _, outputs = outputs_for_loss(bench)
    findings = []
    for name in sorted(pairs):
        rows = outputs[name].double()
        fields: dict[str, Any] = {
            "component": name,
            "expected": f"raw scores: rows of {name} need not sum to 1",
            "location": component_location(bench, "model"),
        }
        sums = rows.sum(dim=-1)
        axis, kind = normalised_axis(rows)
        if axis not in (None, rows.dim() - 1):
            over = bench.paper.tensors[name].axes[axis]
            findings.append(
                failed(
                    f"{name} are {kind} over {over}, not over {bench.paper.tensors[name].axes[-1]}",
                    observed=f"they sum to 1 along {over}",
                    threshold="1e-4",
                    likely=(f"softmax over the wrong axis: {over} instead of the last",),
                    **fields,
                )
            )
            continue
        if float(rows.min()) >= 0 and float((sums - 1).abs().max()) < 1e-4:
            findings.append(
                failed(f"{name} are probabilities already", observed="every row sums to 1", threshold="1e-4", **fields)
            )
        elif float(rows.max()) <= 1e-6 and float(rows.logsumexp(-1).abs().max()) < 1e-4:
            if twice := normalised_twice(bench, name):
                findings.append(failed("the loss normalises probabilities once more", **{**fields, **twice}))
                continue
            findings.append(
                warned(
                    f"{name} are log-probabilities already: harmless for a cross entropy",
                    observed="logsumexp is 0",
                    **fields,
                )
            )
        elif cut := cut_at_zero(bench, name, rows):
            findings.append(failed(f"{name} are cut off at 0", **{**fields, **cut}))
        else:
            findings.append(
                passed(
                    f"{name} are raw scores",
                    observed=f"rows sum to {float(sums.min()):.3g} … {float(sums.max()):.3g}",
                    **fields,
                )
            )
    return findings


def cut_at_zero(bench: Bench, name: str, rows: Tensor) -> dict[str, Any]:
    """What to say of scores of a plain cross entropy that are never negative and often exactly 0; {} if not."""
    zeros = float((rows == 0).double().mean())
    if float(rows.min()) < 0 or not bool(rows.any()) or rows.numel() < 30 or zeros < 0.1:
        return {}
    batch, outputs = outputs_for_loss(bench)
    scores = 2 * torch.randn(rows.shape, generator=torch.Generator().manual_seed(10), dtype=torch.float64)
    for pair in (c for c in classifications(bench) if c.logits == name and c.term == "total"):
        real = counted_places(bench, pair, batch)
        seen = float(bench.call_loss({**batch, **outputs, name: scores})["total"].detach())
        values = functional.cross_entropy(
            scores[real], batch[pair.targets][real], reduction="none", label_smoothing=pair.smoothing or 0.0
        )
        if any(abs(seen - float(v)) <= tolerance.other_order(v) for v in (values.mean(), values.sum())):
            return {
                "observed": f"none of {rows.numel()} is negative, {zeros:.0%} are exactly 0",
                "threshold": "a tenth at 0, of a loss that is the plain cross entropy of scores of any sign",
                "likely": ("an activation after the last layer: relu on the scores",),
            }
    return {}


def normalised_axis(value: Tensor) -> tuple[int | None, str]:
    """(the axis along which they sum to 1, "probabilities" or "log-probabilities"); (None, "") if there is none."""
    for axis in reversed(range(value.dim())):
        if value.shape[axis] > 1 and float(value.min()) >= 0 and float((value.sum(axis) - 1).abs().max()) < 1e-4:
            return axis, "probabilities"
        if value.shape[axis] > 1 and float(value.max()) <= 1e-6 and float(value.logsumexp(axis).abs().max()) < 1e-4:
            return axis, "log-probabilities"
    return None, ""


def normalised_twice(bench: Bench, name: str) -> dict[str, Any]:
    """What to say where a loss of log-probabilities takes their exponentials for scores of a cross entropy; {} if not.

    Decided on random ones, by the very value that this mistake gives.
    """
    batch, outputs = outputs_for_loss(bench)
    scores = 2 * torch.randn(outputs[name].shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    for pair in (c for c in classifications(bench) if c.logits == name and c.term == "total"):
        real = counted_places(bench, pair, batch)
        seen = float(bench.call_loss({**batch, **outputs, name: scores.log_softmax(-1)})["total"].detach())
        values = functional.cross_entropy(scores.softmax(-1)[real], batch[pair.targets][real], reduction="none")
        for wrong in (float(values.mean()), float(values.sum())):
            if abs(seen - wrong) <= tolerance.other_order(torch.tensor(wrong)):
                return {
                    "component": "loss",
                    "expected": f"- {name} at the target",
                    "observed": f"{seen:.6g}: exactly the cross entropy of exp({name}) taken for scores",
                    "threshold": tolerance.why_other_order(),
                    "likely": ("softmax applied twice: cross_entropy normalises probabilities that are normalised",),
                    "location": component_location(bench, "loss"),
                }
    return {}


def counted_places(bench: Bench, pair: Classification, batch: Tensors) -> Tensor:
    """Where targets are to count: not at padding, their own or that of a tensor beside them, and of splits by mask only
    where the training mask is true.
    """
    targets = batch[pair.targets]
    real = targets != pair.padding if pair.padding is not None else used_places(bench, batch, pair.targets)
    for mask in split_masks(bench)[:1]:
        if mask in batch and batch[mask].shape == real.shape:
            real = real & batch[mask].bool()
    return real


@check(phase="loss", family="initial value", component="loss")
def initial_loss(bench: Bench) -> list[Finding]:
    """Decides whether the loss of a freshly initialised model is what chance costs: ln C, within the spread of its
    logits.

    Broken: a first loss that no guess among C classes can have, negative or far above ln C.
    Likely: nll taken of probabilities instead of log-probabilities | sum instead of mean reduction | logits far too
    large at initialisation
    """
    pairs, reason = plain_classifications(bench)
    if not pairs:
        return [not_run(reason)]
    findings = []
    batch, outputs = outputs_for_loss(bench, n=8)
    for pair in pairs:
        logits = outputs[pair.logits].double()
        classes = logits.shape[-1]
        value = float(bench.call_loss({**batch, **outputs})["total"].detach())
        if bench.paper.loss_is_a_sum:
            value /= logits[..., 0].numel()
        # -log p_y lies within ln C ± (largest - smallest logit of its row), whatever y is
        spread = float((logits.amax(dim=-1) - logits.amin(dim=-1)).max())
        deviation = float(logits.std(dim=-1).mean())
        chance = math.log(classes)
        # a divergence from smoothed labels lies lower by their entropy
        constant = oracle.floor(classes, pair.smoothing) if pair.smoothing else 0.0
        fields: dict[str, Any] = {
            "expected": f"ln {classes} = {chance:.3f}, give or take the logits (standard deviation {deviation:.3g})",
            "observed": f"{value:.3f}",
            "threshold": f"±{spread:.3g}: a cross entropy lies within the spread of its row of logits from ln C",
            "location": component_location(bench, "loss"),
        }
        if not math.isfinite(value) or not -spread - constant <= value - chance + 1e-6 <= spread + 2e-6:
            finding = failed(f"the first loss is {value:.3f}; chance costs {chance:.3f}", **fields)
            findings.append(
                finding
                if not (value > chance and sum_is_compensated(bench))
                else finding.with_changes(outcome=Outcome.WARNED)
            )
        elif value > 2 * chance:
            findings.append(
                warned(f"the first loss is {value:.3f}, over twice the {chance:.3f} of chance: large logits", **fields)
            )
        else:
            findings.append(passed(f"the first loss is {value:.3f}; chance costs {chance:.3f}", **fields))
    return findings


@check(phase="loss", family="declaration", component="loss")
def loss_terms(bench: Bench) -> list[Finding]:
    """Decides whether every term of the loss is one finite number, computed without broadcasting tensors of other
    shapes.

    Broken: a term that is NaN, infinite or no scalar; PyTorch's warning of a target size that differs from the input's.
    Likely: the loss broadcasts to N × N, broadcast from (N, 1) against (N,) | no reduction (mean missing) | log of zero
    """
    loss = bench.loss()
    batch, outputs = outputs_for_loss(bench)
    parts = {name: part for name, part in loss.items()} if isinstance(loss, dict) else {"": loss}
    return [finding for name, part in parts.items() for finding in terms_of(bench, name, part, {**batch, **outputs})]


class Crossing(TorchFunctionMode):
    """Notices when a tensor [n, 1] meets one of shape [n], which makes n × n values of n pairs."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n, self.seen = n, False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        shapes = [list(value.shape) for value in args[:2] if isinstance(value, Tensor)]
        if sorted(shapes) == [[self.n], [self.n, 1]] and isinstance(result, Tensor):
            self.seen = self.seen or list(result.shape) == [self.n, self.n]
        return result


def crosses_examples(bench: Bench, part: str) -> bool:
    """Whether a loss crosses its examples by accident; two batch sizes, for one may be the number of classes too."""
    seen = []
    for n in (6, 7):
        batch, outputs = outputs_for_loss(bench, n)
        loss = bench.loss()
        with Crossing(n) as crossing, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            bench.call_loss({**batch, **outputs}, loss[part] if part else loss)
        seen.append(crossing.seen)
    return all(seen)


def terms_of(bench: Bench, part: str, loss: Any, tensors: Tensors) -> list[Finding]:
    """The findings on the terms of one loss, which is called `part` where there are several."""
    where = {"location": location_of(loss)}
    if crosses_examples(bench, part):
        return [
            failed(
                "the loss broadcasts its input against its target",
                expected="input and target of the same shape",
                observed="a tensor [N, 1] meets one of shape [N]: the result is N × N, every example with every other",
                threshold="in batches of 6 and of 7",
                **where,
            )
        ]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            terms = bench.call_loss(tensors, loss)
        except ComponentError as raised:
            cause = raised.__cause__
            if isinstance(cause, UserWarning) and "size" in str(cause):
                return [
                    failed(
                        "the loss broadcasts its input against its target",
                        expected="input and target of the same shape",
                        observed=str(cause).splitlines()[0],
                        threshold="PyTorch's own warning",
                        **where,
                    )
                ]
            if not isinstance(cause, UserWarning):
                raise
            warnings.simplefilter("ignore", UserWarning)
            terms = bench.call_loss(tensors, loss)
    findings = []
    terms = {name: value.detach() if isinstance(value, Tensor) else value for name, value in terms.items()}
    for name, value in terms.items():
        size = value.numel() if isinstance(value, Tensor) else 1
        number = float(value) if size == 1 else math.nan
        if size != 1 or not math.isfinite(number):
            findings.append(
                failed(
                    f"the term {name} is no finite number",
                    expected="a finite scalar",
                    observed=f"shape {list(value.shape)}" if size != 1 else str(number),
                    threshold="exact",
                    **where,
                )
            )
    shown = ", ".join(f"{name} {float(value):.4g}" for name, value in terms.items()) if not findings else ""
    shown = f"{part}: {shown}" if part else shown
    return findings or [
        passed(f"terms are finite numbers: {shown}", expected="finite scalars", observed=shown, **where)
    ]


@check(phase="loss", family="metamorphic", component="loss")
def loss_batch_size(bench: Bench, *, reduction: str = "mean", source: str = "") -> Finding:
    """Decides whether the loss is a mean over the batch, or the sum that is declared: what the batch twice over costs.

    Broken: the total doubles with the batch, so the learning rate means something else at every batch size; of a
    declared sum (`reduction: sum`), one that does not.
    Likely: sum instead of mean reduction | averaged over a fixed number instead of the examples present
    """
    if reduction not in ("mean", "sum"):
        raise ConfigError(f"properties: loss_batch_size.reduction is {reduction!r}.", "Need mean or sum.")
    if isinstance(bench.loss(), dict):
        return not_run("several losses: which outputs each takes is the paper's own `update`")
    batch, outputs = outputs_for_loss(bench)
    once = float(bench.call_loss({**batch, **outputs})["total"].detach())
    twice = float(bench.call_loss({**doubled(bench, batch), **doubled(bench, outputs)})["total"].detach())
    ratio = twice / once if once else math.nan
    fields: dict[str, Any] = {
        "expected": "the same total for a batch and for the batch twice over",
        "observed": f"{once:.6g}, then {twice:.6g} (ratio {ratio:.4g})",
        "threshold": "100 eps of float32 (another order of summation)",
        "location": component_location(bench, "loss"),
    }
    if reduction == "sum":
        by = f" ({source})" if source else ""
        fields["expected"] = f"twice the total for the batch twice over: a sum, as declared{by}"
        if abs(twice - 2 * once) <= 200 * tolerance.FLOAT32 * abs(once):
            return passed("the loss is a sum over the batch, as declared", **fields)
        likely = ("mean in place of the sum: each gradient is divided by the number of examples",)
        return failed("the loss is not the declared sum over the batch", **{**fields, "likely": likely})
    if abs(twice - once) <= 100 * tolerance.FLOAT32 * max(abs(once), abs(twice)):
        return passed("the loss is a mean over the batch", **fields)
    if math.isclose(ratio, 2.0, rel_tol=1e-4):
        if sum_is_compensated(bench):
            return warned("the loss is a sum over the batch, and the learning rate is divided by as much", **fields)
        if not source:
            declare = "meant so by the paper: then declare {property: loss_batch_size, reduction: sum, source: …}"
            fields["likely"] = (*CHECKS["loss_batch_size"].likely, declare)
        return failed("the loss is a sum over the batch", **fields)
    return warned("the loss depends on the batch as a whole, neither mean nor sum", **fields)


def doubled(bench: Bench, tensors: Mapping[str, Tensor]) -> Tensors:
    return {
        name: torch.cat([value, value], dim=bench.paper.tensors[name].axes.index("batch"))
        if name in bench.paper.tensors and "batch" in bench.paper.tensors[name].axes
        else value
        for name, value in tensors.items()
    }


def sum_is_compensated(bench: Bench) -> bool:
    """Whether learning rate times what is differentiated stays the same when the batch is doubled.

    A sum with the learning rate divided by the batch size is equivalent to a mean; one update on a batch and one on
    the batch twice over, each from the same weights, show it.
    """
    if not bench.paper.has("training"):
        return False
    effective = []
    batch = bench.synthetic(6)
    for given in (batch, doubled(bench, batch)):
        model = bench.model()
        seen: list[float] = []

        def backward(total: Tensor, *more: Any, seen: list[float] = seen, **options: Any) -> None:
            seen.append(float(total.detach()))
            torch.Tensor.backward(total, *more, **options)  # type: ignore[no-untyped-call]

        training = bench.training(model, backward=backward)
        with bench.precision():
            torch.manual_seed(0)
            training.update(given)
        optimisers = [o for o in vars(training).values() if isinstance(o, torch.optim.Optimizer)]
        if not seen or not optimisers:
            return False
        effective.append(sum(seen) * optimisers[0].param_groups[0]["lr"])
    if not effective[0]:
        return False
    # dropout makes the two totals differ a little; a sum that is not made up for doubles them
    return abs(effective[1] / effective[0] - 1) < 0.25


@check(phase="loss", family="metamorphic", component="loss")
def loss_examples_separate(bench: Bench) -> Finding:
    """Decides whether an example's loss depends on its own target: other examples' targets leave its gradient alone.

    Broken: changing the targets of one example changes the gradient at the outputs of another.
    Likely: (N, 1) against (N,): the loss broadcasts to N × N | inputs and targets paired wrongly | a normaliser
    computed from the targets of the whole batch
    """
    pairs = [c for c in classifications(bench) if c.term == "total"]
    names = [(c.logits, c.targets) for c in pairs] or regression_pairs(bench)
    if not names:
        return not_run("the loss takes no declared output together with a tensor of the batch")
    output, target = names[0]
    batch, outputs = outputs_for_loss(bench)
    declared = bench.paper.tensors[target]
    if "batch" not in declared.axes or "batch" not in bench.paper.tensors[output].axes:
        return not_run(f"{output} and {target} need an axis `batch`")
    sizes = {str(a): s for a, s in zip(bench.paper.tensors[output].axes, outputs[output].shape, strict=False)}
    new = other_values(bench, declared, batch[target], sizes, seed=9)
    keep = real_places(bench, batch, target)
    changed = torch.where(keep, new, batch[target])
    at = declared.axes.index("batch")
    mixed = batch[target].clone()
    mixed.select(at, 0).copy_(changed.select(at, 0))
    gradients = []
    for value in (batch[target], mixed):
        tracked = outputs[output].detach().double().requires_grad_()
        total = bench.call_loss({**batch, **outputs, output: tracked, target: value})["total"]
        if not total.requires_grad:
            return no_graph({"expected": f"gradient at {output}", "threshold": "exactly zero"})
        gradient: Tensor | None = torch.autograd.grad(total.sum(), tracked, allow_unused=True)[0]
        if gradient is None:
            return no_graph({"expected": f"gradient at {output}", "threshold": "exactly zero"})
        gradients.append(gradient)
    at = bench.paper.tensors[output].axes.index("batch")
    n = gradients[0].shape[at]
    others = [g.narrow(at, 1, n - 1) for g in gradients]
    gap, bound = float(tolerance.difference(*others).max()), tolerance.other_order(*others)
    own = float(tolerance.difference(gradients[0].select(at, 0), gradients[1].select(at, 0)).max())
    fields: dict[str, Any] = {
        "expected": f"new {target} of the first example change d total / d {output} of that example only",
        "observed": f"changes by {own:.3g} at the first example, by {gap:.3g} at the others",
        "threshold": f"{tolerance.number(bound)} ({tolerance.why_other_order()})",
        "location": component_location(bench, "loss"),
    }
    if gap > bound:
        return failed("an example's gradient depends on the targets of others", **fields)
    if own <= bound:
        return failed(
            f"the loss does not depend on {target}",
            likely=("targets not used, or overwritten", "loss re-wrapped in a new tensor"),
            **fields,
        )
    return passed("each example's loss depends on its own target only", **fields)


def regression_pairs(bench: Bench) -> list[tuple[str, str]]:
    """(output, target) of floating tensors with the same axes that the loss takes."""
    taken = loss_inputs(bench)
    tensors = bench.paper.tensors
    outputs = [n for n in taken if tensors[n].output_of is not None and tensors[n].is_floating]
    given = [n for n in taken if tensors[n].output_of is None and tensors[n].is_floating]
    return [
        (o, t)
        for o in outputs
        for t in given
        if [a for a in tensors[o].axes if a != 1] == [a for a in tensors[t].axes if a != 1]
    ]


@check(phase="loss", family="oracle", component="label_smoothed_cross_entropy")
def cross_entropy_oracle_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the piece `label_smoothed_cross_entropy` is the definition, with and without smoothing and
    padding.

    Broken: another value than one target at a time in float64.
    Likely: padding counted in the loss (no ignore_index, or the mask is lost) | sum instead of mean reduction | label
    smoothing not applied
    """
    classes, n = 7, 12
    logits = tensors_of(5, (n, classes))[0] * 2
    targets = np.random.default_rng(6).integers(1, classes, size=n)
    targets[-4:] = 0
    findings = []
    signature = "(logits [n, C], targets [n], smoothing, padding)"
    for smoothing in (0.0, 0.1):
        ours = call_piece(
            bench,
            "label_smoothed_cross_entropy",
            signature,
            torch.from_numpy(logits).to(bench.dtype),
            torch.from_numpy(targets),
            smoothing,
            0,
        )
        if isinstance(ours, Finding):
            return [ours]
        name = "label_smoothed_cross_entropy"
        found = judge_loss(bench, name, f"pieces.{name}", ours, logits, targets, smoothing, 0)
        findings.append(scale_is_settled_elsewhere(bench, found))
    return findings
