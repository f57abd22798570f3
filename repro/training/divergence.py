"""Finds the first update whose loss was not finite, looking only when values are read anyway (no sync an update)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from repro.errors import DivergedError


def number(value: Any) -> float:
    """A scalar, on whatever device and with or without a graph, as a float."""
    return float(value.detach().item()) if isinstance(value, torch.Tensor) else float(value)


def watched(values: Mapping[str, Any]) -> list[str]:
    """The values that must stay finite: the totals; where none is called so, the losses."""
    totals = [name for name in values if name == "total" or name.endswith((".total", "/total", "_total"))]
    return totals or [name for name in values if "loss" in name]


class FiniteWatch:
    """Collects the totals of a stretch of updates, still on their device; `first` reads them with one transfer."""

    def __init__(self) -> None:
        self._names: list[str] | None = None
        self._seen: list[tuple[int, Mapping[str, Any]]] = []

    def note(self, update: int, values: Mapping[str, Any]) -> None:
        if self._names is None:
            self._names = watched(values)
        kept = {}
        for name, value in values.items():
            # a value with its graph would keep every activation of the update alive
            kept[name] = value.detach() if isinstance(value, torch.Tensor) and value.requires_grad else value
        self._seen.append((update, kept))

    def first(self) -> tuple[int, Mapping[str, Any]] | None:
        """The first update noted since the last call whose total was not finite, with its values; None if all were."""
        seen, self._seen = self._seen, []
        names = self._names or []
        tensors = [v[n].reshape(()) for _, v in seen for n in names if isinstance(v.get(n), torch.Tensor)]
        if len({t.dtype for t in tensors}) > 1:
            tensors = [t.to(torch.float64) for t in tensors]  # stacked, a large integer could overflow a half
        # one transfer decides the common case
        finite = not tensors or bool(torch.isfinite(torch.stack(tensors)).all())
        numbers = [v[n] for _, v in seen for n in names if isinstance(v.get(n), int | float)]
        if finite and all(map(math.isfinite, numbers)):
            return None
        return next((update, v) for update, v in seen if any(not _is_finite(v[n]) for n in names if n in v))


def diverged(process: str, update: int, updates: int, values: Mapping[str, Any]) -> DivergedError:
    """The error for an update whose total was not finite: names the terms that were not."""
    bad = [name for name, value in values.items() if not _is_finite(value)]
    causes = [name for name in bad if name not in watched(values)]
    terms = f"; not finite too: {', '.join(causes)}" if causes else ""
    total = next(name for name in watched(values) if name in bad)
    return DivergedError(
        f"{process}: {total} became {number(values[total]):g} at update {update:,} of {updates:,}{terms}.",
        "Trace it to the first module and tensor with the gauntlet's check of NaN and explosion; the likeliest causes"
        " are a learning rate that is too high, a division by zero or the logarithm of zero in the loss, and a row of"
        " attention that is masked entirely.",
    )


def _is_finite(value: Any) -> bool:
    return math.isfinite(number(value))
