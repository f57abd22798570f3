"""Where a number lies on a chart: symmetric axes around the paper's number, linear and logarithmic scales."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

STEPS = {1.0: 0.5, 2.0: 1.0, 3.0: 1.0, 6.0: 2.0}  # half range → distance of ticks


@dataclass(frozen=True)
class Symmetric:
    """Differences from the paper's number: −half … +half, zero in the middle; positions in per cent of the width."""

    half: float
    step: float

    @classmethod
    def holding(cls, extents: Iterable[float], widest_band: float = 0.0) -> Symmetric:
        """The smallest of 1, 2, 3, 6, 10, 20 … that holds every extent, but at most three times the widest band.

        Values that are not finite are ignored; nothing to hold gives ±1.
        """
        largest = max((abs(value) for value in extents if math.isfinite(value)), default=0.0)
        largest = max(largest, widest_band)
        if widest_band:
            largest = min(largest, 3 * widest_band)
        if not largest:
            return cls(1.0, 0.5)
        power = math.floor(math.log10(largest))
        for exponent in (power, power + 1):
            for half, step in STEPS.items():
                if half * 10.0**exponent >= largest * (1 - 1e-9):
                    return cls(half * 10.0**exponent, step * 10.0**exponent)
        return cls(10.0 ** (power + 2), 5.0 * 10.0 ** (power + 1))

    def ticks(self) -> list[float]:
        count = round(self.half / self.step)
        return [place * self.step for place in range(-count, count + 1)]

    def decimals(self) -> int:
        return max(0, -math.floor(math.log10(self.step) + 1e-9)) if self.step else 0

    def at(self, value: float) -> float:
        """Per cent from the left; beyond the ends it stays at the end (the caller says so)."""
        return 50 + 50 * min(1.0, max(-1.0, value / self.half))

    def beyond(self, value: float) -> int:
        """−1 left of the axis, 1 right of it, 0 on it."""
        return (value > self.half * (1 + 1e-9)) - (value < -self.half * (1 + 1e-9))


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`, `at` gives the share of its length, with `ticks` inside it."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    @classmethod
    def linear(cls, values: Iterable[float], most: int = 5) -> Scale:
        """Round ticks around all finite values; a single value gets room on both sides."""
        finite = [value for value in values if math.isfinite(value)]
        low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
        if math.isclose(low, high, rel_tol=1e-9, abs_tol=1e-300):
            spread = abs(low) * 0.1 or 1.0
            low, high = low - spread, high + spread
        raw = (high - low) / most
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= raw * (1 - 1e-9))
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        ticks = tuple(place * step for place in range(first, last + 1))
        return cls(ticks[0], ticks[-1], ticks)

    @classmethod
    def logarithmic(cls, values: Iterable[float]) -> Scale:
        """Powers of ten; 2 and 5 between them where less than two powers fit. Values must be positive where finite."""
        finite = [value for value in values if math.isfinite(value) and value > 0]
        low, high = (min(finite), max(finite)) if finite else (0.1, 1.0)
        low, high = low / 1.08, high * 1.08
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        sizes: tuple[int, ...] = (1,) if math.log10(high / low) > 2.2 else (1, 2, 5)
        every = max(1, round((last - first) / 6)) if len(sizes) == 1 else 1
        ticks = [size * 10.0**power for power in range(first, last + 1, every) for size in sizes]
        inside = tuple(tick for tick in ticks if low <= tick <= high)
        return cls(low, high, inside, log=True)

    @classmethod
    def span(cls, low: float, high: float, most: int = 4) -> Scale:
        """Exactly `low` to `high`, for updates: round ticks inside, the ends not widened."""
        if not high > low:
            return cls(low, low + 1.0, (low,))
        wide = cls.linear((low, high), most)
        return cls(low, high, tuple(tick for tick in wide.ticks if low <= tick <= high))

    def at(self, value: float) -> float:
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low) if value > 0 else 0.0
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, share))
