"""Invertible models: the log-determinant of a forward is that of its Jacobian, and counts for the likelihood."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from repro.checks.inputs import component_location, forward_inputs, loss_inputs
from repro.checks.modules import eval_mode, shaken
from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.findings import Finding

#: What people call log |det J|.
NAMES = ("log_det", "logdet", "log_determinant", "log_abs_det", "log_det_jacobian", "log_abs_det_jacobian", "ldj")
#: Values of an example up to which its Jacobian is computed.
LARGEST = 256
ABSENT = "no output of one model is called log_det (a number an example) beside a code as large as the input"


def change_of_variables(bench: Bench) -> tuple[str, str, str] | None:
    """(input, code, log-determinant) of a model that maps an example to a code of the same axes."""
    tensors = bench.paper.tensors
    if set(bench.modules(bench.model())) != {"model"}:
        return None
    for name in forward_inputs(bench, dict.fromkeys(tensors, torch.empty(0))):
        for code in tensors.values():
            if code.output_of != "model" or code.axes != tensors[name].axes or code.axes[:1] != ("batch",):
                continue
            found = next(
                (n for n in NAMES if n in tensors and tensors[n].output_of and tensors[n].axes == ("batch",)), ""
            )
            if found and tensors[name].is_floating:
                return name, code.name, found
    return None


@check(phase="model", family="oracle", component="model")
def log_determinant_agrees(bench: Bench) -> Finding:
    """Decides whether the log-determinant that a forward returns is that of its Jacobian, computed by autograd.

    Broken: another number for some example, or a feature that passes through unchanged.
    Likely: the scale that is returned is not the one applied | the log-determinant is averaged over features instead of
    summed | the scale depends on the features that it scales | all layers leave the same features unchanged
    """
    found = change_of_variables(bench)
    if found is None:
        return not_run(ABSENT)
    name, code, log_det = found
    model = eval_mode(bench, shaken(bench, bench.model(dtype=torch.float64)))
    batch = bench.with_noise(bench.as_declared(bench.synthetic(3)))
    size = batch[name][0].numel()
    if size > LARGEST:
        return not_run(f"an example has {size} values: its Jacobian is computed up to {LARGEST}")
    x = batch[name].double().requires_grad_()
    with torch.enable_grad():
        outputs = bench.forward(model, {**batch, name: x})
        flat = outputs[code].flatten(1)
        rows = [torch.autograd.grad(flat[:, i].sum(), x, retain_graph=True)[0].flatten(1) for i in range(flat.size(1))]
    jacobian = torch.stack(rows, dim=1).detach()  # [n, outputs, inputs]
    fields: dict[str, Any] = {"component": "model", "location": component_location(bench, "model")}
    if jacobian.shape[1] != jacobian.shape[2]:
        return not_run(f"{code} has another number of values than {name}")
    wanted = torch.linalg.slogdet(jacobian)[1]
    ours = outputs[log_det].detach().double()
    gap = (ours - wanted).abs()
    worst = int(gap.argmax())
    limit = math.sqrt(torch.finfo(bench.dtype).eps)
    fields |= {
        "expected": f"{log_det} {float(wanted[worst]):.6g}, log |det| of d {code} / d {name} by autograd",
        "observed": f"{float(ours[worst]):.6g} for example {worst}",
        "threshold": f"{limit:.1e} of what is compared, and at least that",
    }
    if not bool((gap <= limit * wanted.abs().clamp_min(1.0)).all()):
        return failed(
            f"{log_det} is not that of the Jacobian", likely=determinant_pattern(ours, wanted, size), **fields
        )
    still = [i for i in range(size) if torch.equal(jacobian[:, i], torch.eye(size, dtype=x.dtype)[i].expand(3, size))]
    if still:
        fields |= {
            "expected": "every feature is changed by some layer",
            "observed": f"{len(still)} of {size} features pass through unchanged",
            "threshold": "exact, with noise on all weights",
        }
        likely = ("all layers leave the same features unchanged (the mask does not alternate)",)
        return failed(f"a part of {name} reaches {code} unchanged", likely=likely, **fields)
    return passed(f"{log_det} is that of the Jacobian of {code} by {name}", **fields)


def determinant_pattern(ours: Tensor, wanted: Tensor, size: int) -> tuple[str, ...]:
    """Likely bugs, ranked by what the number is made of."""
    averaged = "the log-determinant is averaged over features instead of summed"
    sign = "the sign of the log-determinant is wrong (it is that of the inverse)"
    depends = "the scale depends on the features that it scales (the mask is not applied to what the network sees)"
    other = "the scale that is returned is not the one applied (its logarithm, a tanh or a mask is missing)"
    if torch.allclose(ours * size, wanted, rtol=1e-6, atol=1e-9):
        return (averaged, other)
    if torch.allclose(-ours, wanted, rtol=1e-6, atol=1e-9):
        return (sign, other)
    return (depends, other, averaged)


@check(phase="loss", family="gradient", component="loss")
def log_determinant_counts(bench: Bench) -> Finding:
    """Decides whether the total of a flow falls as the log-determinant of an example rises; by how much is not judged.

    Broken: it rises, or does not move.
    Likely: the log-determinant has the wrong sign | it is left out of the total, or detached
    """
    found = change_of_variables(bench)
    if found is None or found[2] not in loss_inputs(bench) or isinstance(bench.loss(), dict):
        return not_run(ABSENT + ", which the loss takes")
    model = eval_mode(bench, bench.model(dtype=torch.float64))
    batch = bench.as_declared(bench.with_noise(bench.synthetic(4)))
    with torch.no_grad():
        outputs = bench.forward(model, batch)
    value = outputs[found[2]].detach().double().clone().requires_grad_()
    total = bench.call_loss({**batch, **outputs, found[2]: value})["total"]
    slope = torch.autograd.grad(total, value, allow_unused=True)[0] if total.requires_grad else None
    fields: dict[str, Any] = {
        "expected": f"the total falls as {found[2]} rises: log p(x) = log p(z) + log |det J|",
        "observed": "no gradient" if slope is None else f"d total / d {found[2]} = {slope.tolist()}",
        "threshold": "the sign",
        "location": component_location(bench, "loss"),
    }
    if slope is not None and bool((slope < 0).all()):
        return passed(f"the total falls as {found[2]} rises", **fields)
    if slope is None or not bool(slope.any()):
        likely = ("the log-determinant is left out of the total, or detached",)
        return failed(f"the total does not depend on {found[2]}", likely=likely, **fields)
    return failed(f"the total rises with {found[2]}", likely=("the log-determinant has the wrong sign",), **fields)
