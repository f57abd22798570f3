"""Learning-rate schedules as closed forms of the update, in plain float64 arithmetic. `step` counts updates from 1."""

from __future__ import annotations

import math
from collections.abc import Sequence


def inverse_square_root(step: int, width: int, warmup_steps: int) -> float:
    """d_model^-0.5 · min(step^-0.5, step · warmup_steps^-1.5): Vaswani et al. 2017, equation 3."""
    if step < 1:
        raise ValueError(f"step is {step}; updates count from 1")
    return width**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)


def milestones(step: int, base: float, at: Sequence[int], factor: float = 0.1) -> float:
    """`base` times `factor` for each milestone passed; the update after milestone m is the first with the lower rate.

    He et al. 2015, section 4.2: divided by 10 at 32k and 48k iterations.
    """
    return base * factor ** sum(step > m for m in at)


def cosine(step: int, base: float, updates: int, floor: float = 0.0) -> float:
    """Half a cosine from `base` at the first update to `floor` after the last (Loshchilov & Hutter 2017, eq. 5)."""
    return floor + (base - floor) * 0.5 * (1 + math.cos(math.pi * (step - 1) / updates))


def linear(step: int, base: float, updates: int, end: float = 0.0) -> float:
    """Straight from `base` at the first update towards `end` after the last (Schulman et al. 2017, annealed PPO)."""
    return base + (end - base) * (step - 1) / updates


def warm_up(step: int, peak: float, warmup_steps: int) -> float:
    """peak · step / warmup_steps up to the peak, constant after it; the first update has a rate above 0."""
    return peak * min(1.0, step / warmup_steps)
