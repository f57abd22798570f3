"""How numbers are written: one digit more than the paper prints, U+2212 for minus, commas for thousands."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

MINUS = "\u2212"
MANTISSA = re.compile(r"[-\u2212+]?\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True)
class Style:
    """How the paper writes a number: "65 M" is 65 times 1e6 with no decimals and the suffix " M".

    Values of the same row are divided by `scale`, rounded, and get the same suffix.
    """

    decimals: int = 2
    scale: float = 1.0
    suffix: str = ""

    @classmethod
    def of(cls, printed: str, number: float | None) -> Style:
        """Read the style from the printed text and the number that it stands for.

        What follows a ± is a spread, not a unit, and is dropped. A text without a number, or a number that is not
        finite, gives two decimals.
        """
        found = MANTISSA.search(printed)
        if found is None or number is None or not math.isfinite(number):
            return cls()
        mantissa = float(found.group().replace(",", "").replace(MINUS, "-"))
        decimals = len(found.group().partition(".")[2])
        suffix = re.split("±|\\+/-|\\+-", printed[found.end() :])[0].rstrip()
        scale = number / mantissa if mantissa and number else 1.0
        if math.isclose(scale, 1.0, rel_tol=1e-9):
            scale = 1.0
        # 82 % printed as 0.82, 6.99e-4, 65 × 10^6: powers of ten only, so that rounding never changes the number
        elif not math.isclose(math.log10(abs(scale)), round(math.log10(abs(scale))), abs_tol=1e-9):
            return cls(decimals=decimals)
        return cls(decimals, scale, suffix)

    def show(self, value: float | None, more: int = 1, sign: bool = False, suffix: bool = True) -> str:
        """`value` with `more` digits than the paper prints."""
        if value is None:
            return "–"
        text = decimal(value / self.scale, self.decimals + more, sign)
        return text + (self.suffix if suffix and math.isfinite(value) else "")


def decimal(value: float, decimals: int, sign: bool = False) -> str:
    """A fixed-point number; non-finite values are named, a rounded zero has no sign, the huge get an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value and (abs(value) >= 1e9 or (abs(value) < 10.0**-decimals / 2 and abs(value) < 1e-3)):
        text = f"{value:.2e}".replace("e+", "e").replace("e-0", "e-").replace("e0", "e")
    else:
        text = f"{value:,.{decimals}f}"
    if not any(digit in text for digit in "123456789"):
        return text.lstrip("-")
    if text.startswith("-"):
        return MINUS + text[1:]
    return f"+{text}" if sign else text


def significant(value: float | None, digits: int = 3) -> str:
    """A number of unknown scale, for axes and tables of trajectories; scientific outside 1e-3 … 1e6."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return decimal(value, 0)
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6 or size < 1e-3:
        text = f"{value:.{digits - 1}e}"
        mantissa, _, exponent = text.partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}e{int(exponent)}"
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    text = f"{value:,.{decimals}f}"
    return text.replace("-", MINUS)


def count(number: int) -> str:
    return f"{number:,}"


def plural(number: int, noun: str, many: str = "") -> str:
    return f"{count(number)} {noun if number == 1 else many or noun + 's'}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: 0.4 s, 12 s, 3 min 20 s, 2 h 26 min, 3 d 4 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    hours, rest = divmod(round(whole / 60), 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def percent(level: float) -> str:
    """A level such as 0.95 as "95 %", with as many digits as it needs."""
    return f"{round(level * 100, 2):g} %"


def p_value(p: float) -> str:
    return "p < 0.01" if p < 0.01 else f"p = {p:.2f}"
