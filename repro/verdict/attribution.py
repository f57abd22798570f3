"""What explains a gap: measured effects of single switches, matched in sign and size with what there is to close.

A switch is one thing changed alone in our own run: a part left out, a deviation from the paper undone, another value
of a setting. Its effect is metric(switched) − metric(ours), paired by seed. The gap to close is printed − ours, and the
share of a switch is effect / gap. A switch is said to explain the gap only when the whole interval of its share lies
between half of the gap and one and a half (MOST_TOLERANCE) and the share may be 1 within the row's tolerance; what
only may be as large is named as that. So an effect of half the gap is called its cause in at most 5 % of runs, however
many such effects were measured.

The interval of the share is Fieller's (1954, Journal of the Royal Statistical Society B 16): every c for which
effect − c · gap may be zero. It carries the uncertainty of both, with Welch and Satterthwaite's degrees of freedom at
that c, and its level is shared out over the measured switches (Bonferroni). Differences of pairs vary alike whatever
was switched, so their variances are pooled; a switch that is clearly noisier than the others, by an F test, keeps its
own.

A part of the method can be the cause in three ways, and each looks different:
- it hurts here (the paper's model lacks it): leaving it out closes the gap;
- it is already missing in our run: leaving it out changes nothing at all, in any seed;
- it acts only in part: leaving it out costs as much as the gap. That is a hint and no explanation, since the part is
  active.
Effects need not add up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

#: What a cause leaves open, or overshoots by, is at most this share of the gap.
MOST_TOLERANCE = 0.5
#: Level at which a switch counts as noisier than the others: a false alarm only costs it the help of their variance.
NOISIER = 0.05


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
    "explains",  # closes the gap: its whole interval lies around it
    "missing",  # the part is not active in our run
    "as_large",  # the part is worth as much as the gap, and active
    "could",  # clearly of the gap's sign and perhaps as large; it may be less than half of it too
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

    interval, shares: of the effect and of effect / gap, at a level that holds for all measured switches together; None
        where there is none (one pair, no pair, a gap that may be zero).
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
    size_known: bool = True


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
    pooled_degrees: float = 0.0

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
        half = quantile(self.degrees, confidence) * self.error
        return self.value - half, self.value + half

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the error."""
        return self.pooled_degrees or self.n - 1

    @property
    def variance(self) -> float:
        """Of one value; NaN for fewer than two."""
        return self.error**2 * self.n


def quantile(degrees: float, confidence: float) -> float:
    """Student's t, two-sided."""
    from scipy import special

    return float(special.stdtrit(degrees, (1 + confidence) / 2))


def pooled(effects: Sequence[Mean]) -> list[Mean]:
    """Each mean with the error that the variances of all give; those that are clearly noisier keep their own.

    The pool begins with the quieter half and takes in one after the other, by variance, until one is clearly noisier
    than those inside. Effects without spread (one pair, or a switch that changes nothing) are no part of it.
    """
    from scipy import special

    spread = sorted((one for one in effects if one.n > 1 and one.error > 0), key=lambda one: one.variance)
    inside = spread[: (len(spread) + 1) // 2]
    for one in spread[len(inside) :]:
        variance, free = together(inside)
        if one.variance / variance > float(special.fdtri(one.n - 1, free, 1 - NOISIER)):
            break
        inside.append(one)
    if len(inside) < 2:
        return list(effects)
    variance, free = together(inside)
    # by identity: two switches may have measured the same values
    members = set(map(id, inside))
    return [
        replace(one, error=math.sqrt(variance / one.n), pooled_degrees=float(free)) if id(one) in members else one
        for one in effects
    ]


def together(means: Sequence[Mean]) -> tuple[float, int]:
    """The pooled variance of one value, and its degrees of freedom."""
    free = sum(one.n - 1 for one in means)
    return sum(one.variance * (one.n - 1) for one in means) / free, free


def fieller(effect: Mean, gap: Mean, confidence: float) -> tuple[float, float] | None:
    """The interval of effect / gap; None where it has no ends (the gap may be zero) or no spread is known.

    A gap of a single seed is taken as exact; the effect's own spread then decides.
    """
    if effect.n < 2 or gap.n < 1 or gap.value == 0:
        return None
    gap_error = gap.error if gap.n > 1 else 0.0
    if gap_error and abs(gap.value) <= quantile(gap.degrees, confidence) * gap_error:
        return None
    share = effect.value / gap.value
    if effect.error == 0 and gap_error == 0:
        return share, share

    def may_be(c: float) -> bool:
        a, b = effect.error**2, (c * gap_error) ** 2
        below = a**2 / effect.degrees + (b**2 / gap.degrees if b else 0.0)
        degrees = (a + b) ** 2 / below if below else effect.degrees
        return abs(effect.value - c * gap.value) <= quantile(degrees, confidence) * math.sqrt(a + b)

    return edge(may_be, share, -1), edge(may_be, share, 1)


def edge(may_be: Callable[[float], bool], inside: float, side: int) -> float:
    """Where `may_be` turns false, from a value for which it holds, by bisection to a thousandth of the gap."""
    step = 0.25
    while may_be(inside + side * step):
        step *= 2
        if step > 1e6:  # the gap is barely told from zero: as good as no end
            return side * math.inf
    low, high = 0.0, step
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if may_be(inside + side * middle) else (low, middle)
    return inside + side * (low + high) / 2


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
    effects = pooled([Mean.of(switch.values) for switch in switches])
    measured = sum(effect.n > 1 and any(effect.values) for effect in effects)
    each = 1 - (1 - confidence) / max(1, measured)
    found = [judged(switch, effect, gap, near, each) for switch, effect in zip(switches, effects, strict=True)]
    ranked = sorted(found, key=lambda cause: rank(cause, gap.value))
    best = ranked[0] if ranked else None
    # a missing part explains as much as the paper says that it is worth; without a figure that is not known
    explained = best is not None and (best.stands == "explains" or (best.stands == "missing" and best.size_known))
    command = "" if explained else cheapest(switches, found)
    return Attribution(
        gap.value, gap.interval(confidence), sentence(ranked, command), tuple(ranked), explained, command
    )


def judged(switch: Switch, effect: Mean, gap: Mean, near: float, confidence: float) -> Cause:
    """One switch against the gap; `near` is how far from 1 a share may lie and still close the gap."""
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
            not (stands == "missing" and switch.claimed is None),
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
        opposite = replace(effect, value=-effect.value, values=tuple(-value for value in effect.values))
        shares = fieller(opposite, gap, confidence)
        stands = standing(opposite, gap, shares, near, confidence)
        if stands == "explains":
            notes.append("leaving it out costs as much as the gap, and it is active here: is all of it?")
        renamed = {"explains": "as_large", "in_part": "worth", "overshoots": "worth"}.get(stands, stands)
        # what is worth five times the gap cannot be missing, and says nothing of the gap
        text = f"worth {told(shares)} of the gap" if shares and renamed in ("as_large", "could", "worth") else ""
        return cause(renamed, -1, shares, text)
    shares = fieller(effect, gap, confidence)
    stands = standing(effect, gap, shares, near, confidence)
    verb = {"explains": "explains ", "in_part": "explains ", "could": "", "overshoots": "", "unclear": ""}.get(stands)
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
    if low > 1 + near:
        return "overshoots"
    return "explains" if low > 1 - MOST_TOLERANCE and high < 1 + MOST_TOLERANCE else "could"


def told(shares: tuple[float, float]) -> str:
    """ "80–110 %"."""
    if not all(map(math.isfinite, shares)):
        return "any share"
    low, high = (round(100 * end) for end in shares)
    text = f"{low} %" if low == high else f"{low} to {high} %" if low < 0 else f"{low}–{high} %"
    return text.replace("-", "−")


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
    if best is not None and best.stands == "missing" and best.size_known:
        return f"{best.label}: leaving it out changes nothing, so it is missing in our run ({best.share})"
    if best is not None and best.stands == "missing":
        text = (
            f"{best.label}: leaving it out changes nothing, so it is missing in our run; what it is worth is not known"
        )
        return text + (f". Cheapest next experiment: {command}" if command else "")
    measured = [cause for cause in ranked if cause.effect is not None]
    if not measured:
        text = "unexplained"
    elif best is not None and best.stands == "as_large":
        text = f"nothing that was measured explains it; {best.label} is {best.share} and active: is all of it?"
    elif best is not None and best.stands == "could":
        text = f"nothing is shown to explain it; {best.label} could, its effect is {best.share.removeprefix('worth ')}"
    else:
        text = "nothing that was measured explains it"
        closing = [cause for cause in measured if cause.shares and cause.stands in ("in_part", "nothing", "unclear")]
        largest = max(closing, key=lambda cause: (cause.shares or (0.0, 0.0))[1], default=None)
        if largest is not None and largest.shares is not None and 0 < largest.shares[1] < math.inf:
            most = math.ceil(100 * largest.shares[1])
            text += (
                f"; the largest effect, {largest.label}, covers at most {most} % of the gap"
                if most <= 100
                else f"; too few seeds measured {largest.label} to say what it covers"
            )
    if command:
        text += f". Cheapest next experiment: {command}"
    return text


def cheapest(switches: Sequence[Switch], causes: Sequence[Cause]) -> str:
    """The command that costs least among those that could still change the answer."""
    still = [
        switch
        for switch, cause in zip(switches, causes, strict=True)
        if switch.command and cause.stands in ("could", "unclear", "unmeasured")
    ]
    return min(still, key=lambda switch: switch.cost).command if still else ""


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
