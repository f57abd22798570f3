"""Traces the first NaN, infinity or thousandfold growth to its module, tensor and step, with lines that replay it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from repro.contract.components import call_by_name, location_of

#: Three orders of magnitude from one module's input to its output: no normalised network does that at any healthy
#: step.
GROWTH = 1000.0


@dataclass(frozen=True)
class NonFinite:
    """The first bad value.

    `kind` is "NaN", "infinity" or "growth"; `step` is "parameters", "batch", "forward", "loss" or "backward".
    """

    module: str
    tensor: str
    kind: str
    step: str
    summary: str
    location: str
    replay: str

    @property
    def where(self) -> str:
        return f"{self.step} of {self.module or 'the model'}, {self.tensor}"


def kind_of(value: torch.Tensor) -> str:
    """ "NaN", "infinity" or "" for a tensor."""
    if not value.is_floating_point() or not value.numel():
        return ""
    if bool(torch.isnan(value).any()):
        return "NaN"
    return "infinity" if bool(torch.isinf(value).any()) else ""


def tensors_in(value: Any, name: str = "output") -> list[tuple[str, torch.Tensor]]:
    if torch.is_tensor(value):
        return [(name, value)]
    if isinstance(value, Mapping):
        return [t for key, part in value.items() for t in tensors_in(part, str(key))]
    if isinstance(value, (tuple, list)):
        return [t for i, part in enumerate(value) for t in tensors_in(part, f"{name}[{i}]")]
    return []


def rms(value: torch.Tensor) -> float:
    return float(value.detach().double().square().mean().sqrt()) if value.numel() else 0.0


def find_first(
    model: Any,
    batch: Mapping[str, torch.Tensor],
    loss: Any,
    forward: Callable[..., Mapping[str, torch.Tensor]] | None = None,
) -> NonFinite | None:
    """The first non-finite value of one forward, loss and backward of `batch`; growth if all is finite; else None.

    Args:
        model: an `nn.Module` called by the names of its parameters, or {name: module} (each is called with the batch).
        batch: named tensors.
        loss: called by the names of its parameters with batch and outputs, gives terms with `total`; None skips it.
        forward: `forward(model, batch)` → named outputs; without it one tensor is called `output`.

    `.grad` of the parameters, their values and the modes stay as they are; random numbers are drawn as in any forward.
    """
    modules = {"model": model} if isinstance(model, torch.nn.Module) else dict(model)
    for name, module in modules.items():
        for key, parameter in module.named_parameters():
            kind = kind_of(parameter.detach())
            if kind:
                owner = module.get_submodule(key.rpartition(".")[0])
                return made(name, key, key.rpartition(".")[2], kind, "parameters", owner, parameter)
    for key, value in batch.items():
        if torch.is_tensor(value) and kind_of(value):
            return NonFinite(
                "",
                key,
                kind_of(value),
                "batch",
                f"{key} of the batch holds {kind_of(value)}",
                "",
                replay_lines("batch", key),
            )
    found: list[NonFinite] = []
    grown: list[NonFinite] = []
    kept: list[tuple[str, torch.nn.Module, torch.Tensor]] = []
    handles = []

    def watch(root: str, key: str, part: torch.nn.Module) -> None:
        def hook(module: torch.nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            inputs = [t for _, t in tensors_in([args, kwargs]) if t.is_floating_point()]
            for tensor_name, value in tensors_in(output):
                kind = kind_of(value.detach())
                if kind and not found:
                    found.append(made(root, key, tensor_name, kind, "forward", module, value, inputs))
                largest = max((rms(t) for t in inputs), default=0.0)
                if not kind and value.is_floating_point() and largest > 0 and rms(value) > GROWTH * largest:
                    grown.append(made(root, key, tensor_name, "growth", "forward", module, value, inputs))
                if value.requires_grad and value.is_floating_point():
                    kept.append((key, module, value))

        handles.append(part.register_forward_hook(hook, with_kwargs=True))

    for name, module in modules.items():
        for key, part in module.named_modules():
            watch(name, key, part)
    try:
        outputs: dict[str, torch.Tensor] = {}
        for module in modules.values():
            if forward is not None and len(modules) == 1:
                outputs.update(forward(model, batch))
            else:
                inputs = {**batch, **outputs}
                outputs.update(dict(tensors_in(call_by_name(module, inputs, "forward"))))
    finally:
        for handle in handles:
            handle.remove()
    if found:
        return found[0]
    if loss is None or isinstance(loss, Mapping):
        return grown[0] if grown else None
    terms = call_by_name(loss, {**batch, **outputs}, "loss")
    terms = terms if isinstance(terms, Mapping) else {"total": terms}
    for name, value in sorted(terms.items(), key=lambda item: item[0] == "total"):
        if torch.is_tensor(value) and kind_of(value.detach()):
            kind = kind_of(value.detach())
            return NonFinite(
                "loss",
                name,
                kind,
                "loss",
                f"term {name} of the loss is {kind}; all outputs of the model are finite",
                location_of(loss),
                replay_lines("loss", name),
            )
    backward = first_in_backward(terms["total"], kept, modules)
    return backward or (grown[0] if grown else None)


def first_in_backward(
    total: torch.Tensor,
    kept: list[tuple[str, torch.nn.Module, torch.Tensor]],
    modules: Mapping[str, torch.nn.Module],
) -> NonFinite | None:
    """The gradient that is not finite nearest to the loss: gradients flow from the last output to the first."""
    if not total.requires_grad:
        return None
    parameters = [(key, p, m) for m in modules.values() for key, p in m.named_parameters() if p.requires_grad]
    wanted = [value for _, _, value in kept] + [p for _, p, _ in parameters]
    gradients = torch.autograd.grad(total, wanted, allow_unused=True)
    outputs = list(zip(kept, gradients, strict=False))
    for (key, module, _), gradient in reversed(outputs):
        if gradient is not None and kind_of(gradient):
            return made("model", key, "gradient of its output", kind_of(gradient), "backward", module, gradient)
    for (key, _, root), gradient in zip(parameters, gradients[len(kept) :], strict=True):
        if gradient is not None and kind_of(gradient):
            owner = root.get_submodule(key.rpartition(".")[0])
            return made(
                "model",
                key.rpartition(".")[0],
                f"gradient of {key}",
                kind_of(gradient),
                "backward",
                owner,
                gradient,
            )
    return None


def made(
    root: str,
    key: str,
    tensor: str,
    kind: str,
    step: str,
    module: torch.nn.Module,
    value: torch.Tensor,
    inputs: list[torch.Tensor] | None = None,
) -> NonFinite:
    name = key if root == "model" else ".".join(part for part in (root, key) if part)
    finite = value.detach()[torch.isfinite(value.detach())]
    share = 1 - finite.numel() / max(1, value.numel())
    entering = (
        f"; it is given finite tensors up to {max(float(t.detach().abs().max()) for t in inputs if t.numel()):.3g}"
        if inputs
        else ""
    )
    if kind == "growth":
        what = f"{tensor} of {name or 'the model'} has rms {rms(value):.3g}, over {GROWTH:,.0f} times that of its input"
    else:
        what = f"{tensor} of {name or 'the model'} ({type(module).__name__}): "
        what += f"{share:.1%} of {tuple(value.shape)} is {kind}{entering}"
    return NonFinite(name, tensor, kind, step, what, location_of(module), replay_lines(step, name))


def replay_lines(step: str, name: str) -> str:
    """Python that repeats the trace, from the objects at hand."""
    return "from repro.checks.non_finite import find_first\nprint(find_first(model, batch, loss))" + (
        f"  # stops in model.get_submodule({name!r})"
        if step in ("forward", "backward") and name
        else f"  # stops at {step} {name}"
    )
