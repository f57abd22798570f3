"""The lowest total that a model could reach on a batch, computed by minimising the person's loss over free outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from repro.contract.bench import Bench, Tensors
from repro.contract.components import parameters_of

#: Of the central difference, in units of the outputs: the cube root of float64's precision is where it errs least.
STEP = 1e-5


@dataclass(frozen=True)
class Floor:
    """`free`: every output may be anything. `shared`: equal inputs must give equal outputs. None: unbounded below."""

    free: float | None
    shared: float | None


def forward_inputs(bench: Bench, batch: Tensors) -> list[str]:
    """The tensors of a batch that the model's forward takes."""
    model = bench.model()
    module = next(iter(bench.modules(model).values()))
    return [name for name in parameters_of(module.forward) if name in batch]


def causal_axis(bench: Bench) -> tuple[str, str, str] | None:
    """(output, axis, input) of the declared property `causal`."""
    for declared in bench.paper.properties:
        if declared.name == "causal":
            options = declared.options
            return str(options["output"]), str(options["axis"]), str(options["input"])
    return None


def contexts(bench: Bench, batch: Tensors, output: str, size: int, length: int | None) -> torch.Tensor:
    """Group numbers [size] or [size, length]: positions that see the same inputs have the same number."""
    inputs = forward_inputs(bench, batch)
    causal = causal_axis(bench)
    per_position = causal is not None and causal[0] == output and length is not None
    numbers: dict[Any, int] = {}
    rows = []
    for i in range(size):
        whole = []
        for name in inputs:
            declared = bench.paper.tensors[name]
            if "batch" in declared.axes and not (per_position and causal is not None and name == causal[2]):
                value = batch[name].select(declared.axes.index("batch"), i)
                whole.append((name, tuple(value.reshape(-1).tolist())))
        if not per_position or causal is None or length is None:
            rows.append([numbers.setdefault(tuple(whole), len(numbers))])
            continue
        sequence = batch[causal[2]][i]
        row = []
        for t in range(length):
            seen = tuple(sequence[: t + 1].reshape(-1).tolist())
            row.append(numbers.setdefault((tuple(whole), seen), len(numbers)))
        rows.append(row)
    table = torch.tensor(rows)
    return table if per_position else table[:, 0]


def minimise(bench: Bench, batch: Tensors, outputs: Tensors, groups: dict[str, torch.Tensor] | None) -> float | None:
    """The least total over outputs that are free within their groups; None when there is none (`descends`, no end)."""
    loss = bench.loss()
    free: dict[str, torch.Tensor] = {}
    for name, value in outputs.items():
        if not value.is_floating_point():
            continue
        if groups is None or name not in groups:
            # contiguous, whatever the strides of the output: LBFGS asks for a view of the gradient
            free[name] = torch.zeros(value.shape, dtype=torch.float64).requires_grad_()
        else:
            rest = value.shape[groups[name].dim() :]
            free[name] = torch.zeros((int(groups[name].max()) + 1, *rest), dtype=torch.float64).requires_grad_()

    def total() -> torch.Tensor:
        built = {n: (f[groups[n]] if groups is not None and n in groups else f) for n, f in free.items()}
        return bench.call_loss({**batch, **outputs, **built}, loss)["total"]

    if not descends(list(free.values()), total):
        return None
    optimiser = torch.optim.LBFGS(list(free.values()), max_iter=200, history_size=5, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        value = total()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with bench.precision(torch.float64):
        start = float(total().detach())
        optimiser.step(closure)  # type: ignore[no-untyped-call]
        lowest = float(total().detach())
    # a bounded loss changes by about its own size; one that falls without end (a learned variance) passes any bound
    if not (abs(lowest) < float("inf")) or lowest < start - 1e3 * max(1.0, abs(start)):
        return None
    return lowest


def descends(free: list[torch.Tensor], total: Callable[[], torch.Tensor]) -> bool:
    """Whether the gradient of a loss is that of its value, in one random direction at one random point in float64.

    Where a part is detached on purpose (the advantage of an actor), a step follows the gradient and the value means
    nothing: it has no floor. A loss that falls in no direction at all is another matter, and is left to others.
    """
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in free:
            tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype))
    value = total()
    gradients = torch.autograd.grad(value, free, allow_unused=True) if value.requires_grad else [None] * len(free)
    along = [torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) for tensor in free]
    slope = sum(float((g * a).sum()) for g, a in zip(gradients, along, strict=True) if g is not None)
    values = []
    with torch.no_grad():
        for sign in (1, -2, 1):  # one step ahead, one behind, and back
            for tensor, step in zip(free, along, strict=True):
                tensor.add_(step, alpha=sign * STEP)
            values.append(float(total()))
        for tensor in free:
            tensor.zero_()
    measured = (values[0] - values[1]) / (2 * STEP)
    # a central difference errs by STEP² of the third derivative, and by rounding over STEP
    return slope == 0 or abs(measured - slope) <= 1e-4 * max(abs(measured), abs(slope), 1e-4)


def floor_of(bench: Bench, batch: Tensors) -> Floor:
    """Both floors of a batch. Raises `ComponentError` where the loss cannot be called with free outputs."""
    batch = {k: v.double() if torch.is_tensor(v) and v.is_floating_point() else v for k, v in batch.items()}
    model = bench.model()
    with torch.no_grad():
        outputs = {k: v.double() for k, v in bench.forward(model, batch).items() if torch.is_tensor(v)}
    groups: dict[str, torch.Tensor] = {}
    causal = causal_axis(bench)
    for name, value in outputs.items():
        declared = bench.paper.tensors.get(name)
        if declared is None or not declared.axes or declared.axes[0] != "batch":
            continue
        along = causal is not None and causal[0] == name and len(declared.axes) > 1 and declared.axes[1] == causal[1]
        groups[name] = contexts(bench, batch, name, value.shape[0], value.shape[1] if along else None)
    free = minimise(bench, batch, outputs, None)
    shared = minimise(bench, batch, outputs, groups) if groups else free
    return Floor(free, shared)


def colliding(bench: Bench, batch: Tensors, examples: int) -> Tensors:
    """The batch with its first `examples` made to collide: all get the inputs of the first, except the causal input.

    That one differs after its first position. What comes first is then unknowable, and the floor above the free one.

    Without a declared property `causal` the batch is returned as it is.
    """
    causal = causal_axis(bench)
    if causal is None:
        return batch
    changed = dict(batch)
    for name in forward_inputs(bench, batch):
        if name != causal[2] and "batch" in bench.paper.tensors[name].axes:
            value = batch[name].clone()
            axis = bench.paper.tensors[name].axes.index("batch")
            value.narrow(axis, 0, examples).copy_(value.narrow(axis, 0, 1).expand_as(value.narrow(axis, 0, examples)))
            changed[name] = value
    return changed
