"""Metamorphic checks: change an input that must not matter and look at the output; change one that must."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from repro.checks import tolerance
from repro.checks.inputs import (
    component_location,
    cut,
    flat,
    forward_inputs,
    known_sizes,
    other_values,
    real_output,
    real_places,
    with_padding,
)
from repro.checks.modules import capturing, eval_mode, near, replacing, shaken, stage_modules, watched
from repro.checks.registry import check, failed, not_run, passed, warned
from repro.checks.unmasked import Unmasked
from repro.contract.bench import Bench
from repro.contract.components import location_of
from repro.errors import ComponentError
from repro.findings import Finding

Tensors = dict[str, Tensor]
LONGEST = 64  # positions tried one by one; of longer axes, these many spread evenly and the neighbours of the ends


def need(bench: Bench, kind: str, **given: str | None) -> str:
    """Why a check cannot run with these options, or "": an option missing, or a name that is not declared."""
    missing = [name for name, value in given.items() if not value]
    if missing:
        options = ", ".join(f"{name}: …" for name in given)
        return f"declare it: properties: [{{property: {kind}, {options}}}]"
    for option in ("output", "input", "tensor"):
        name = given.get(option)
        if name is not None and name not in bench.paper.tensors:
            return (
                f"properties: {kind}.{option} is {name!r}, which `tensors:` does not declare. "
                f"{near(name, bench.paper.tensors)}"
            )
    return ""


def first_stage_that_differs(
    bench: Bench, model: Any, one: Tensors, other: Tensors, axis: str, keep: dict[str, Tensor] | Tensor | None
) -> tuple[str, str]:
    """(stage, location) of the first declared stage whose values differ where they must not, or ("", "").

    `keep` is a boolean [batch, axis] of places that must agree; stages without the axis are compared as a whole.
    """
    stages = watched(bench, model)
    axes = {name: bench.paper.stages[glob] for glob, name, _ in stage_modules(bench, model)}
    with torch.no_grad(), capturing(stages) as first:
        bench.forward(model, one)
    with torch.no_grad(), capturing(stages) as second:
        bench.forward(model, other)
    modules = dict(stages)
    for name, a in first.items():
        b = second.get(name)
        declared = axes.get(name)
        if b is None or declared is None or len(declared) != a.dim() or axis not in declared:
            continue
        place = declared.index(axis)
        b = b.narrow(place, 0, min(a.shape[place], b.shape[place]))
        if a.shape != b.shape:
            continue
        gap = tolerance.difference(a, b)
        if isinstance(keep, Tensor) and "batch" in declared and keep.dim() == 2:
            shape = [1] * a.dim()
            shape[declared.index("batch")], shape[place] = keep.shape
            if declared.index("batch") < place:
                gap = gap * keep.reshape(shape)
        if float(gap.nan_to_num(0.0).max()) > tolerance.other_order(a):
            return name, location_of(modules[name])
    return "", ""


@check(phase="model", family="metamorphic", component="model")
def causal(bench: Bench, *, output: str = "", axis: str = "", input: str = "") -> Finding:
    """Decides whether an output at position t is blind to every input position after t, tried at each position.

    Broken: changing the input at t + 1 changes the output at t.
    Likely: causal mask missing (not built, not passed to the attention) | result of a non-in-place masked_fill
    discarded, so the mask has no effect | mask polarity inverted | mask applied after the softmax | softmax over the
    query axis | heads merged without transpose, which mixes positions
    """
    reason = need(bench, "causal", output=output, axis=axis, input=input)
    if reason:
        return not_run(reason)
    declared, given = bench.paper.tensors[output], bench.paper.tensors[input]
    if axis not in declared.axes or axis not in given.axes:
        return not_run(
            f"properties: causal.axis is {axis!r}; {input} has {list(given.axes)}, {output} {list(declared.axes)}"
        )
    model = eval_mode(bench, shaken(bench, bench.model()))
    batch = bench.with_noise(bench.synthetic(4))
    place, length = given.axes.index(axis), batch[input].shape[given.axes.index(axis)]
    where = declared.axes.index(axis)
    with torch.no_grad():
        base = bench.forward(model, batch)[output]
        if not bool(base.isfinite().all()):
            return not_finite(bench, output, base)
        new = other_values(bench, given, batch[input], known_sizes(bench, batch, {output: base}), seed=1)
        real = real_places(bench, batch, input)
        leaks: dict[int, list[int]] = {}  # changed position → earlier positions whose output changed
        reaches_later = tried = 0
        worst = 0.0
        bound = tolerance.same_program(base)
        for p in tried_positions(length):
            rows = real.select(place, p)
            if not bool(rows.any()):
                continue
            changed = batch[input].clone()
            changed.select(place, p).copy_(torch.where(rows, new.select(place, p), batch[input].select(place, p)))
            seen = bench.forward(model, {**batch, input: changed})[output]
            gap = tolerance.difference(base, seen)
            if "batch" in declared.axes and rows.dim() == 1:
                gap = gap.index_select(declared.axes.index("batch"), rows.nonzero().flatten())
            by_position = gap.movedim(where, 0).flatten(1).amax(dim=1)  # [length]
            early = [t for t in range(p) if float(by_position[t]) > bound]
            if early:
                leaks[p] = early
                worst = max(worst, float(by_position[:p].max()))
            tried += 1
            reaches_later += bool((by_position[p + 1 :] > bound).any())
    common = {
        "expected": f"{output}[t] unchanged when {input} changes at any later position",
        "threshold": f"{tolerance.number(bound)} ({tolerance.why_same_program()})",
        "location": component_location(bench, "model"),
    }
    if not leaks:
        if tried > 2 and not reaches_later:
            return warned(
                f"{output} at a position depends on no earlier position of {input}",
                observed=f"no change at later positions for {tried} changed positions",
                **{
                    **common,
                    "expected": "later outputs change with earlier inputs, unless the paper's model has no memory",
                },
            )
        return passed(
            f"{output} sees no later {axis}: {tried} positions tried one by one", observed="no change", **common
        )
    pairs = [(p, t) for p, early in leaks.items() for t in early]
    only_next = all(t == p - 1 for p, t in pairs)
    first = min(pairs)
    stage, location = leak_stage(bench, model, batch, new, input, axis, place, first)
    observed = (
        f"{len(pairs)} leaks, the first: {output}[{first[1]}] changes by up to {tolerance.number(worst)} with "
        f"{input}[{first[0]}]"
    )
    if stage:
        observed += f"; the first stage that sees it is {stage}"
        common["location"] = location or common["location"]
    return failed(
        f"{output} sees later positions" + (": each sees the next one" if only_next else ""),
        observed=observed,
        likely=causal_suspects(only_next, reaches_later == 0, worst, base, *extent(pairs, leaks)),
        details={"leaks": {str(p): early for p, early in leaks.items()}},
        **common,
    )


def tried_positions(length: int) -> list[int]:
    if length <= LONGEST:
        return list(range(length))
    step = length / LONGEST
    return sorted({0, 1, length - 2, length - 1, *(int(i * step) for i in range(LONGEST))})


def leak_stage(
    bench: Bench, model: Any, batch: Tensors, new: Tensor, input: str, axis: str, place: int, first: tuple[int, int]
) -> tuple[str, str]:
    changed = batch[input].clone()
    changed.select(place, first[0]).copy_(new.select(place, first[0]))
    keep = torch.zeros(batch[input].shape[0], batch[input].shape[place], dtype=torch.bool)
    keep[:, : first[0]] = True
    return first_stage_that_differs(bench, model, batch, {**batch, input: changed}, axis, keep)


def extent(pairs: Sequence[tuple[int, int]], changed: Collection[int]) -> tuple[bool, bool]:
    """(each later position is seen by every earlier one, each sees a few ahead and no more), of (later, earlier)."""
    furthest = max(p - t for p, t in pairs)
    within = {(p, t) for p in changed for t in range(max(0, p - furthest), p)}
    return len(pairs) == sum(changed), furthest < max(changed) and set(pairs) == within


def causal_suspects(
    only_next: bool, nothing_later: bool, worst: float, base: Tensor, every: bool, band: bool
) -> tuple[str, ...]:
    """Likely bugs, ordered by the pattern of the leaks: see `extent` for the last two."""
    missing = "causal mask missing (not built, or not passed to the self-attention)"
    discarded = "mask has no effect (the result of a non-in-place masked_fill is discarded)"
    inverted = "mask polarity inverted (forbidden positions are attended to)"
    softmax = "mask applied after the softmax, so later keys leak through its denominator"
    axis = "softmax over the query axis instead of the key axis"
    merged = "heads merged without transpose, which mixes positions"
    off = "mask off by one (tril with diagonal=1: the next token is visible)"
    if only_next:
        return off, "teacher forcing without the shift inside the model", missing
    if nothing_later:
        return inverted, missing, merged
    if worst < 0.01 * tolerance.largest(base):
        return softmax, axis, merged
    if band:  # a few positions ahead: one in each layer
        return off, missing, merged
    if not every:  # a mask without effect shows every later position to every earlier one
        return merged, "positions are mixed by a view or reshape without transpose", missing
    return missing, discarded, merged, inverted, softmax, axis


def not_finite(bench: Bench, output: str, value: Tensor) -> Finding:
    bad = int((~value.isfinite()).sum())
    return failed(
        f"{output} holds values that are not finite",
        expected="finite values on valid input",
        observed=f"{bad} of {value.numel()} values are NaN or infinite",
        location=component_location(bench, "model"),
        likely=(
            "mask polarity inverted, or a row whose every key is masked: softmax of -inf only",
            "division by zero",
            "overflow of exp",
        ),
    )


@check(phase="model", family="metamorphic", component="model")
def sees_everything(bench: Bench, *, stage: str = "", input: str = "") -> Finding:
    """Decides whether every position of a stage sees every real position of an input, before and after it.

    Broken: a position that does not change when some other position of the input does.
    Likely: causal mask where the paper has none (the encoder) | attention limited to a window | mask polarity inverted
    """
    reason = need(bench, "sees_everything", stage=stage, input=input)
    if reason:
        return not_run(reason)
    given = bench.paper.tensors[input]
    model = eval_mode(bench, shaken(bench, bench.model()))
    found = {name: (bench.paper.stages[glob], module) for glob, name, module in stage_modules(bench, model)}
    if stage not in found:
        return not_run(f"properties: sees_everything.stage is {stage!r}, no declared stage. {near(stage, found)}")
    axes, module = found[stage]
    axis = next((a for a in reversed(given.axes) if isinstance(a, str) and a != "batch"), "")
    if axis not in axes or given.axes[0] != "batch" or axes[0] != "batch":
        return not_run(f"{stage} needs the axes batch and {axis}")
    batch = bench.take(bench.with_noise(bench.synthetic(6)), 1)
    batch = cut(bench, batch, axis, int(real_places(bench, batch, input).sum()))
    length, place, where = batch[input].shape[1], given.axes.index(axis), axes.index(axis)
    outputs: Tensors = {}

    def at_stage(tensors: Tensors) -> Tensor:
        with torch.no_grad(), capturing([(stage, module)]) as captured:
            outputs.update(bench.forward(model, tensors))
        return captured[stage].movedim(where, 0).flatten(1)  # [length, …]

    base = at_stage(batch)
    if not bool(base.isfinite().all()):
        return not_run(f"{stage} holds values that are not finite: see outputs_declared")
    new = other_values(bench, given, batch[input], known_sizes(bench, batch, outputs), seed=4)
    bound = tolerance.same_program(base)
    blind = []
    for p in tried_positions(length):
        changed = batch[input].clone()
        changed.select(place, p).copy_(new.select(place, p))
        gap = tolerance.difference(base, at_stage({**batch, input: changed})).amax(dim=1)
        blind += [(t, p) for t in range(length) if float(gap[t]) <= bound]
    fields: dict[str, Any] = {
        "expected": f"{stage} at each of {length} positions changes with {input} at each",
        "threshold": f"more than {tolerance.number(bound)} (8 eps of the dtype)",
        "location": location_of(module),
    }
    if not blind:
        return passed(
            f"{stage} sees all of {input} from every position", observed=f"{length**2} pairs depend", **fields
        )
    later = all(p > t for t, p in blind)
    mask = "causal mask where the paper has none"
    window = "attention limited to a window"
    first = f"{stage}[{blind[0][0]}] and {input}[{blind[0][1]}]"
    return failed(
        f"{stage} does not see all of {input}" + (": only what comes before" if later else ""),
        observed=f"{len(blind)} of {length**2} pairs do not depend, the first: {first}",
        likely=(mask, window) if later else (window, "mask polarity inverted", mask),
        **fields,
    )


@check(phase="model", family="metamorphic", component="model")
def padding_invariant(bench: Bench, *, output: str = "", input: str = "", through: str = "") -> list[Finding]:
    """Decides whether padding is invisible: more of it changes nothing, and what stands in its place in the memory
    neither.

    `through` names the stage (a glob) whose output at padding is overwritten with noise, such as the encoder.
    Broken: the output at real positions depends on how much padding the batch has.
    Likely: padding mask missing in the encoder's self-attention | padding mask dropped in the cross-attention |
    mask polarity inverted | mask applied after the softmax | positions or normalisation counted over padding
    """
    reason = need(bench, "padding_invariant", output=output, input=input)
    declaration = bench.paper.tensors.get(input)
    if not reason and declaration is not None and declaration.padding is None:
        reason = f"declare what fills {input}: tensors.{input}.padding"
    if reason:
        return [not_run(reason)]
    assert declaration is not None
    axis = next((a for a in reversed(declaration.axes) if isinstance(a, str) and a != "batch"), "")
    if not axis:
        return [not_run(f"tensors.{input} has no axis beside batch that padding could fill")]
    model = eval_mode(bench, shaken(bench, bench.model()))
    batch = padded_batch(bench, input)
    with torch.no_grad():
        base = bench.forward(model, batch)[output]
    declared = bench.paper.tensors[output]
    real = real_output(bench, batch, declared, base.shape)
    findings = [appended(bench, model, batch, base, real, output, input, axis)]
    for glob in [through] if through else []:
        findings += overwritten(bench, model, batch, base, real, output, input, axis, glob)
    if len(findings) > 1 and findings[0].blocks and findings[1].blocks:
        # both fail only where the decoder reads the memory at padding: the cross-attention is the culprit
        cross = ("padding mask dropped in the cross-attention (memory mask None)", *findings[1].likely)
        findings = [f.with_changes(likely=tuple(dict.fromkeys(cross))[:4]) for f in findings]
    return findings


def padded_batch(bench: Bench, input: str) -> Tensors:
    """A synthetic batch in which at least one row of `input` holds padding."""
    for seed in range(8):
        batch = bench.with_noise(bench.synthetic(4, seed=bench.seed + seed))
        if not bool(real_places(bench, batch, input).all()):
            break
    return batch


def appended(
    bench: Bench, model: Any, batch: Tensors, base: Tensor, real: Tensor, output: str, input: str, axis: str
) -> Finding:
    longer, change = with_padding(bench, batch, axis, extra=3), "3 more places"
    declared = bench.paper.tensors[output]
    with torch.no_grad():
        try:
            seen = bench.forward(model, longer)[output]
        except ComponentError:  # a table of positions may end here: then less padding must change nothing either
            alone, spare = shortest_row(bench, batch, input, axis)
            if not spare:
                raise
            batch, longer, change = (
                alone,
                cut(bench, alone, axis, alone[input].shape[-1] - spare),
                f"{spare} fewer places",
            )
            base, seen = bench.forward(model, batch)[output], bench.forward(model, longer)[output]
            real = real_output(bench, batch, declared, base.shape)
    if axis in declared.axes:
        at = declared.axes.index(axis)
        shared = min(base.shape[at], seen.shape[at])
        base, seen, real = (x.narrow(at, 0, shared) for x in (base, seen, real))
    bound = tolerance.other_order(base[real])
    gap = tolerance.difference(base, seen)[real].max() if seen.shape == base.shape else torch.tensor(float("inf"))
    fields: dict[str, Any] = {
        "expected": f"{output} at real positions unchanged by {change} of padding in {input}",
        "observed": f"largest change {tolerance.number(float(gap))}",
        "threshold": f"{tolerance.number(bound)} ({tolerance.why_other_order()})",
        "location": component_location(bench, "model"),
    }
    if float(gap) <= bound:
        return passed(f"{output} does not see padding of {input}", **fields)
    keep = real_places(bench, batch, input)
    stage, location = first_stage_that_differs(bench, model, batch, longer, axis, keep if keep.dim() == 2 else None)
    likely: tuple[str, ...] = (
        "padding mask missing in the encoder's self-attention",
        "mask polarity inverted (only padding is attended to)",
        "mask applied after the softmax",
        "padding mask dropped in the cross-attention",
    )
    if stage:
        fields["observed"] += f"; the first stage that changes is {stage}"
        fields["location"] = location
        likely = ("padding mask missing in the encoder's self-attention", *likely[1:])
    else:
        likely = ("padding mask dropped in the cross-attention (memory mask None)", *likely[1:3], likely[0])
    if not math.isfinite(float(gap)):  # a row whose every place is hidden
        likely = (likely[1], *(text for text in likely if text != likely[1]))
    return failed(f"{output} changes with the amount of padding in {input}", likely=likely, **fields)


def shortest_row(bench: Bench, batch: Tensors, input: str, axis: str) -> tuple[Tensors, int]:
    """The example of `input` with the most padding, as a batch of one, and how many places of it are padding."""
    declared = bench.paper.tensors[input]
    if declared.axes != ("batch", axis):
        return batch, 0
    spare = (~real_places(bench, batch, input)).sum(dim=1)
    row = int(spare.argmax())
    return {name: one_row(bench, name, value, row) for name, value in batch.items()}, int(spare[row])


def one_row(bench: Bench, name: str, value: Tensor, row: int) -> Tensor:
    declared = bench.paper.tensors.get(name)
    if declared is None or "batch" not in declared.axes:
        return value
    return value.narrow(declared.axes.index("batch"), row, 1)


def overwritten(
    bench: Bench, model: Any, batch: Tensors, base: Tensor, real: Tensor, output: str, input: str, axis: str, glob: str
) -> list[Finding]:
    found = [(g, n, m) for g, n, m in stage_modules(bench, model) if g == glob or n == glob]
    if not found:
        known = [name for owner in bench.modules(model).values() for name, _ in owner.named_modules()]
        return [not_run(f"properties: padding_invariant.through is {glob!r}, no declared stage. {near(glob, known)}")]
    findings = []
    for stage_glob, name, module in found:
        axes = bench.paper.stages[stage_glob]
        if axis not in axes or "batch" not in axes:
            continue
        padding = ~real_places(bench, batch, input)  # [batch, axis]
        shape = [1] * len(axes)
        shape[axes.index("batch")], shape[axes.index(axis)] = padding.shape

        def noise(value: Tensor, padding: Tensor = padding, shape: list[int] = shape) -> Tensor:
            generator = torch.Generator().manual_seed(3)
            random = torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value.dtype)
            return torch.where(padding.reshape(shape), value + 3 * random * (1 + value.abs().mean()), value)

        with torch.no_grad(), replacing(module, noise):
            seen = bench.forward(model, batch)[output]
        bound = tolerance.same_program(base)
        gap = float(tolerance.difference(base, seen)[real].max())
        fields: dict[str, Any] = {
            "expected": f"{output} unchanged when {name} returns noise at padding of {input}",
            "observed": f"largest change {tolerance.number(gap)}",
            "threshold": f"{tolerance.number(bound)} ({tolerance.why_same_program()})",
            "location": component_location(bench, "model"),
        }
        if gap <= bound:
            findings.append(passed(f"what {name} returns at padding is never read", **fields))
        else:
            likely = (
                "padding mask dropped in the cross-attention (memory mask None)",
                "mask polarity inverted",
                "mask applied after the softmax",
            )
            findings.append(failed(f"{output} reads {name} at padding of {input}", likely=likely, **fields))
    return findings


def counts_something(bench: Bench, name: str) -> bool:
    """Whether a tensor holds whole numbers that index nothing and are no noise, such as the lengths of sentences."""
    declared = bench.paper.tensors.get(name)
    return declared is not None and not declared.is_floating and declared.indexes is None and declared.random is None


@check(phase="model", family="metamorphic", component="model")
def batch_independent(bench: Bench, *, output: str = "") -> Finding:
    """Decides whether an example's output depends on that example alone, in eval mode.

    Broken: other neighbours, another order or no neighbours change an example's output.
    Likely: axes swapped: attention, recurrence or normalisation runs across the batch (batch_first) | normalisation
    uses statistics of the batch in eval mode | parameter created with the batch dimension
    """
    names = [output] if output else bench.paper.outputs()
    if not names:
        return not_run("declare an output: tensors.<name>.output_of: model")
    reason = need(bench, "batch_independent", output=names[0])
    if reason:
        return not_run(reason)
    name = names[0]
    declared = bench.paper.tensors[name]
    if "batch" not in declared.axes:
        return not_run(f"tensors.{name} has no axis `batch`")
    model = eval_mode(bench, shaken(bench, bench.model()))
    batch = bench.with_noise(bench.synthetic(5))
    inputs = forward_inputs(bench, batch)
    with torch.no_grad():
        base = bench.forward(model, batch)[name]
        sizes = known_sizes(bench, batch, {name: base})
        neighbours = dict(batch)
        for key in inputs:
            given = bench.paper.tensors.get(key)
            if given is None or "batch" not in given.axes:
                continue
            new = other_values(bench, given, batch[key], sizes, seed=2)
            keep = real_places(bench, batch, key)  # padding stays: it is part of the shape of an example
            place = given.axes.index("batch")
            mixed = torch.where(keep, new, batch[key])
            mixed.select(place, 0).copy_(batch[key].select(place, 0))
            neighbours[key] = mixed
        try:
            others = bench.forward(model, neighbours)[name]
        except ComponentError:  # whole numbers that index nothing, such as lengths, may fit their own example only
            neighbours |= {key: batch[key] for key in inputs if counts_something(bench, key)}
            others = bench.forward(model, neighbours)[name]
    at = declared.axes.index("batch")
    fields: dict[str, Any] = {
        "expected": f"{name} of an example is the same whatever stands beside it",
        "location": component_location(bench, "model"),
    }
    bound = tolerance.same_program(base)
    gap = float(tolerance.difference(base.select(at, 0), others.select(at, 0)).max())
    if gap > bound:
        stage = stage_of_neighbours(bench, model, batch, neighbours)
        return failed(
            f"{name} of an example changes with its neighbours in the batch",
            observed=f"largest change {tolerance.number(gap)}"
            + (f"; the first stage that changes is {stage[0]}" if stage[0] else ""),
            threshold=f"{tolerance.number(bound)} ({tolerance.why_same_program()})",
            **{**fields, "location": stage[1] or fields["location"]},
        )
    order = torch.tensor([3, 0, 4, 1, 2])
    permuted = {
        key: value.index_select(bench.paper.tensors[key].axes.index("batch"), order)
        if key in bench.paper.tensors and "batch" in bench.paper.tensors[key].axes
        else value
        for key, value in batch.items()
    }
    parameter = "parameter created with the batch dimension: each slot of the batch learns its own"
    with torch.no_grad():
        moved = bench.forward(model, permuted)[name]
        wide = tolerance.other_order(base)
        gap = float(tolerance.difference(base.index_select(at, order), moved).max())
        fields["threshold"] = f"{tolerance.number(wide)} ({tolerance.why_other_order()})"
        if gap > wide:
            return failed(
                f"{name} of an example changes with its place in the batch",
                observed=f"largest change {tolerance.number(gap)} when the examples are permuted",
                likely=(parameter, "a mask or position built for one slot of the batch", "state kept between examples"),
                **fields,
            )
        try:
            alone = bench.forward(model, bench.take(batch, 1))[name]
        except ComponentError as raised:
            return failed(
                f"the model takes a batch of 5 but not one of 1: {str(raised).splitlines()[-1].strip()}",
                observed="it raises",
                likely=(parameter, "a squeeze() that drops the batch axis when it is 1"),
                **fields,
            )
    gap = (
        float(tolerance.difference(base.narrow(at, 0, 1), alone).max())
        if alone.shape == base.narrow(at, 0, 1).shape
        else float("inf")
    )
    if gap > wide:
        return failed(
            f"{name} of an example alone is not its output in a batch",
            observed=f"largest difference {tolerance.number(gap)}",
            likely=(
                "normalisation over the batch in eval mode",
                parameter,
                "a squeeze() that drops the batch axis when it is 1",
            ),
            **fields,
        )
    return passed(
        f"{name} depends on its own example only: neighbours, order and batch size do not matter",
        observed=f"largest difference {tolerance.number(gap)}",
        **fields,
    )


def stage_of_neighbours(bench: Bench, model: Any, batch: Tensors, neighbours: Tensors) -> tuple[str, str]:
    """The first declared stage at which the first example's values change with its neighbours."""
    axes = {name: bench.paper.stages[glob] for glob, name, _ in stage_modules(bench, model)}
    modules = dict(watched(bench, model))
    with torch.no_grad(), capturing(modules.items()) as first:
        bench.forward(model, batch)
    with torch.no_grad(), capturing(modules.items()) as second:
        bench.forward(model, neighbours)
    for name, value in first.items():
        declared = axes.get(name, ("batch",))
        if "batch" not in declared or name not in second or second[name].shape != value.shape:
            continue
        at = declared.index("batch")
        gap = tolerance.difference(value.select(at, 0), second[name].select(at, 0))
        if float(gap.max()) > tolerance.same_program(value):
            return name, location_of(modules[name])
    return "", ""


@check(phase="model", family="metamorphic", component="model")
def position_sensitive(bench: Bench, *, output: str = "", input: str = "") -> list[Finding]:
    """Decides whether the model knows the order of its input: equal tokens at different places must not look the same.

    Broken: with the same token everywhere, every position computes the same; or two swapped tokens change nothing.
    Likely: positional code: one row added to every position | positional code not added | positional code
    added after it can matter, or multiplied by zero
    """
    reason = need(bench, "position_sensitive", output=output, input=input)
    if reason:
        return [not_run(reason)]
    given, declared = bench.paper.tensors[input], bench.paper.tensors[output]
    axis = next((a for a in reversed(given.axes) if isinstance(a, str) and a != "batch"), "")
    if not axis or "batch" not in given.axes:
        return [not_run(f"tensors.{input} needs an axis of positions beside batch")]
    model = eval_mode(bench, shaken(bench, bench.model()))
    batch = bench.take(bench.with_noise(bench.synthetic(6)), 1)
    place = given.axes.index(axis)
    real = int(real_places(bench, batch, input).sum(dim=place).flatten()[0])
    batch = cut(bench, batch, axis, real)
    findings = [constant_tokens(bench, model, batch, input, output, axis, place)]
    if axis not in declared.axes:
        findings.append(swapped_tokens(bench, model, batch, input, output, place))
    return findings


def constant_tokens(
    bench: Bench, model: Any, batch: Tensors, input: str, output: str, axis: str, place: int
) -> Finding:
    value = batch[input].select(place, 0).unsqueeze(place).expand_as(batch[input]).clone()
    stages = {name: (bench.paper.stages[glob], module) for glob, name, module in stage_modules(bench, model)}
    with torch.no_grad(), capturing((n, m) for n, (_, m) in stages.items()) as captured:
        result = bench.forward(model, {**batch, input: value})
    seen: dict[str, tuple[Tensor, int, str]] = {
        name: (tensor, stages[name][0].index(axis), location_of(stages[name][1]))
        for name, tensor in captured.items()
        if axis in stages[name][0] and tensor.dim() == len(stages[name][0])
    }
    if axis in bench.paper.tensors[output].axes:
        seen[output] = (
            result[output],
            bench.paper.tensors[output].axes.index(axis),
            component_location(bench, "model"),
        )
    if not seen:
        return not_run(f"declare a stage with the axis {axis} to get it")
    name, (tensor, at, _) = list(seen.items())[-1]
    rows = tensor.movedim(at, 0).flatten(1)
    if not bool(tensor.isfinite().all()):
        return not_run(f"{name} holds values that are not finite: see outputs_declared")
    if rows.shape[0] < 3:
        return not_run(f"the synthetic {input} has fewer than 3 positions")
    nearest = float(torch.stack([tolerance.difference(a, b).max() for a, b in itertools.pairwise(rows)]).min())
    bound = tolerance.other_order(tensor)
    fields: dict[str, Any] = {
        "expected": f"{name} differs between positions when {input} holds the same token everywhere",
        "observed": f"neighbouring positions differ by at least {tolerance.number(nearest)}",
        "threshold": f"{tolerance.number(bound)} ({tolerance.why_other_order()})",
    }
    if nearest > bound:
        return passed(
            f"positions of {input} are told apart at {name}", location=component_location(bench, "model"), **fields
        )
    # positions that are relative, turned into queries and keys or added to scores, do not show where all tokens agree
    told = order_matters(bench, model, batch, input, output, axis, place)
    if told:
        fields["observed"] += f"; yet without masks, {told}"
        return passed(f"positions of {input} are told apart by their distance", **fields)
    first = next(iter(seen.values()))
    if told is None:
        text = f"each place of {input} computes the same where all tokens agree: relative positions, or none"
        return warned(text, location=first[2], **fields)
    return failed(f"the model is blind to the order of {input}", location=first[2], **fields)


def order_matters(
    bench: Bench, model: Any, batch: Tensors, input: str, output: str, axis: str, place: int
) -> str | None:
    """What of the output changes, attention unmasked, when the two tokens before the last change places: "" if nothing.

    None where it cannot be told, since the first place still does not see the last one: it is hidden in another way.
    """
    tokens = batch[input]
    length = tokens.shape[place]
    other = other_values(bench, bench.paper.tensors[input], tokens, known_sizes(bench, batch), seed=3)
    tokens = tokens.clone()
    tokens.select(place, length - 2).copy_(other.select(place, length - 3))  # so that the two differ
    order = torch.arange(length)
    order[[length - 3, length - 2]] = order[[length - 2, length - 3]]
    changed = tokens.clone()
    changed.select(place, length - 1).copy_(other.select(place, length - 1))
    with torch.no_grad(), Unmasked():
        base, swapped, ended = (
            bench.forward(model, {**batch, input: value})[output]
            for value in (tokens, tokens.index_select(place, order), changed)
        )
    at = bench.paper.tensors[output].axes.index(axis) if axis in bench.paper.tensors[output].axes else None
    bound = tolerance.other_order(base)
    if at is not None:
        seen = tolerance.difference(base.select(at, 0), ended.select(at, 0))
        if not float(seen.max()) > bound:
            return None
        base, swapped = base.select(at, length - 1), swapped.select(at, length - 1)
    gap = float(tolerance.difference(base, swapped).max())
    return f"{output} changes by {tolerance.number(gap)} when two tokens change places" if gap > bound else ""


def swapped_tokens(bench: Bench, model: Any, batch: Tensors, input: str, output: str, place: int) -> Finding:
    length = batch[input].shape[place]
    order = torch.arange(length - 1, -1, -1)
    with torch.no_grad():
        base = bench.forward(model, batch)[output]
        seen = bench.forward(model, {**batch, input: batch[input].index_select(place, order)})[output]
    if not bool(base.isfinite().all()):
        return not_run(f"{output} holds values that are not finite: see outputs_declared")
    gap, bound = float(tolerance.difference(base, seen).max()), tolerance.other_order(base)
    fields: dict[str, Any] = {
        "expected": f"{output} changes when {input} is read backwards",
        "observed": f"largest change {tolerance.number(gap)}",
        "threshold": f"{tolerance.number(bound)} ({tolerance.why_other_order()})",
        "location": component_location(bench, "model"),
    }
    if gap > bound:
        return passed(f"the order of {input} changes {output}", **fields)
    return failed(f"{output} does not depend on the order of {input}", **fields)


@check(phase="model", family="round trip", component="model")
def deterministic(bench: Bench, *, output: str = "") -> Finding:
    """Decides whether the model in eval mode is a function of its input: f(a), f(b), f(a) gives the same twice.

    Broken: the first and the third result differ.
    Likely: functional dropout ignores eval mode (F.dropout without training=self.training) | hidden state carried
    between batches | random numbers drawn in the forward that no declared noise tensor fixes
    """
    names = [output] if output else bench.paper.outputs()
    if not names:
        return not_run("declare an output: tensors.<name>.output_of: model")
    model = eval_mode(
        bench, shaken(bench, bench.model())
    )  # a state that is a mean of normalised numbers is no longer 0
    a, b = (
        bench.with_noise(bench.synthetic(3, seed=bench.seed)),
        bench.with_noise(bench.synthetic(3, seed=bench.seed + 1)),
    )
    with torch.no_grad():
        first, _, third = (bench.forward(model, x) for x in (a, b, a))
        again = bench.forward(model, a)
        torch.manual_seed(11)
        seeded = bench.forward(model, a)
        torch.manual_seed(11)
        reseeded = bench.forward(model, a)
    for name in names:
        gap = float(tolerance.difference(first[name], third[name]).max())
        fields: dict[str, Any] = {
            "expected": f"{name} of the same batch is the same before and after another batch, bit for bit",
            "observed": f"largest difference {tolerance.number(gap)}",
            "threshold": "0 (the same operations on the same numbers)",
            "location": component_location(bench, "model"),
        }
        if gap == 0.0:
            continue
        repeats = float(tolerance.difference(seeded[name], reseeded[name]).max()) == 0.0
        settles = float(tolerance.difference(third[name], again[name]).max()) == 0.0
        dropout = "functional dropout ignores eval mode (F.dropout without training=self.training)"
        state = "hidden state carried between batches (never reset)"
        noise = "random numbers drawn in the forward: declare the noise as a tensor with random: normal"
        likely = (dropout, noise, state) if repeats and not settles else (state, dropout, noise)
        return failed(f"{name} in eval mode is not a function of its input", likely=likely, **fields)
    return passed(
        f"{', '.join(names)} in eval mode repeats bit for bit",
        expected="the same output before and after another batch",
        observed="no difference",
        location=component_location(bench, "model"),
    )


@check(phase="model", family="metamorphic", component="model")
def train_eval_differs(bench: Bench) -> Finding:
    """Decides whether declared dropout acts in train mode: two forwards then differ.

    Broken: the config gives a dropout rate above 0, and the model in train mode is deterministic.
    Likely: dropout never applied (the rate is not passed on) | dropout applied with training=False | model.train() has
    no effect because layers are not registered
    """
    rates = {
        key: value
        for key, value in flat(bench.paper.settings.get("model") or {}).items()
        if "dropout" in key and isinstance(value, (int, float)) and value > 0
    }
    if not rates:
        return not_run("the model's config gives no dropout rate above 0")
    model = bench.model()
    for module in bench.modules(model).values():
        module.train()
    batch = bench.with_noise(bench.synthetic(4))

    def apart() -> float:
        with torch.no_grad():
            first, second = bench.forward(model, batch), bench.forward(model, batch)
        return max(float(tolerance.difference(first[n], second[n]).max()) for n in first)

    # a last layer that starts at zero, as paper after paper has it, shows nothing of what comes before
    moved = apart() or (shaken(bench, model), apart())[1]
    named = ", ".join(f"model.{key}={value}" for key, value in rates.items())
    if moved > 0:
        return passed(
            f"train mode is random, as {named} says", observed=f"two forwards differ by {tolerance.number(moved)}"
        )
    return failed(
        f"train mode is deterministic although {named}",
        expected="two forwards in train mode differ",
        observed="they are equal bit for bit",
        threshold="0",
        location=component_location(bench, "model"),
    )
