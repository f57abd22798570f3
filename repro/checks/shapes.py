"""Shape checks: what the model and each declared stage return, and how many parameters stand where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from repro.checks import tolerance
from repro.checks.inputs import component_location, flat, known_sizes, model_sizes
from repro.checks.modules import capturing, eval_mode, match_parameters, near, norms_of_norms, stage_modules
from repro.checks.registry import CHECKS, check, failed, not_run, passed, warned
from repro.contract.bench import Bench
from repro.contract.components import location_of
from repro.findings import Finding


def distinct_batch(bench: Bench) -> dict[str, torch.Tensor]:
    """A synthetic batch whose number of examples is no other size, so that swapped axes cannot hide."""
    for n in (3, 5, 7, 11, 13):
        batch = bench.synthetic(n)
        others = {
            size
            for name, value in batch.items()
            if name in bench.paper.tensors
            for axis, size in zip(bench.paper.tensors[name].axes, value.shape, strict=False)
            if axis != "batch"
        }
        if n not in others and n not in flat(bench.paper.settings.get("model") or {}).values():
            break
    return batch


def compare_axes(shape: torch.Size, axes: tuple[str | int, ...], sizes: dict[str, int]) -> list[str]:
    """Faults of a shape against its declared axes, "axis 1 (width): got 3, need 64"; learns sizes not yet known."""
    if len(shape) != len(axes):
        return [f"{len(shape)} axes {list(shape)}, declared {len(axes)} {list(axes)}"]
    faults = []
    for position, (size, axis) in enumerate(zip(shape, axes, strict=True)):
        need = axis if isinstance(axis, int) else sizes.setdefault(axis, size)
        if size != need:
            faults.append(f"axis {position} ({axis}): {size}, need {need}")
    return faults


def shape_suspects(shape: torch.Size, axes: tuple[str | int, ...], sizes: Mapping[str, int]) -> tuple[str, ...]:
    """Likely bugs of a stage whose shape is not the declared one: a map too large or small by a whole factor first."""
    usual = ("axes swapped (batch_first)", "another width or number of units than declared", "an axis lost or gained")
    if len(shape) != len(axes):
        return usual[::-1]
    wrong = [
        (size, need) for size, axis in zip(shape, axes, strict=True) if (need := sizes.get(str(axis), axis)) != size
    ]
    if len(shape) > 2 and all(
        isinstance(need, int) and max(size, need) % max(1, min(size, need)) == 0 for size, need in wrong
    ):
        larger = all(size > int(need) for size, need in wrong)
        return (f"a stride or pooling {'missing' if larger else 'too many'}, here or in a stage before", *usual)
    return usual


@check(phase="model", family="declaration", component="model")
def outputs_declared(bench: Bench) -> list[Finding]:
    """Decides whether forward returns the declared outputs with their axes and dtype, finite on valid input.

    Broken: an axis of another size than elsewhere, another dtype, NaN or infinity.
    Likely: axes swapped (batch_first) | an output declared in another order than it is returned | softmax of a row
    whose every entry is masked
    """
    if not any(bench.paper.outputs(name) for name in bench.modules(bench.model())):
        return [not_run("declare an output: tensors.<name>: {axes: […], output_of: model}")]
    model = eval_mode(bench, bench.model())
    batch = distinct_batch(bench)
    findings = []
    for owner, module in bench.modules(model).items():
        names = bench.paper.outputs(owner)
        if not names:
            continue
        with torch.no_grad():
            outputs = bench.forward(model, batch, owner)
        sizes = known_sizes(bench, batch)
        for name in names:
            declaration = bench.paper.tensors[name]
            where: dict[str, Any] = {"component": name, "location": location_of(module)}
            if name not in outputs:
                findings.append(
                    failed(
                        f"{owner}.forward does not return {name}",
                        expected=f"a tensor {name} {list(declaration.axes)}",
                        observed=f"returned: {', '.join(outputs)}",
                        threshold="exact",
                        **where,
                    )
                )
                continue
            value = outputs[name]
            faults = compare_axes(value.shape, declaration.axes, sizes)
            if declaration.is_floating != value.is_floating_point():
                faults.append(f"dtype {value.dtype}, declared {declaration.dtype}")
            if value.is_floating_point() and not bool(value.isfinite().all()):
                faults.append(f"{int((~value.isfinite()).sum())} of {value.numel()} values are NaN or infinite")
            if declaration.range is not None and value.numel():
                low, high = declaration.range
                if float(value.min()) < low - tolerance.FLOAT32 or float(value.max()) > high + tolerance.FLOAT32:
                    faults.append(
                        f"values from {float(value.min()):.4g} to {float(value.max()):.4g}, declared {low} to {high}"
                    )
            shown = f"{name} {list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
            if faults:
                if list(value.shape[-1:]) == [1] and not compare_axes(value.shape[:-1], declaration.axes, sizes):
                    kept = "a last axis of size 1 is kept: against targets without it the loss broadcasts to N × N"
                    where["likely"] = (kept, *CHECKS["outputs_declared"].likely[:2])
                findings.append(
                    failed(
                        f"{name} is not as declared: {'; '.join(faults)}",
                        expected=(
                            f"{list(declaration.axes)} = {[sizes.get(str(a), a) for a in declaration.axes]}, "
                            f"{declaration.dtype}, finite"
                        ),
                        observed=shown,
                        threshold="exact",
                        **where,
                    )
                )
            else:
                findings.append(
                    passed(f"{shown}, as declared", expected=str(list(declaration.axes)), observed=shown, **where)
                )
    return findings


@check(phase="model", family="declaration", component="model")
def stages(bench: Bench) -> list[Finding]:
    """Decides whether every declared stage returns a tensor with its declared axes; lists the parameters of each.

    Broken: a stage that does not exist, is never called, or returns another shape.
    Likely: axes swapped (batch_first) | layers kept in a plain Python list, so they are no submodules | a stage renamed
    without its declaration
    """
    if not bench.paper.stages:
        return [not_run("declare stages: {<module glob>: [axes of its output]} to get it")]
    model = eval_mode(bench, bench.model())
    batch = distinct_batch(bench)
    found = list(stage_modules(bench, model))
    modules = {name: module for _, name, module in found}
    with torch.no_grad(), capturing(modules.items()) as captured:
        sizes = known_sizes(bench, batch)
        for owner in bench.modules(model):
            bench.forward(model, batch, owner)
    findings = []
    known = [name for module in bench.modules(model).values() for name, _ in module.named_modules() if name]
    for glob in bench.paper.stages:
        if glob not in {g for g, _, _ in found}:
            findings.append(
                failed(
                    f"the declared stage {glob} does not exist",
                    expected=f"a submodule that matches {glob}",
                    observed=f"none. {near(glob, known)}".strip(),
                    threshold="exact",
                    location=component_location(bench, "model"),
                    likely=(
                        "layers kept in a plain Python list, so they are no submodules",
                        "a stage renamed without its declaration",
                    ),
                )
            )
    table = []
    for glob, name, module in found:
        axes = bench.paper.stages[glob]
        own = {p.data_ptr(): p.numel() for p in module.parameters()}
        row: dict[str, Any] = {
            "stage": name,
            "axes": [str(a) for a in axes],
            "shape": None,
            "parameters": sum(own.values()),
        }
        table.append(row)
        where = {"component": name, "location": location_of(module)}
        if name not in captured:
            findings.append(
                failed(
                    f"the stage {name} is never called in a forward",
                    expected=f"called, returning {list(axes)}",
                    observed="not called (or called through another method than forward)",
                    threshold="exact",
                    likely=("a layer that is built but not used", "another method than forward is called"),
                    **where,
                )
            )
            continue
        shape = captured[name].shape
        row["shape"] = list(shape)
        faults = compare_axes(shape, axes, sizes)
        if faults:
            findings.append(
                failed(
                    f"the stage {name} returns {list(shape)}: {'; '.join(faults)}",
                    expected=f"{list(axes)} = {[sizes.get(str(a), a) for a in axes]}",
                    observed=str(list(shape)),
                    threshold="exact",
                    likely=shape_suspects(shape, axes, sizes),
                    **where,
                )
            )
    if not findings:
        return [
            passed(
                f"{len(table)} stages return what is declared",
                observed=f"{len(table)} stages",
                details={"stages": table},
            )
        ]
    return [f.with_changes(details={"stages": table}) if position == 0 else f for position, f in enumerate(findings)]


@check(phase="model", family="initial value", component="model")
def parameter_count(
    bench: Bench, *, equals: str | int | None = None, names: Mapping[str, str | float] | None = None, source: str = ""
) -> Finding:
    """Decides whether the model has as many trainable parameters as the paper's sizes give (shared ones counted once).

    `equals` is a number or an arithmetic expression over the values of the model's config; `names` gives those that the
    config leaves null or does not have, as numbers or expressions. A text such as `norm: pre` counts as `norm_pre` = 1.
    Broken: another count.
    Likely: weight tying lost (copy instead of share) | frozen flag left on (requires_grad False) | layers kept in a
    plain Python list | a layer missing or doubled | biases added or left out
    """
    if equals is None:
        return not_run("declare {property: parameter_count, equals: <expression of the sizes>} to get it")
    from repro.arithmetic import evaluate

    given = model_sizes(bench, names)
    expected = round(float(evaluate(str(equals), given)))
    model = bench.model()
    parameters = {p.data_ptr(): (name, p) for m in bench.modules(model).values() for name, p in m.named_parameters()}
    trainable = sum(p.numel() for _, p in parameters.values() if p.requires_grad)
    frozen = sum(p.numel() for _, p in parameters.values() if not p.requires_grad)
    fields: dict[str, Any] = {
        "expected": f"{expected:,} trainable parameters = {equals}" + (f" ({source})" if source else ""),
        "observed": f"{trainable:,}" + (f", and {frozen:,} frozen" if frozen else ""),
        "threshold": "exact",
        "location": component_location(bench, "model"),
    }
    if trainable == expected:
        return passed(f"{trainable:,} trainable parameters, as the paper's sizes give", **fields)
    surplus = trainable - expected
    again = norms_of_norms(bench, model) if surplus > 0 else {}
    if again and surplus == sum(p.numel() for name, p in parameters.values() if name.rpartition(".")[0] in again):
        norm, before = next(iter(again.items()))
        return failed(
            f"{surplus:,} trainable parameters more than the paper's sizes give: those of {', '.join(again)}",
            likely=(f"a norm too many: {norm} normalises what {before} returned, which is normalised already",),
            **fields,
        )
    biases = sum(p.numel() for name, p in parameters.values() if p.dim() == 1 and name.endswith("bias"))
    if surplus == biases or surplus in bias_groups(parameters) | biases_by_kind(bench.modules(model).values()):
        return warned(f"{surplus:,} parameters more than the paper's count: exactly biases", **fields)
    tied = "weight tying lost (copy instead of share)"
    likely = []
    layers = [layer for module in bench.modules(model).values() for layer in module.modules()]
    convolves = any(isinstance(layer, (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)) for layer in layers)
    embeds = any(isinstance(layer, torch.nn.Embedding) for layer in layers)
    sizes = [p.numel() for _, p in parameters.values() if p.dim() > 1]
    if surplus > 0 and embeds and any(surplus % size == 0 and surplus // size <= 2 for size in sizes):
        likely.append(tied)
    repeated = [name for name, held in lists(bench, model) if len({id(part) for part in held}) < len(held)]
    if surplus < 0 and repeated:
        likely.append(f"{repeated[0]} holds one layer several times ([layer] * N): its weights are shared")
    if surplus < 0 and frozen and trainable + frozen == expected:
        likely.append("frozen flag left on (requires_grad False)")
    likely += [
        *(["layers kept in a plain Python list"] if surplus < 0 else [tied] if embeds else []),
        "a layer missing or doubled" if surplus < 0 else "a layer doubled",
        *(["a parameter of another shape, such as one position for all places"] if surplus < 0 else []),
        *(["a projection shortcut where the paper has the identity"] if surplus > 0 and convolves else []),
        "frozen flag left on (requires_grad False)" if surplus < 0 else "biases where the paper has none",
    ]
    return failed(
        f"{abs(surplus):,} trainable parameters {'more' if surplus > 0 else 'fewer'} than the paper's sizes give",
        likely=tuple(dict.fromkeys(likely))[:4],
        **fields,
    )


def lists(bench: Bench, model: Any) -> list[tuple[str, list[torch.nn.Module]]]:
    """Every `ModuleList` and `Sequential` of the model, with the layers in it that have parameters, in order."""
    found = []
    for whole in bench.modules(model).values():
        for name, part in whole.named_modules():
            if isinstance(part, (torch.nn.ModuleList, torch.nn.Sequential)):
                found.append((name, [layer for layer in part if list(layer.parameters())]))
    return found


def biases_by_kind(modules: Iterable[torch.nn.Module]) -> set[int]:
    """Numbers of parameters in the biases of all layers of a class, such as those of every convolution."""
    kinds: dict[type, int] = {}
    for module in modules:
        for layer in module.modules():
            bias = getattr(layer, "bias", None)
            if isinstance(bias, torch.nn.Parameter):
                kinds[type(layer)] = kinds.get(type(layer), 0) + bias.numel()
    return set(kinds.values())


def bias_groups(parameters: Mapping[int, tuple[str, torch.nn.Parameter]]) -> set[int]:
    """Numbers of parameters in all biases whose names agree up to layer numbers, and of their unions by last parts."""
    groups: dict[str, int] = {}
    for name, parameter in parameters.values():
        if parameter.dim() == 1 and name.endswith("bias"):
            parts = [part for part in name.split(".") if not part.isdigit()]
            for depth in range(1, len(parts) + 1):
                key = ".".join(parts[-depth:])
                groups[key] = groups.get(key, 0) + parameter.numel()
    return set(groups.values())


@check(phase="model", family="declaration", component="model")
def tied(bench: Bench, *, parameters: list[str] | None = None, when: bool = True, source: str = "") -> Finding:
    """Decides whether the named parameters are one tensor, so that a step moves them together.

    `when` is false where the config says that they are not tied, a declared deviation.

    Broken: equal values in separate memory, or separate matrices.
    Likely: weight tying lost (copy instead of share) | tying done before a later initialisation replaced the parameter
    """
    if not parameters or len(parameters) < 2:
        return not_run("declare {property: tied, parameters: [<name>, <name>]} to get it")
    if not when:
        return not_run("the config says that these parameters are not tied: a deviation that it declares")
    model = bench.model()
    named: dict[str, torch.nn.Parameter] = {}
    for owner, module in bench.modules(model).items():
        prefix = "" if owner == "model" else f"{owner}."
        named |= {prefix + name: p for name, p in module.named_parameters(remove_duplicate=False)}
    fields: dict[str, Any] = {
        "expected": f"{', '.join(parameters)} are one tensor" + (f" ({source})" if source else ""),
        "threshold": "exact (same memory)",
        "location": component_location(bench, "model"),
    }
    missing = [name for name in parameters if name not in named]
    present = [name for name in parameters if name in named]
    pointers = {named[name].data_ptr() for name in present}
    if len(pointers) > 1:
        first = named[present[0]]
        equal = all(named[n].shape == first.shape and torch.equal(named[n], first) for n in present)
        return failed(
            f"{', '.join(present)} are not shared"
            + (", although their values are equal at the start" if equal else ""),
            observed=f"{len(pointers)} separate tensors" + (" with equal values: a copy" if equal else ""),
            **fields,
        )
    if missing:
        return warned(
            f"no parameter is called {', '.join(missing)}: a use of another module's matrix cannot be seen by name",
            observed=near(missing[0], named) or "not found",
            **fields,
        )
    return passed(f"{len(parameters)} names share one tensor", observed="one tensor", **fields)


@check(phase="model", family="declaration", component="model")
def frozen(bench: Bench, *, parameters: list[str] | None = None) -> Finding:
    """Decides whether exactly the parameters that the paper fixes are frozen.

    Broken: one of them would be trained.
    Likely: requires_grad left on | the optimiser is given frozen parameters
    """
    if not parameters:
        return not_run("declare {property: frozen, parameters: [<glob>, …]} to get it")
    model = bench.model()
    moving = [
        name
        for module in bench.modules(model).values()
        for glob in parameters
        for name, p in match_parameters(module, glob).items()
        if p.requires_grad
    ]
    if moving:
        return failed(
            f"{', '.join(moving)} would be trained",
            expected=f"{', '.join(parameters)} frozen",
            observed="requires_grad is true",
            threshold="exact",
            location=component_location(bench, "model"),
        )
    return passed(f"{', '.join(parameters)} frozen, as declared", location=component_location(bench, "model"))
