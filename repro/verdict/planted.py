"""Planted gaps with a known cause, and how often attribution ranks that cause first: what its worth is measured by.

A world has PARTS switches with true effects and seeds with noise of sd 1, half of whose variance two runs of one seed
share. Our run lacks one thing, which makes the gap. The other switches are decoys: one has an effect of exactly
others · gap, in the gap's direction; one has WIDE times the noise; the effects of the rest lie anywhere up to that
size, in either direction. A decoy as large as the gap cannot be told from the cause by anybody, so there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repro.verdict.attribution import Attribution, Switch, attribute

PARTS = 6
SHARED = 0.5
WIDE = 4.0
#: How a cause can hide. "absent" is the world whose cause is not among the candidates.
CASES = ("deviation", "missing part", "half a part", "absent")


@dataclass(frozen=True)
class Found:
    """Rates over worlds: the true cause ranked first ("absent": "nothing explains it" said), and called the cause."""

    first: float
    explained: float


def world(case: str, seeds: int, gap: float, others: float, generator: np.random.Generator) -> tuple[Attribution, str]:
    """One world of a case: its attribution, and the label of the true cause ("" if it is not among the candidates)."""
    shared = np.sqrt(SHARED) * generator.standard_normal(seeds)

    def metric(mean: float, wide: float = 1.0) -> NDArray[np.float64]:
        return mean + shared + wide * np.sqrt(1 - SHARED) * generator.standard_normal(seeds)

    ours = metric(0.0)
    switches = []
    true, half, wide = (int(place) for place in generator.permutation(PARTS)[:3])
    parts = case in ("missing part", "half a part")
    for place in range(PARTS):
        effect = others * gap * (1.0 if place == half else float(generator.uniform(-1, 1)))
        if parts:
            # most parts help: leaving one out moves away from the better side, where the gap points
            effect = -abs(effect) * np.sign(gap)
        values = metric(effect, WIDE if place == wide else 1.0) - ours
        if place == true and case == "deviation":
            values = metric(gap) - ours
        elif place == true and case == "missing part":
            values = np.zeros(seeds)  # the switch is dead: both runs are the same to the last bit
        elif place == true and case == "half a part":
            values = metric(-gap) - ours
        kind = "part" if parts or (case == "absent" and place % 2) else "deviation"
        dead = not values.any()
        switches.append(Switch(f"switch {place}", kind, values=tuple(values.tolist()), identical=dead))
    # the paper's number lies where our run would lie without the fault
    found = attribute(ours.tolist(), gap, 0.25 * abs(gap), switches)
    return found, "" if case == "absent" else f"switch {true}"


def rates(case: str, seeds: int, gap: float, others: float, repeats: int, generator: np.random.Generator) -> Found:
    """How often attribution is right over `repeats` worlds."""
    first = explained = 0
    for _ in range(repeats):
        found, true = world(case, seeds, gap, others, generator)
        named = found.causes[0].label == true
        first += (not found.explained) if case == "absent" else named
        explained += found.explained and named
    return Found(first / repeats, explained / repeats)


def table(repeats: int, seeds: Sequence[int] = (3, 5, 10), gaps: Sequence[float] = (4.0, 8.0)) -> list[str]:
    """The planted suite as lines of text."""
    generator = np.random.default_rng(11)
    lines = [
        f"{PARTS} switches, noise sd 1; gap in sd, largest decoy in gaps; % of {repeats:,} worlds",
        f"{'cause':14} {'seeds':>5} {'gap':>4} {'decoys':>7} {'first':>7} {'and named the cause':>20}",
    ]
    for case in CASES:
        for n in seeds:
            for gap in gaps:
                for others in (0.1, 0.25, 0.5):
                    found = rates(case, n, gap, others, repeats, generator)
                    named = f"{100 * found.explained:20.1f}" if case == "deviation" else f"{'–':>20}"
                    lines.append(f"{case:14} {n:5} {gap:4g} {others:7g} {100 * found.first:7.1f} {named}")
    return lines
