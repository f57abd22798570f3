"""A number as a paper prints it: its digits say how far it was rounded.

"27.3" stands for anything in 27.25 … 27.35, "3.3e18" for 3.25e18 … 3.35e18, "65" for 64.5 … 65.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

NUMBER = re.compile(r"[-+−]?(\d[\d,_]*\.?\d*|\.\d+)([eE][-+−]?\d{1,4})?")


@dataclass(frozen=True)
class Printed:
    """A printed number. `text` as printed; `half_width` overrides what the digits say ("about 37000")."""

    text: str
    half_width: float = float("nan")

    def __post_init__(self) -> None:
        if not is_number(self.text):
            raise ValueError(f"{self.text!r} is not a number")
        if self.half_width != self.half_width:
            object.__setattr__(self, "half_width", rounding_half_width(self.text))

    @property
    def number(self) -> float:
        """The printed number itself."""
        return float(decimal(self.text))

    @property
    def interval(self) -> tuple[float, float]:
        """What rounds to the printed number: number ± half_width."""
        return self.number - self.half_width, self.number + self.half_width

    def agrees(self, value: float) -> bool:
        """Whether `value` rounds to the printed number; the two borders count as rounding to it."""
        # a few units in the last place: 27.25 must lie in 27.3 ± 0.05 although 27.3 − 0.05 is 27.250000000000004
        slack = 1e-12 * max(abs(value), abs(self.number))
        return abs(value - self.number) <= self.half_width + slack


def is_number(text: str) -> bool:
    """Whether `text` is a finite decimal number as papers print it; thousands may be set off with commas."""
    return bool(NUMBER.fullmatch(text.strip()))


def decimal(text: str) -> Decimal:
    """The exact value of a printed number."""
    return Decimal(text.strip().replace(",", "").replace("_", "").replace("−", "-"))


def rounding_half_width(text: str) -> float:
    """Half of the last printed digit: "27.30" → 0.005, "65" → 0.5, "3.3e18" → 5e16."""
    exponent = decimal(text).as_tuple().exponent
    assert isinstance(exponent, int)  # finite by NUMBER
    return float(Decimal(5).scaleb(exponent - 1))
