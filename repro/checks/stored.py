"""Whether reading a data object writes into the examples that it keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import is_dataclass
from itertools import islice
from typing import Any

import numpy as np
from torch import Tensor

from repro.checks.passes import stream
from repro.contract.bench import Bench

EXAMPLES = 5_000  # of a list, that are looked at


def changed_in_place(bench: Bench) -> str:
    """Where a pass over training writes into the examples that the data object keeps: "splits.train.0", "" if nowhere.

    Seen is what was kept before the pass, at its own place in memory: an attribute may be given anew, and an order,
    which has one axis, may be drawn anew.
    """
    data = bench.data(fresh=True)
    kept = [(place, value, digest(value)) for place, value in stored(vars(data))]
    for _ in islice(stream(bench, data, "train"), 3):
        pass
    return next((place for place, value, before in kept if digest(value) != before), "")


def stored(value: Any, place: str = "", depth: int = 5) -> Iterator[tuple[str, Any]]:
    """Arrays of two axes or more, and lists of numbers within other lists, of the attributes of an object of data."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()  # of a tensor in memory, the same memory
    if isinstance(value, np.ndarray):
        if value.ndim > 1 and value.dtype != object:
            yield place, value
    elif isinstance(value, list) and value and depth < 4 and all(isinstance(part, (int, float)) for part in value):
        yield place, value
    elif depth and isinstance(value, (dict, list, tuple)):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for name, part in islice(parts, EXAMPLES):
            yield from stored(part, f"{place}.{name}".lstrip("."), depth - 1)
    elif depth and is_dataclass(value) and not isinstance(value, type):
        yield from stored(vars(value), place, depth - 1)


def digest(value: Any) -> bytes:
    """Of a list without its order: a list that is shuffled in place holds what it held."""
    if isinstance(value, list):
        return hashlib.sha256(repr(sorted(value)).encode()).digest()
    return hashlib.sha256(np.ascontiguousarray(value).tobytes()).digest()
