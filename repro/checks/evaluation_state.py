"""Evaluation and state: it leaves training as it was, runs in eval mode, and gives the same twice."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch

from repro.checks.held_out import EXAMPLES, NO_EXAMPLES, arranged, evaluated, evaluated_once, held_out
from repro.checks.inputs import component_location
from repro.checks.metrics import RELATIVE, differing, shown
from repro.checks.registry import check, failed, not_run, passed, warned
from repro.checks.watch import named_parameters, seed_all
from repro.contract.bench import Bench
from repro.contract.components import location_of
from repro.findings import Finding


@check(phase="evaluation", family="round trip", component="evaluation")
def evaluation_leaves_training_untouched(bench: Bench) -> Finding:
    """Weights, buffers, gradients, optimiser, data position and gradient mode are the same after evaluate as before.

    Broken: what is trained depends on how often it is evaluated.
    Likely: running statistics (batch norm, observation normaliser) are updated in evaluation: no model.eval() |
    averaged weights are copied into the model and not restored | evaluation reads the training stream | gradients
    stay disabled after evaluation
    """
    data = arranged(bench, [EXAMPLES])
    seed_all(bench.seed)
    fresh = bench.data(fresh=True)
    model = bench.model()
    training = bench.training(model)
    with bench.precision():
        training.update(bench.synthetic(4))
    modules = bench.modules(model)
    for module in modules.values():
        module.train()
    if data is not None:
        data.data = fresh

    def state() -> dict[str, Any]:
        parts: dict[str, Any] = {
            "weights": {n: p for n, p in named_parameters(modules).items()},
            "buffers": {f"{k}.{n}": b for k, m in modules.items() for n, b in m.named_buffers()},
            "gradients": {n: p.grad for n, p in named_parameters(modules).items()},
            "requires_grad": {n: p.requires_grad for n, p in named_parameters(modules).items()},
            "optimiser": training.state_dict() if hasattr(training, "state_dict") else {},
            "position of the training data": fresh.state_dict() if hasattr(fresh, "state_dict") else {},
            "gradient mode": torch.is_grad_enabled(),
        }
        return {name: fingerprint(part) for name, part in parts.items()}

    before = state()
    try:
        evaluated(bench, model, data if data is not None else fresh)
        after = state()
    finally:
        torch.set_grad_enabled(bool(before["gradient mode"]))
    changed = [name for name in before if unequal(before[name], after[name])]
    if not changed:
        return passed("weights, buffers, gradients, optimiser and data position are as before", threshold="bit for bit")
    first = changed[0]
    inside = (
        [k for k in before[first] if unequal(before[first][k], after[first].get(k))]
        if isinstance(before[first], dict)
        else []
    )
    why = {
        "weights": "averaged (EMA) weights are copied into the training model and not restored",
        "buffers": "model.eval() is not called, or a normaliser ignores it: running statistics are updated",
        "gradients": "evaluation calls backward, or clears gradients",
        "requires_grad": "parameters are frozen for evaluation and not thawed",
        "optimiser": "evaluation steps the optimiser or its schedule",
        "position of the training data": "evaluation reads the training stream, or shares its generator",
        "gradient mode": "torch.set_grad_enabled(False) is not undone",
    }
    return failed(
        f"evaluation changes {', '.join(changed)}",
        expected="everything that training uses is the same after evaluate as before",
        observed=f"{first} changed" + (f": {', '.join(map(str, inside[:3]))}" if inside else ""),
        threshold="bit for bit",
        location=component_location(bench, "evaluation"),
        likely=tuple(dict.fromkeys((*normalisers(before, after), *(why[name] for name in changed[:3])))),
    )


def fingerprint(value: Any) -> Any:
    """Plain containers with arrays in place of tensors, to be compared by `unequal`."""
    if torch.is_tensor(value):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: fingerprint(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [fingerprint(part) for part in value]
    return (
        copy.deepcopy(value)
        if isinstance(value, (int, float, str, bool, np.ndarray, type(None)))
        else repr(type(value))
    )


def unequal(a: Any, b: Any) -> bool:
    if torch.is_tensor(a) and torch.is_tensor(b):
        return a.shape != b.shape or not torch.equal(a.nan_to_num(), b.nan_to_num())
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return not np.array_equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() != b.keys() or any(unequal(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) != len(b) or any(unequal(x, y) for x, y in zip(a, b, strict=True))
    return bool(a != b) and not (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


def normalisers(before: Any, after: Any) -> tuple[str, ...]:
    """The likely bug where a running mean or variance, wherever it is kept, is among what changed."""
    running = {"mean", "var", "variance", "std", "running_mean", "running_var"}

    def changed(a: Any, b: Any) -> bool:
        if not isinstance(a, dict) or not isinstance(b, dict):
            return False
        return any((k in running and unequal(a[k], b.get(k))) or changed(a[k], b.get(k)) for k in a)

    words = "running statistics (batch norm, observation normaliser) are updated in evaluation: no model.eval()"
    return (words,) if changed(before, after) else ()


@check(phase="evaluation", family="trace", component="evaluation")
def evaluation_mode(bench: Bench) -> Finding:
    """Every forward of evaluation runs in eval mode, down to each dropout and normalisation layer, without gradients.

    Of a model that computes the same in both modes, train mode is only warned of.
    Broken: metrics depend on dropout noise, or on the other examples of a batch.
    Likely: model.eval() is not called in evaluate | only part of the model is put into eval mode
    """
    data = arranged(bench, [EXAMPLES])
    model = bench.model()
    awake: list[str] = []
    calls = [0, 0]  # forwards, of them with gradients
    handles = []
    kinds = (torch.nn.modules.dropout._DropoutNd, torch.nn.modules.batchnorm._NormBase)
    roots = bench.modules(model)

    def watch(name: str, module: torch.nn.Module, root: bool) -> None:
        def hook(part: torch.nn.Module, args: Any) -> None:
            if root:
                calls[0] += 1
                calls[1] += torch.is_grad_enabled()
            if part.training:
                awake.append(name)

        handles.append(module.register_forward_pre_hook(hook))

    for owner, root in roots.items():
        root.train()
        for key, part in root.named_modules():
            if part is root or isinstance(part, kinds):
                watch(key or owner, part, part is root)
    try:
        evaluated(bench, model, data if data is not None else bench.data())
    finally:
        for handle in handles:
            handle.remove()
    if awake:
        names = list(dict.fromkeys(awake))
        if not mode_matters(bench):
            return warned(
                f"evaluation runs in train mode, which changes nothing in this model: {', '.join(names[:3])}",
                expected="model.eval() in evaluate, for the day the model gets dropout or normalisation",
                observed=f"training=True in {len(awake)} calls, with the outputs of eval mode",
                location=component_location(bench, "evaluation"),
            )
        return failed(
            f"{len(names)} module(s) run in train mode in evaluation: {', '.join(names[:3])}",
            expected="training=False in every forward of evaluate",
            observed=f"training=True in {len(awake)} calls",
            threshold="none may",
            location=component_location(bench, "evaluation"),
            likely=(
                "model.eval() is not called in evaluate",
                "train mode is restored before evaluation is over",
            ),
        )
    if not calls[0]:
        return not_run("evaluate never calls the model itself, and it has no dropout or normalisation that was called")
    if calls[1]:
        return warned(
            f"{calls[1]} of {calls[0]} forwards of evaluation keep gradients: slower and larger than needed",
            expected="torch.no_grad() or inference_mode around evaluation",
            observed="gradients enabled",
            location=component_location(bench, "evaluation"),
        )
    return passed(f"{calls[0]} forwards in eval mode, without gradients")


def mode_matters(bench: Bench) -> bool:
    """Whether the model computes anything else in train mode than in eval mode, or changes a buffer there."""
    found = []
    for training in (True, False):
        model = bench.model()
        for module in bench.modules(model).values():
            module.train(training)
        batch = bench.with_noise(bench.synthetic(4))
        torch.manual_seed(bench.seed)
        with torch.no_grad():
            outputs = bench.forward(model, batch)
        buffers = [buffer for module in bench.modules(model).values() for buffer in module.buffers()]
        found.append([*outputs.values(), *buffers])
    return len(found[0]) != len(found[1]) or not all(map(torch.equal, *found))


@check(phase="evaluation", family="round trip", component="evaluation")
def evaluation_deterministic(bench: Bench) -> Finding:
    """Evaluated twice with the same weights and seed, every metric is the same.

    Broken: metrics change from call to call, so that no two runs can be compared.
    Likely: dropout is on in evaluation | augmentation is active on held-out data | held-out data are shuffled by a
    generator that moves on
    """
    data = arranged(bench, [EXAMPLES])
    model = bench.model()
    first = evaluated_once(bench) or evaluated(bench, model, bench.data())
    second = evaluated(bench, model, data if data is not None else bench.data())
    names = differing(first, second)
    if names:
        return failed(
            f"{', '.join(names)} differ between two evaluations of the same weights",
            expected=shown(first, names),
            observed=shown(second, names),
            threshold=f"{RELATIVE:.1e} relative (float32 rounding)",
            location=component_location(bench, "evaluation"),
        )
    return passed(f"{len(first)} metrics agree: {shown(first, list(first))}")


@check(phase="evaluation", family="data", component="evaluation")
def held_out_fixed(bench: Bench) -> Finding:
    """Held-out batches are the same on every pass: no augmentation, no shuffling of contents.

    Broken: validation is measured on changing examples.
    Likely: augmentation is active on the validation split | held-out examples are drawn anew on each pass
    """
    data = bench.data()
    if held_out(bench) is None:
        return not_run(NO_EXAMPLES)
    for split in ("validation", "test"):
        passes = []
        for number in range(2):
            seed_all(number)
            passes.append([fingerprint(b) for _, b in zip(range(3), data.batches(split), strict=False)])
        for number, (a, b) in enumerate(zip(*passes, strict=True), 1):
            names = [name for name in a if unequal(a[name], b.get(name))]
            if names:
                return failed(
                    f"batch {number} of {split} differs between two passes in {', '.join(names)}",
                    expected="the same tensors on every pass",
                    observed="different values",
                    threshold="bit for bit",
                    location=location_of(data.batches),
                )
    return passed("validation and test give the same batches twice", threshold="bit for bit")
