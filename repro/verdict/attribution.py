"""What explains a gap: measured effects of single switches, matched in sign and size with what there is to close.

A switch is one thing changed alone in our own run: a part left out, a deviation from the paper undone, another value
of a setting. Its effect is metric(switched) − metric(ours), paired by seed. The gap to close is printed − ours. A
switch explains the gap when its effect is clearly of the gap's sign and its share, effect / gap, may be 1. The
interval of the share is Fieller's (1954, Journal of the Royal Statistical Society B 16): it carries the uncertainty
of both.

A part of the method can be the cause in three ways, and each looks different:
- it hurts here (the paper's model lacks it): leaving it out closes the gap;
- it is already missing in our run: leaving it out changes nothing at all, in any seed;
- it acts only in part: leaving it out costs as much as the gap. That is a hint and no explanation, since the part is
  active.
Intervals are not corrected for the number of switches, and effects need not add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

#: Nothing closer to the printed number than this share of the gap is asked of a cause, however wide the tolerance.
MOST_TOLERANCE = 0.5


@dataclass(frozen=True)
class Switch:
    """One thing that was, or could be, changed alone.

    kind: "part" (a component left out), "deviation" (a known difference from the paper, undone), or "setting".
    values: metric(switched) − metric(ours), one for each paired seed, in the unit of the row; () if not measured.
    alone: for a part: metric(only this part) − metric(none of the parts), one a seed; () if not measured.
    identical: every metric that was measured, training loss included, is the same to the last bit in every pair. One
        metric alone may be blind: 0 % of exact matches with a part and without it prove nothing.
    claimed: what the paper prints for the same switch, in the unit of the row.
    command, cost: what would measure it (again), and how many updates of training that takes.
    """

    label: str
    kind: str
    detail: str = ""
    values: tuple[float, ...] = ()
    alone: tuple[float, ...] = ()
    identical: bool = False
    claimed: float | None = None
    note: str = ""
    command: str = ""
    cost: float = math.inf


#: What a cause is, best first; ranking follows this order.
STANDS = (
    "explains",  # closes the gap: clearly of its sign, and as large as it may be
    "missing",  # the part is not active in our run
    "as_large",  # the part is worth as much as the gap, and active
    "in_part",  # clearly of the gap's sign, clearly smaller
    "overshoots",  # clearly of its sign, clearly larger
    "unclear",  # its interval holds both nothing and the whole gap
    "unmeasured",
    "worth",  # an active part that is worth clearly less, or clearly more, than the gap
    "nothing",  # too small to matter, or it widens the gap
)


@dataclass(frozen=True)
class Cause:
    """A switch with what it explains. `effect`, `interval`, `values` are oriented so that a positive share closes.

    shares: Fieller's interval of effect / gap; None where it has none (one pair, no pair, a gap that may be zero).
    """

    label: str
    detail: str
    stands: str
    effect: float | None = None
    interval: tuple[float, float] | None = None
    values: tuple[float, ...] = ()
    shares: tuple[float, float] | None = None
    share: str = ""
    note: str = ""


@dataclass(frozen=True)
class Attribution:
    """The gap to close (printed − ours) with its interval, and its candidate causes, likeliest first."""

    gap: float
    interval: tuple[float, float] | None
    sentence: str
    causes: tuple[Cause, ...] = ()
    explained: bool = False
    next_command: str = ""


@dataclass(frozen=True)
class Mean:
    """Mean, its standard error and the number of values; the error is NaN for fewer than two."""

    value: float
    error: float
    n: int
    values: tuple[float, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean:
        finite = tuple(float(value) for value in values if math.isfinite(value))
        n = len(finite)
        if not n:
            return cls(math.nan, math.nan, 0)
        mean = finite[0] if len(set(finite)) == 1 else math.fsum(finite) / n
        if n == 1:
            return cls(mean, math.nan, 1, finite)
        spread = math.sqrt(math.fsum((value - mean) ** 2 for value in finite) / (n - 1))
        return cls(mean, spread / math.sqrt(n), n, finite)

    def interval(self, confidence: float) -> tuple[float, float] | None:
        if self.n < 2:
            return None
        half = quantile(self.n - 1, confidence) * self.error
        return self.value - half, self.value + half


def quantile(degrees: float, confidence: float) -> float:
    """Student's t, two-sided."""
    from scipy import special

    return float(special.stdtrit(degrees, (1 + confidence) / 2))


def fieller(effect: Mean, gap: Mean, confidence: float) -> tuple[float, float] | None:
    """The interval of effect / gap; None where it has no ends (the gap may be zero) or no spread is known.

    A gap of a single seed is taken as exact; the effect's own spread then decides.
    """
    if effect.n < 2 or gap.n < 1 or gap.value == 0:
        return None
    gap_error = gap.error if gap.n > 1 else 0.0
    t = quantile(min(effect.n, gap.n if gap.n > 1 else effect.n) - 1, confidence)
    a = gap.value**2 - (t * gap_error) ** 2
    if a <= 0:
        return None
    b, c = effect.value * gap.value, effect.value**2 - (t * effect.error) ** 2
    root = math.sqrt(max(0.0, b * b - a * c))
    return (b - root) / a, (b + root) / a


def attribute(
    ours: Sequence[float],
    printed: float,
    tolerance: float,
    switches: Sequence[Switch],
    confidence: float = 0.95,
) -> Attribution:
    """Rank what could close the gap between our seeds [n] and the printed number.

    Values that are not finite are left out of means; a row that has them is not testable and gets no attribution.
    """
    gap = Mean.of([printed - value for value in ours])
    if not gap.n or gap.value == 0:
        return Attribution(0.0, None, "there is no gap to explain")
    near = min(MOST_TOLERANCE, tolerance / abs(gap.value))
    found = [judged(switch, gap, near, confidence) for switch in switches]
    ranked = sorted(found, key=lambda cause: rank(cause, gap.value))
    best = ranked[0] if ranked else None
    explained = best is not None and best.stands in ("explains", "missing")
    command = "" if explained else cheapest(switches, found)
    return Attribution(
        gap.value, gap.interval(confidence), sentence(ranked, command), tuple(ranked), explained, command
    )


def judged(switch: Switch, gap: Mean, near: float, confidence: float) -> Cause:
    """One switch against the gap; `near` is how far from 1 a share may lie and still close the gap."""
    effect = Mean.of(switch.values)
    notes = [switch.note] if switch.note else []
    lost = len(switch.values) - effect.n
    if lost:
        notes.append(f"{lost} of {len(switch.values)} pairs not finite")
    if switch.alone:
        notes += interaction(effect, Mean.of(switch.alone), confidence)

    def cause(stands: str, sign: int = 1, shares: tuple[float, float] | None = None, share: str = "") -> Cause:
        ends = effect.interval(confidence)
        if ends is not None and sign < 0:
            ends = -ends[1], -ends[0]
        return Cause(
            switch.label,
            switch.detail,
            stands,
            sign * effect.value if effect.n else None,
            ends,
            tuple(sign * value for value in effect.values),
            shares,
            share,
            "; ".join(notes),
        )

    if not effect.n:
        if not switch.values:
            notes.append("not measured")
        return cause("unmeasured")
    if switch.kind == "part" and switch.identical:
        notes.append(f"leaving it out changes nothing at all in {plural(effect.n, 'seed')}: it is already missing here")
        if switch.claimed is None:
            return cause("missing", share="size unknown")
        share = -switch.claimed / gap.value
        notes.append(f"the paper says that leaving it out changes the metric by {switch.claimed:g}")
        stands = "missing" if share > 0.5 - near else "nothing"
        return cause(stands, share=f"{100 * share:.0f} % of the gap, by the paper's own figure")
    if not any(effect.values):
        same = "changes nothing at all" if switch.identical else "this metric is the same with and without it"
        notes.append(f"{same} in {plural(effect.n, 'seed')}")
        return cause("nothing")
    away = effect.value * gap.value < 0
    if switch.kind == "part" and away:
        opposite = Mean(-effect.value, effect.error, effect.n, tuple(-value for value in effect.values))
        shares = fieller(opposite, gap, confidence)
        stands = standing(opposite, gap, shares, near, confidence)
        if stands == "explains":
            notes.append("leaving it out costs as much as the gap, and it is active here: is all of it?")
        renamed = {"explains": "as_large", "in_part": "worth", "overshoots": "worth"}.get(stands, stands)
        # what is worth five times the gap cannot be missing, and says nothing of the gap
        text = f"worth {told(shares)} of the gap" if shares and renamed in ("as_large", "worth") else ""
        return cause(renamed, -1, shares, text)
    shares = fieller(effect, gap, confidence)
    stands = standing(effect, gap, shares, near, confidence)
    verb = {"explains": "explains ", "in_part": "explains ", "overshoots": "", "unclear": ""}.get(stands)
    text = "" if shares is None or verb is None else f"{verb}{told(shares)} of the gap"
    if stands == "unclear" and effect.n == 1:
        notes.append(f"{100 * effect.value / gap.value:.0f} % of the gap in one pair, which has no interval")
    if stands == "nothing" and away:
        notes.append("widens the gap" if clear(effect, confidence) else "cannot be told from nothing")
    elif stands == "nothing":
        notes.append("cannot be told from nothing")
    return cause(stands, 1, shares, text)


def clear(effect: Mean, confidence: float) -> bool:
    """Whether the sign of the effect is clear."""
    ends = effect.interval(confidence)
    return ends is not None and (ends[0] > 0 or ends[1] < 0)


def standing(effect: Mean, gap: Mean, shares: tuple[float, float] | None, near: float, confidence: float) -> str:
    """How an effect, oriented towards the gap, compares with it in sign and size."""
    if shares is None:
        return "unclear"
    low, high = shares
    if not clear(effect, confidence) or effect.value * gap.value <= 0:
        return "unclear" if high >= 1 - near else "nothing"
    if high < 1 - near:
        return "in_part"
    return "overshoots" if low > 1 + near else "explains"


def told(shares: tuple[float, float]) -> str:
    """ "80–110 %"."""
    low, high = (round(100 * end) for end in shares)
    return f"{low} %" if low == high else f"{low} to {high} %" if low < 0 else f"{low}–{high} %"


def interaction(left_out: Mean, alone: Mean, confidence: float) -> list[str]:
    """A note where what a part buys beside all others differs from what it buys alone.

    Leave-one-out costs −left_out; add-one gives `alone`. They differ where Welch's interval of their
    difference leaves out zero.
    """
    if left_out.n < 2 or alone.n < 2:
        return []
    variance = left_out.error**2 + alone.error**2
    difference = -left_out.value - alone.value
    if variance == 0:
        differs = difference != 0
    else:
        parts = (left_out.error**2, left_out.n - 1), (alone.error**2, alone.n - 1)
        degrees = variance**2 / sum(part**2 / free for part, free in parts)
        differs = abs(difference) > quantile(max(1.0, degrees), confidence) * math.sqrt(variance)
    if not differs:
        return []
    return [f"interacts: worth {-left_out.value:.3g} beside the other parts and {alone.value:.3g} without them"]


def rank(cause: Cause, gap: float) -> tuple[int, float]:
    """The order of causes: by how they stand, then by how near the effect comes to the gap."""
    effect = cause.effect
    return STANDS.index(cause.stands), math.inf if effect is None else abs(effect - gap)


def sentence(ranked: Sequence[Cause], command: str) -> str:
    """What the causes say together, one sentence without its capital."""
    best = ranked[0] if ranked else None
    if best is not None and best.stands == "explains":
        rivals = sum(cause.stands == "explains" for cause in ranked) - 1
        also = f"; so would {plural(rivals, 'other switch', 'other switches')}" if rivals else ""
        return f"{best.label} {best.share}{also}"
    if best is not None and best.stands == "missing":
        return f"{best.label}: leaving it out changes nothing, so it is missing in our run ({best.share})"
    text = "nothing that was measured explains it" if any(c.effect is not None for c in ranked) else "unexplained"
    if best is not None and best.stands == "as_large":
        text += f"; {best.label} is {best.share} and active: is all of it?"
    elif best is not None and best.stands == "in_part":
        text += f" whole; {best.label} {best.share}"
    if command:
        text += f". Cheapest next experiment: {command}"
    return text


def cheapest(switches: Sequence[Switch], causes: Sequence[Cause]) -> str:
    """The command that costs least among those that could still change the answer."""
    still = [
        switch
        for switch, cause in zip(switches, causes, strict=True)
        if switch.command and cause.stands in ("unclear", "unmeasured")
    ]
    return min(still, key=lambda switch: switch.cost).command if still else ""


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
