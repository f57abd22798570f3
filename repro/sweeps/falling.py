"""Does a logged loss fall, more than its noise explains? Pure functions on a list of losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CLEARLY = 5.0  # standard errors: one false "falls" in three million, for normal noise


@dataclass(frozen=True)
class Fall:
    """A training loss from its first to its last values.

    `initial` and `final` are means over the first and last window, `noise` is the standard deviation of one logged loss
    around its trend, `standard_error` that of `drop` = initial − final. `falls` when the drop is larger than 5 standard
    errors; never for a series with a value that is not finite, or too short to tell noise from trend (4 values).
    """

    initial: float
    final: float
    drop: float
    noise: float
    standard_error: float
    falls: bool


def fall(losses: Sequence[float]) -> Fall:
    """The fall of `losses`, one for each update or logged row, in order.

    Noise comes from second differences x[i−1] − 2 x[i] + x[i+1], whose variance is 6 σ² for independent noise: a linear
    trend cancels, a curved one makes the noise look larger and the answer more cautious. Windows: the first tenth, in
    which the loss has hardly moved, and the last fifth; at least one value each.
    """
    n = len(losses)
    nothing = math.nan
    if n == 0:
        return Fall(nothing, nothing, nothing, nothing, nothing, False)
    first, last = max(1, n // 10), max(1, n // 5)
    initial = math.fsum(losses[:first]) / first
    final = math.fsum(losses[-last:]) / last
    if n < 4 or not all(map(math.isfinite, losses)):
        return Fall(initial, final, initial - final, nothing, nothing, False)
    second = [a - 2 * b + c for a, b, c in zip(losses, losses[1:], losses[2:], strict=False)]
    noise = math.sqrt(math.fsum(d * d for d in second) / (6 * len(second)))
    error = noise * math.sqrt(1 / first + 1 / last)
    drop = initial - final
    return Fall(initial, final, drop, noise, error, drop > CLEARLY * error)
