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


def changed_in_place(bench: Bench) -> str:
    """Where a pass over training writes into the examples that the data object keeps: "splits.train.0", "" if nowhere.

    Orders have one axis, and are left out: they may change.
    """
    data = bench.data(fresh=True)
    kept = {place: digest(array) for place, array in stored_arrays(vars(data))}
    for _ in islice(stream(bench, data, "train"), 3):
        pass
    return next((place for place, array in stored_arrays(vars(data)) if kept.get(place, b"") != digest(array)), "")


def stored_arrays(value: Any, place: str = "", depth: int = 4) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays of two axes or more that an object of data holds in its attributes, lists, dicts and tuples."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        if value.ndim > 1 and value.dtype != object:
            yield place, value
    elif depth and isinstance(value, (dict, list, tuple)):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for name, part in islice(parts, 100):
            yield from stored_arrays(part, f"{place}.{name}".lstrip("."), depth - 1)
    elif depth and is_dataclass(value) and not isinstance(value, type):
        yield from stored_arrays(vars(value), place, depth - 1)


def digest(array: np.ndarray) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()
