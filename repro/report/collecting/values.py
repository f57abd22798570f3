"""Values as JSON and YAML hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from repro.tracking.files import decode_number


def number(value: Any) -> float | None:
    """A float from JSON, where non-finite values are strings; None stays None."""
    value = decode_number(value)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def whole(value: Any) -> int | None:
    amount = number(value)
    return int(amount) if amount is not None and math.isfinite(amount) else None


def pair(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return None
    low, high = number(value[0]), number(value[1])
    return None if low is None or high is None else (low, high)


def section(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = config.get(key)
    return value if isinstance(value, Mapping) else {}
