"""Inputs for checks: batches changed where it must matter, or where it must not, as the declared tensors allow."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from repro.arithmetic import evaluate
from repro.contract.bench import Bench
from repro.contract.components import locate, location_of, parameters_of
from repro.contract.declarations import TensorDeclaration
from repro.contract.sizes import flat as flat
from repro.contract.sizes import known_sizes as sizes_of

Tensors = dict[str, Tensor]


def known_sizes(bench: Bench, *tensor_sets: Mapping[str, Tensor]) -> dict[str, int]:
    """Sizes of named axes: whole numbers of that name in the config, then those of the tensors at hand."""
    return sizes_of(bench.paper, *tensor_sets)


def index_size(declaration: TensorDeclaration, sizes: Mapping[str, int]) -> int | None:
    """How many values an integer tensor may take: the size that `indexes` names, or its declared range."""
    if declaration.indexes is not None and str(declaration.indexes) in sizes:
        return sizes[str(declaration.indexes)]
    if declaration.range is not None:
        return int(declaration.range[1]) + 1
    return None


def other_values(
    bench: Bench, declaration: TensorDeclaration, value: Tensor, sizes: Mapping[str, int], seed: int
) -> Tensor:
    """Valid values that differ from `value` everywhere and are never padding: what a perturbed place is filled with."""
    generator = torch.Generator().manual_seed(seed)
    if value.dtype == torch.bool:
        return ~value
    if value.is_floating_point():
        noise = torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value.dtype)
        spread = value.std() if value.numel() > 1 else torch.ones((), dtype=value.dtype)
        changed = value + noise * spread.clamp_min(1e-3)
        if declaration.range is not None:
            low, high = declaration.range
            uniform = torch.rand(value.shape, generator=generator, dtype=torch.float64).to(value.dtype)
            changed = low + (high - low) * uniform
        return changed
    size = index_size(declaration, sizes)
    low = int(declaration.range[0]) if declaration.range is not None and declaration.indexes is None else 0
    pool = torch.arange(low, size) if size is not None else torch.unique(value)
    if declaration.padding is not None:
        pool = pool[pool != declaration.padding]
    if len(pool) < 2:
        return value.clone()
    # index of the present value in the pool, moved by 1 … len - 1 places: always another one
    present = torch.searchsorted(pool, value.clamp(pool[0], pool[-1]).contiguous())
    shift = torch.randint(1, len(pool), value.shape, generator=generator)
    return pool[(present + shift) % len(pool)].to(value.dtype)


def real_places(bench: Bench, batch: Mapping[str, Tensor], name: str) -> Tensor:
    """Boolean, shaped like the tensor: true where it is not padding."""
    declaration, value = bench.paper.tensors[name], batch[name]
    if declaration.padding is None:
        return torch.ones_like(value, dtype=torch.bool)
    return value != declaration.padding


def real_output(bench: Bench, batch: Mapping[str, Tensor], declaration: TensorDeclaration, shape: torch.Size) -> Tensor:
    """Boolean of `shape` for an output: true where no axis of it stands at padding of an input with that axis."""
    real = torch.ones(shape, dtype=torch.bool)
    for name in forward_inputs(bench, batch):
        source = bench.paper.tensors.get(name)
        if source is None or source.padding is None:
            continue
        shared = [axis for axis in source.axes if axis in declaration.axes]
        if len(shared) != len(source.axes) or len(shared) < 2 or batch[name].dim() != len(source.axes):
            continue
        places = real_places(bench, batch, name)
        order = [declaration.axes.index(axis) for axis in source.axes]
        view = [1] * len(shape)
        for axis, size in zip(order, places.shape, strict=True):
            view[axis] = size
        if any(size not in (1, shape[axis]) for axis, size in enumerate(view)):
            continue
        if order == sorted(order):
            real &= places.reshape(view)
    return real


def split_masks(bench: Bench) -> list[str]:
    """The mask tensors that say which places train, validate and test, the training one first; [] for other splits."""
    splits = bench.paper.settings.get("splits") or {}
    return [str(name) for name in splits.get("tensors") or ()] if splits.get("by") == "mask" else []


def forward_inputs(bench: Bench, batch: Mapping[str, Tensor]) -> list[str]:
    """The batch tensors that the forward of any module of the model takes."""
    taken: set[str] = set()
    for key, path in bench.paper.targets().items():
        if key == "model" or key.startswith("model."):
            target = locate(path, f"{key}._target_")
            taken |= set(parameters_of(getattr(target, "forward", target)))
    return [name for name in batch if name in taken]


def loss_inputs(bench: Bench) -> list[str]:
    """The names that the loss (or any of several) takes."""
    loss = bench.loss()
    found: list[str] = []
    for target in loss.values() if isinstance(loss, dict) else [loss]:
        found += [name for name in parameters_of(target) if name in bench.paper.tensors and name not in found]
    return found


def model_sizes(bench: Bench, names: Mapping[str, str | float] | None = None) -> dict[str, float]:
    """The numbers of the model's config by name, for an expression of a property; a text such as `norm: pre` counts as
    `norm_pre` = 1. `names` gives those that the config leaves null or does not have, as numbers or expressions.
    """
    given: dict[str, float] = {}
    for key, value in flat(bench.paper.settings.get("model") or {}).items():
        if isinstance(value, (int, float)):
            given[key] = value
        elif isinstance(value, str) and key != "_target_":
            given[f"{key}_{value}"] = 1
    for key, default in (names or {}).items():
        if key not in given:
            given[key] = float(evaluate(str(default), given))
    return given


def summed_over(bench: Bench, batch: Mapping[str, Tensor]) -> dict[str, int]:
    """What a sum over the batch may be over, and how many there are: examples, or entries of a tensor of the batch with
    or without its padding. A mean divides by one of these.
    """
    counts: dict[str, int] = {}
    for name, value in batch.items():
        declared = bench.paper.tensors.get(name)
        if declared is None or "batch" not in declared.axes:
            continue
        counts.setdefault("examples", value.shape[declared.axes.index("batch")])
        counts[f"entries of {name}"] = value.numel()
        if declared.padding is not None:
            counts[f"entries of {name} that are not padding"] = int(real_places(bench, batch, name).sum())
    return counts


def with_padding(bench: Bench, batch: Mapping[str, Tensor], axis: str, extra: int) -> Tensors:
    """The batch with `extra` places of padding behind the named axis of every tensor that has it."""
    longer = dict(batch)
    for name, value in batch.items():
        declaration = bench.paper.tensors.get(name)
        if declaration is None or axis not in declaration.axes or value.dim() != len(declaration.axes):
            continue
        fill = declaration.padding if declaration.padding is not None else 0
        shape = list(value.shape)
        shape[declaration.axes.index(axis)] = extra
        longer[name] = torch.cat([value, value.new_full(shape, fill)], dim=declaration.axes.index(axis))
    return longer


def cut(bench: Bench, batch: Tensors, axis: str, length: int) -> Tensors:
    """Every tensor with this axis, cut to `length`."""
    shorter = dict(batch)
    for name, value in batch.items():
        declaration = bench.paper.tensors.get(name)
        if declaration is not None and axis in declaration.axes:
            shorter[name] = value.narrow(declaration.axes.index(axis), 0, length).contiguous()  # code may call view
    return shorter


def component_location(bench: Bench, key: str) -> str:
    """Where the class or function of a component or piece ("model", "pieces.attention") is defined."""
    targets = bench.paper.targets()
    found = next((name for name in targets if name == key or name.startswith(f"{key}.")), None)
    return location_of(locate(targets[found], found)) if found else ""
