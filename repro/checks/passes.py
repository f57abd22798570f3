"""Passes over the data, read once and kept as fingerprints of examples, for the checks that audit data."""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, pairwise, product
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from repro.contract.bench import Bench
from repro.contract.components import persons_errors, takes_model

SECONDS = 6.0  # of reading one pass; what is left unread is said in the message

SPLITS = ("train", "validation", "test")
CACHE: WeakKeyDictionary[Bench, dict[Any, Any]] = WeakKeyDictionary()


@dataclass
class Pass:
    """One pass over a split: the fingerprint of each tensor of each example, padding stripped, in order."""

    names: tuple[str, ...] = ()
    examples: list[tuple[bytes, ...]] = field(default_factory=list)
    batches: int = 0
    complete: bool = True

    def column(self, name: str) -> list[bytes]:
        return [example[self.names.index(name)] for example in self.examples]

    @property
    def said(self) -> str:
        return f"{len(self.examples):,} examples" + ("" if self.complete else f" (reading stopped after {SECONDS:g} s)")


def stream(bench: Bench, data: Any, split: str) -> Iterator[Mapping[str, Tensor]]:
    """Batches of one pass; a data component that acts gets a fresh model."""
    with persons_errors(f"data: batches({split!r}) raised"):
        if takes_model(data):
            # it acts in the precision that it has outside of a check: the person's environment gives float32
            batches = data.batches(split, model=bench.model(dtype=torch.float32))
        else:
            batches = data.batches(split)
        for batch in batches:
            yield bench.named(batch, f"batches({split!r}) yields")


def needs_acting(bench: Bench) -> bool:
    """Whether the data come from acting, so that two passes are two experiences, not two readings."""
    return takes_model(bench.data())


def passes(bench: Bench, split: str, count: int = 1) -> list[Pass]:
    """The first `count` passes over a split by one data object, read once for a bench."""
    cache = CACHE.setdefault(bench, {})
    data = cache.setdefault(("data", split), bench.data(fresh=True))
    kept: list[Pass] = cache.setdefault(("passes", split), [])
    while len(kept) < count:
        kept.append(read(bench, data, split))
    return kept[:count]


def passes_of_seed(bench: Bench, split: str, seed: int) -> Pass:
    """One pass over a split by a data object of another seed."""
    cache = CACHE.setdefault(bench, {})
    key = ("seed", split, seed)
    if key not in cache:
        cache[key] = read(bench, bench.paper.build_data(seed), split)
    found: Pass = cache[key]
    return found


def read(bench: Bench, data: Any, split: str) -> Pass:
    result = Pass()
    start = time.perf_counter()
    for batch in stream(bench, data, split):
        if time.perf_counter() - start > SECONDS:
            result.complete = False
            break
        result.names = result.names or tuple(name for name in batch if not is_noise(bench, name))
        lengths = shared_lengths(bench, batch)
        columns = [fingerprints(bench, name, batch[name], lengths) for name in result.names if name in batch]
        length = max(map(len, columns), default=0)
        if all(len(column) == length for column in columns):
            result.examples += zip(*columns, strict=True)
        result.batches += 1
    return result


def continues(bench: Bench) -> tuple[str, str] | None:
    """The (later, earlier) tensors of a training set that is read as parallel streams: in every row, `later` of a batch
    starts with what `earlier` of the batch before ends with. None for any other.

    So are the stretches of a text on which a state is carried from batch to batch. By chance it happens with the
    probability that two places agree, to the power of the rows compared; a billionth is asked for.
    """
    cache = CACHE.setdefault(bench, {})
    if "continues" not in cache:
        cache["continues"] = None if needs_acting(bench) else find_streams(bench)
    found: tuple[str, str] | None = cache["continues"]
    return found


def find_streams(bench: Bench, batches: int = 20) -> tuple[str, str] | None:
    read = [dict(batch) for batch in islice(stream(bench, bench.data(fresh=True), "train"), batches)]
    sequences = {
        name: (declared.axes.index("batch"), next(i for i, axis in enumerate(declared.axes) if axis != "batch"))
        for name, declared in bench.paper.tensors.items()
        if read and isinstance(read[0].get(name), Tensor) and "batch" in declared.axes and len(declared.axes) >= 2
    }
    for later, earlier in product(sequences, sequences):
        log_chance = 0.0
        for before, after in pairwise(read):
            (rows, time_axis), (other_rows, other_time) = sequences[earlier], sequences[later]
            ends, starts = before[earlier], after[later]
            if ends.dim() <= max(rows, time_axis) or starts.dim() <= max(other_rows, other_time):
                return None
            ends = ends.movedim(rows, 0).select(time_axis + (rows > time_axis), -1)
            starts = starts.movedim(other_rows, 0).select(other_time + (other_rows > other_time), 0)
            if ends.shape != starts.shape or not torch.equal(ends, starts):
                break
            counts = Counter(short(row.numpy().tobytes()) for row in starts.cpu())
            alike = sum((count / len(starts)) ** 2 for count in counts.values())
            log_chance += len(starts) * math.log10(max(alike, 1e-3)) if alike < 1 else 0.0
        else:
            if log_chance < -9:
                return later, earlier
    return None


def is_noise(bench: Bench, name: str) -> bool:
    """Whether a tensor is declared random: it belongs to no example."""
    declaration = bench.paper.tensors.get(name)
    return declaration is not None and declaration.random is not None


def shared_lengths(bench: Bench, batch: Mapping[str, Tensor]) -> dict[tuple[str | int, ...], np.ndarray]:
    """Used length of each row, the least of all padded tensors with the same axes.

    A target cut as y[:, :-1] keeps its end marker in all rows but the longest, where the target to predict has only
    padding: what stands there depends on the batch and is never used.
    """
    lengths: dict[tuple[str | int, ...], np.ndarray] = {}
    for name, value in batch.items():
        declaration = bench.paper.tensors.get(name)
        if declaration is None or declaration.padding is None or value.dim() != 2 or declaration.axes[0] != "batch":
            continue
        if declaration.padding < 0:  # marks what does not count, such as words that are not hidden, anywhere
            continue
        own = used_lengths((value != declaration.padding).cpu().numpy())
        before = lengths.get(declaration.axes)
        lengths[declaration.axes] = own if before is None or len(before) != len(own) else np.minimum(own, before)
    return lengths


def fingerprints(
    bench: Bench, name: str, value: Tensor, lengths: Mapping[tuple[str | int, ...], np.ndarray]
) -> list[bytes]:
    """A fingerprint of each example's part of a tensor: its values without what stands at padding."""
    declaration = bench.paper.tensors.get(name)
    if declaration is None or "batch" not in declaration.axes or value.dim() != len(declaration.axes):
        return []
    rows = value.detach().cpu().movedim(declaration.axes.index("batch"), 0)
    array = np.ascontiguousarray(rows.numpy())
    if (used := lengths.get(declaration.axes)) is not None and len(used) == len(array):
        # its own padding, or that of a tensor beside it: the tag of a word that is none
        return [short(row[:length].tobytes()) for row, length in zip(array, used, strict=True)]
    return [short(row.tobytes()) for row in array]


def short(content: bytes) -> bytes:
    return content if len(content) <= 32 else hashlib.blake2b(content, digest_size=16).digest()


def used_lengths(real: np.ndarray) -> np.ndarray:
    """For each row of a boolean [n, length], one more than the last true place."""
    places = np.arange(1, real.shape[1] + 1)
    return np.asarray((real * places).max(axis=1, initial=0))
