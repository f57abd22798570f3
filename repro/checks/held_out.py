"""A small, fixed piece of a held-out split, handed to the person's `evaluate` in batches of our choosing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from repro.checks.passes import continues
from repro.checks.watch import kept
from repro.contract.bench import Bench, Tensors
from repro.contract.components import parameters_of, takes_model

#: Held-out examples that the checks evaluate: enough for unequal batches, few enough to decode in a second.
EXAMPLES = 6
NO_EXAMPLES = (
    "held-out data cannot be taken apart by examples (it comes from acting, or no tensor declares an axis `batch`)"
)


def size_of(bench: Bench, batch: Tensors) -> int:
    for name, declared in bench.paper.tensors.items():
        if name in batch and "batch" in declared.axes:
            return int(batch[name].shape[declared.axes.index("batch")])
    return 0


@dataclass
class HeldOut:
    """Stands in for the data component: `batches` yields ours; lists with one entry an example are cut to match.

    Everything else is the person's data object. `asked` records the splits that were read, and how far.
    """

    data: Any
    held: list[Tensors]
    first: int  # examples that are held, the first of the split
    whole: int  # examples in the split
    change: Callable[[str], str] | None = None  # applied to every text the data gives
    backwards: bool = False  # lists with one entry an example are turned round, as the batches are
    asked: list[tuple[str, int]] = field(default_factory=list)

    def batches(self, split: str, model: Any = None) -> Iterator[Tensors]:
        self.asked.append((split, 0))
        place = len(self.asked) - 1
        for number, batch in enumerate(self.held, 1):
            self.asked[place] = (split, number)
            yield in_default_precision(batch)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.data, name)
        if name.startswith("__") or not callable(value):
            return self.cut(value)

        def called(*args: Any, **kwargs: Any) -> Any:
            if args and args[0] in ("train", "validation", "test"):
                self.asked.append((args[0], 0))
            return self.cut(value(*args, **kwargs))

        return called

    def cut(self, value: Any) -> Any:
        if isinstance(value, (list, tuple)) and len(value) == self.whole and self.whole > 0:
            value = value[: self.first]
            value = value[::-1] if self.backwards else value
        if self.change is not None:
            if isinstance(value, str):
                return self.change(value)
            if isinstance(value, (list, tuple)) and value and all(isinstance(part, str) for part in value):
                return type(value)(self.change(part) for part in value)
        return value


def held_out(bench: Bench, split: str = "validation", examples: int = EXAMPLES) -> tuple[Tensors, int] | None:
    """(the first `examples` of a split as one batch, examples in the split); None where they cannot be counted."""

    def make() -> tuple[Tensors, int] | None:
        data = bench.data()
        if takes_model(data):
            return None
        first: Tensors | None = None
        whole = 0
        for batch in bench.batches(split, fresh=False):
            n = size_of(bench, batch)
            if n == 0:
                return None
            if first is None:
                first = bench.take(batch, examples)
            whole += n
        return (first, whole) if first is not None else None

    return kept(bench, f"held_out {split} {examples}", make)


def arranged(
    bench: Bench,
    sizes: list[int],
    split: str = "validation",
    change: Callable[[str], str] | None = None,
    start: int = 0,
    backwards: bool = False,
    streams: bool = False,
) -> HeldOut | None:
    """The held-out examples in batches of these sizes, the last example first if `backwards`.

    `streams` cuts the examples instead, each into stretches in these proportions: so are streams batched on which a
    state is carried. None where they are too short.
    """
    found = held_out(bench, split, max(EXAMPLES, sum(sizes)))
    if found is None:
        return None
    batch, whole = found
    if streams:
        pieces = stretches(bench, batch, sizes)
        return HeldOut(bench.data(), pieces, size_of(bench, batch), whole, change) if pieces else None
    if backwards:
        batch = {name: turned(bench, name, value) for name, value in batch.items()}
    n = min(size_of(bench, batch), sum(sizes))
    pieces, place = [], start
    for size in sizes:
        if place < n:
            pieces.append(bench.take(batch, min(size, n - place), place))
            place += size
    return HeldOut(bench.data(), pieces, n, whole, change, backwards)


def stretches(bench: Bench, batch: Tensors, sizes: list[int]) -> list[Tensors]:
    """The batch cut along the axis on which its streams go on, in these proportions; [] where it is too short."""
    found = continues(bench)
    declared = bench.paper.tensors[found[0]].axes if found else ()
    axis = next((axis for axis in declared if axis != "batch"), None)
    if found is None or axis is None:
        return []
    length = batch[found[0]].shape[declared.index(axis)]
    ends = [length * sum(sizes[: i + 1]) // sum(sizes) for i in range(len(sizes))]
    starts = [0, *ends[:-1]]
    if any(a == b for a, b in zip(starts, ends, strict=True)):
        return []

    def cut(name: str, value: torch.Tensor, a: int, b: int) -> torch.Tensor:
        axes = bench.paper.tensors[name].axes if name in bench.paper.tensors else ()
        return value.narrow(axes.index(axis), a, b - a).contiguous() if axis in axes else value

    return [{n: cut(n, v, a, b) for n, v in batch.items()} for a, b in zip(starts, ends, strict=True)]


def turned(bench: Bench, name: str, value: torch.Tensor) -> torch.Tensor:
    """The tensor with its examples in the opposite order."""
    declared = bench.paper.tensors.get(name)
    return value if declared is None or "batch" not in declared.axes else value.flip(declared.axes.index("batch"))


def target_pair(bench: Bench, batch: Tensors) -> tuple[str, str] | None:
    """(output, target): an integer tensor that indexes the last axis of an output, and is no input of the model."""
    inputs = parameters_of(next(iter(bench.modules(bench.model()).values())).forward)
    for output in bench.paper.tensors.values():
        if output.output_of is None or not output.axes:
            continue
        for target in bench.paper.tensors.values():
            if (
                target.output_of is None
                and target.name in batch
                and target.name not in inputs
                and target.indexes == output.axes[-1]
                and target.axes == output.axes[:-1]
            ):
                return output.name, target.name
    return None


@dataclass
class InPrecision:
    """Stands in for the data component: its batches in the precision of the model that is evaluated."""

    data: Any

    def batches(self, *args: Any, **kwargs: Any) -> Iterator[Tensors]:
        for batch in self.data.batches(*args, **kwargs):
            yield in_default_precision(batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.data, name)


def in_default_precision(batch: Mapping[str, Any]) -> Tensors:
    """The batch with floating tensors in PyTorch's default dtype, which the caller set to the model's."""
    dtype = torch.get_default_dtype()
    return {
        name: value.to(dtype) if torch.is_tensor(value) and value.is_floating_point() else value
        for name, value in batch.items()
    }


def evaluated(bench: Bench, model: Any, data: Any, split: str = "validation") -> dict[str, float]:
    """The person's metrics in the bench's precision; global random state starts from the bench's seed."""
    torch.manual_seed(bench.seed)
    # a model that acts has made its data in its own precision
    given = data if isinstance(data, HeldOut) or takes_model(bench.data()) else InPrecision(data)
    with bench.precision():
        return bench.evaluate(model, split, data=given)


def evaluated_once(bench: Bench) -> dict[str, float] | None:
    """The metrics of an untrained model on the held-out examples in one batch; shared, None where there are none."""

    def make() -> dict[str, float] | None:
        data = arranged(bench, [EXAMPLES])
        return evaluated(bench, bench.model(), data) if data is not None else None

    return kept(bench, "evaluated once", make)
