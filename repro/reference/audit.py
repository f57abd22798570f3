"""The audit: what a paper's own text implies, compared with what it prints, by arithmetic, the same for every paper.

Three questions, none of which needs a run:

1. A record with a derivation: does the derived number round to the printed digits? Inputs that the paper rounded are
   carried as intervals, so that a contradiction is only called one when no value of the inputs avoids it.
2. A consistency group: records that share an assumption (one vocabulary). Each record's rounding interval allows an
   interval of the assumption; what do these have in common, and does it agree with what the paper says of it?
3. A number printed twice: do the two printed intervals meet?
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repro.arithmetic import ExpressionError, evaluate
from repro.reference.printed import Printed
from repro.reference.schema import Assumption, Derivation, Group, Record, Table

Interval = tuple[float, float]

AGREES = "agrees"  # the derived number rounds to the printed one, or can within the rounding of its inputs
INCONSISTENT = "paper_inconsistent"  # no reading of the paper's own numbers lets them all hold
OPEN = "open"  # follows only from something that the paper does not state

#: Bisections of [low, high]: 2^-64 of it is below the rounding of a double.
BISECTIONS = 64


@dataclass(frozen=True)
class AuditResult:
    """What the audit found for one record.

    `derived` is what the paper's text gives (in the record's printed unit) at the stated assumption, `interval` its
    range over the rounding of the inputs, `allowed` the interval of `assumption` in which the printed number holds, and
    `needs` says so in words. `arithmetic` is the calculation in words; `assumption` names what would have to hold, and
    which rows then agree.
    """

    record: str
    printed: str
    derived: float
    interval: Interval
    holds: bool
    verdict: str
    arithmetic: str
    assumption: str = ""
    allowed: Interval | None = None
    sensitivity: tuple[str, ...] = ()
    needs: str = ""


@dataclass(frozen=True)
class Subset:
    """A largest set of records that one interval of the assumption lets hold together."""

    records: tuple[str, ...]
    interval: Interval


def audit(table: Table, facts: Mapping[str, float] | None = None) -> list[AuditResult]:
    """One result for every record that can be audited, in the table's order.

    `facts` are facts measured in the person's code (record id → plain unit, parameters and not millions); they do not
    change a verdict on the paper, but the arithmetic says what the code has beside what the text gives.
    """
    facts = facts or {}
    results: dict[str, AuditResult] = {}
    grouped = {id for group in table.groups for id in group.records}
    for group in table.groups:
        for result in audit_group(table, group, facts):
            results[result.record] = result
    for record in table.records:
        if record.id not in grouped and record.derivation is not None and record.printed is not None:
            results[record.id] = audit_derivation(record, facts)
        if record.also_stated and record.printed is not None:
            twice = audit_statements(record)
            before = results.get(record.id)
            if before is None or (before.verdict != INCONSISTENT and not twice.holds):
                results[record.id] = twice
    return [results[record.id] for record in table.records if record.id in results]


# 1. one derivation --------------------------------------------------------------------------------------------


def derive(derivation: Derivation, assumed: Mapping[str, float], multiple: float = 1.0) -> float:
    """The derived number, in printed units of `multiple` plain units, with every rounded input at its printed value."""
    given: dict[str, float] = {
        **{name: value.number if isinstance(value, Printed) else value for name, value in derivation.names.items()},
        **assumed,
    }
    return calculate(derivation, given) / multiple


def calculate(derivation: Derivation, given: Mapping[str, float]) -> float:
    """The expression's value, its `let` names first."""
    names = dict(given)
    for name, expression in derivation.let:
        names[name] = evaluate(expression, names)
    return float(evaluate(derivation.expression, names))


def stated(derivation: Derivation) -> dict[str, float]:
    """The assumptions that the paper states, by name."""
    return {a.name: a.printed.number for a in derivation.assumptions if a.printed is not None}


def derived_interval(derivation: Derivation, multiple: float = 1.0) -> Interval:
    """Range of the derived number over the rounding of its inputs.

    The extremes are sought at the corners of the box of inputs, which is exact for an expression that rises or falls
    in each input by itself (products, sums, quotients of positive numbers: what papers derive).
    """
    rounded: dict[str, Printed] = {n: v for n, v in derivation.names.items() if isinstance(v, Printed)}
    rounded |= {a.name: a.printed for a in derivation.assumptions if a.printed is not None}
    exact = {name: value for name, value in derivation.names.items() if not isinstance(value, Printed)}
    corners = itertools.product(*(value.interval for value in rounded.values()))
    values = [calculate(derivation, {**exact, **dict(zip(rounded, corner, strict=True))}) for corner in corners]
    return min(values) / multiple, max(values) / multiple


def overlap(a: Interval, b: Interval) -> bool:
    """Whether two closed intervals meet, up to a few units in the last place."""
    slack = 1e-12 * max(map(abs, (*a, *b)))
    return a[0] <= b[1] + slack and b[0] <= a[1] + slack


def digits(value: float, significant: int = 4) -> str:
    """A number for a sentence: 3.283e18, 63.05, 41,003."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    size = abs(value)
    if size >= 1e7 or size < 1e-3:
        mantissa, exponent = f"{value:.{significant - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{max(0, significant - 1 - math.floor(math.log10(size)))}f}"


def span(interval: Interval, whole: bool = False) -> str:
    """An interval for a sentence; whole numbers inside it if `whole`."""
    low, high = interval
    if whole:
        low, high = math.ceil(low), math.floor(high)
    return f"{digits(low)} … {digits(high)}"


def inputs(derivation: Derivation) -> str:
    """The inputs of a derivation in words: "hours = 12, gpus = 8"."""
    parts = [f"{n} = {v.text if isinstance(v, Printed) else f'{v:g}'}" for n, v in derivation.names.items()]
    return ", ".join(parts)


def in_unit(value: float, record: Record) -> str:
    return f"{digits(value)} {record.unit}".rstrip()


def measured_text(record: Record, facts: Mapping[str, float]) -> str:
    """What the person's code has, if it was measured."""
    value = facts.get(record.id)
    return "" if value is None else f" Our code has {in_unit(value / record.multiple, record)}."


def one_derivation(record: Record, derivation: Derivation) -> tuple[float, Interval, bool, str]:
    """Nominal value, range, whether it can hold, and the arithmetic in words."""
    assert record.printed is not None
    nominal = derive(derivation, stated(derivation), record.multiple)
    interval = derived_interval(derivation, record.multiple)
    agrees = record.printed.agrees(nominal)
    possible = agrees or overlap(interval, record.printed.interval)
    text = f"{derivation.text + ': ' if derivation.text else ''}{derivation.expression} with {inputs(derivation)}"
    text += f" = {in_unit(nominal, record)}"
    printed = f"the printed {record.printed.text}"
    if agrees:
        text += f", which rounds to {printed}."
    elif possible:
        text += (
            f", which does not round to {printed}, but the rounding of its inputs leaves {span(interval)}: "
            "no contradiction is proven."
        )
    else:
        text += f", and between {span(interval)} over the rounding of its inputs: it cannot be {printed}."
    return nominal, interval, possible, text


def audit_derivation(record: Record, facts: Mapping[str, float] | None = None) -> AuditResult:
    """The audit of one record by its derivation and by its alternatives, each of which must be able to hold."""
    assert record.derivation is not None and record.printed is not None
    unstated = [a.name for a in record.derivation.assumptions if a.printed is None]
    nan = float("nan")
    if unstated:
        text = f"follows only with {', '.join(unstated)}, which the paper does not state."
        return AuditResult(record.id, record.printed.text, nan, (nan, nan), True, OPEN, text)
    try:
        nominal, interval, holds, text = one_derivation(record, record.derivation)
        for alternative in record.alternatives:
            _, _, possible, more = one_derivation(record, alternative)
            holds = holds and possible
            text += f" Also {more}"
    except ExpressionError as error:
        return AuditResult(record.id, record.printed.text, nan, (nan, nan), True, OPEN, f"no value: {error}")
    text += measured_text(record, facts or {})
    verdict = AGREES if holds else INCONSISTENT
    others = tuple(other_choices(record, record.derivation))
    return AuditResult(
        record.id, record.printed.text, nominal, interval, holds, verdict, text, " ".join(others), sensitivity=others
    )


def other_choices(record: Record, derivation: Derivation) -> list[str]:
    """What each counting choice that the text leaves open, or that it rules out, would give instead."""
    assert record.printed is not None
    lines = []
    for choice in derivation.sensitivities:
        value = derive(derivation, {**stated(derivation), choice.name: choice.value}, record.multiple)
        rounds = "rounds" if record.printed.agrees(value) else "does not round"
        lines.append(f"{choice.text}: {in_unit(value, record)}, which {rounds} to the printed {record.printed.text}.")
    return lines


# 2. records that must hold together ---------------------------------------------------------------------------


def allowed(record: Record, assumption: Assumption, changed: Mapping[str, float] | None = None) -> Interval | None:
    """The interval of the assumption in which the derived number rounds to the printed one; None if there is none.

    The derived number must rise or fall in the assumption over its whole range [low, high]. Values of the assumption
    that the interval may not leave are its own low and high. `changed` replaces other inputs.
    """
    assert record.derivation is not None and record.printed is not None
    derivation = record.derivation
    others = {n: v for n, v in stated(derivation).items() if n != assumption.name}

    def value(at: float) -> float:
        return derive(derivation, {**others, **(changed or {}), assumption.name: at}, record.multiple)

    low, high = assumption.low, assumption.high
    rising = value(high) >= value(low)
    first, last = record.printed.interval if rising else record.printed.interval[::-1]

    def reach(target: float) -> float:
        """The assumption at which the derived number reaches `target`, clipped to [low, high]."""
        a, b = low, high
        for _ in range(BISECTIONS):
            middle = (a + b) / 2
            if (value(middle) < target) == rising:
                a = middle
            else:
                b = middle
        return (a + b) / 2

    interval = reach(first), reach(last)
    reached = any(record.printed.agrees(value(at)) for at in (*interval, sum(interval) / 2))
    return interval if reached else None


def maximal_subsets(intervals: Mapping[str, Interval | None]) -> list[Subset]:
    """The largest sets of records whose intervals share a point, the most records first.

    A set of intervals shares a point exactly when it shares the lower end of one of them, so these are tried.
    """
    known = {id: interval for id, interval in intervals.items() if interval is not None}
    found: list[Subset] = []
    for low, _ in known.values():
        inside = tuple(id for id, interval in known.items() if interval[0] <= low <= interval[1])
        shared = max(known[id][0] for id in inside), min(known[id][1] for id in inside)
        found.append(Subset(inside, shared))
    largest = [s for s in found if not any(set(s.records) < set(other.records) for other in found)]
    unique = {subset.records: subset for subset in largest}
    return sorted(unique.values(), key=lambda subset: (-len(subset.records), subset.interval))


def listing(ids: Sequence[str], table: Table) -> str:
    """Labels in a sentence; they have commas of their own."""
    return "; ".join(f"“{table.record(id).label}”" for id in ids)


def audit_group(table: Table, group: Group, facts: Mapping[str, float] | None = None) -> list[AuditResult]:
    """The audit of records that share an assumption.

    A record agrees if it holds for some value that the paper's statement of the assumption allows. If the paper does
    not state it, the records agree when one value serves them all. Every other record is inconsistent, with the
    subsets that some other value would reconcile.
    """
    assumption = group.assumption
    records = [table.record(id) for id in group.records]
    intervals = {record.id: allowed(record, assumption) for record in records}
    subsets = maximal_subsets(intervals)
    claimed = assumption.printed.interval if assumption.printed else None
    all_agree = bool(subsets) and len(subsets[0].records) == len(records)
    holding: set[str] = set()
    for id, interval in intervals.items():
        if interval is not None and (overlap(interval, claimed) if claimed else all_agree):
            holding.add(id)
    summary = group_summary(table, group, subsets, sorted(holding))
    results = []
    for record in records:
        assert record.derivation is not None and record.printed is not None
        nan = float("nan")
        at = assumption.printed.number if assumption.printed else nan
        assumed = {**stated(record.derivation), assumption.name: at}
        nominal = derive(record.derivation, assumed, record.multiple) if assumption.printed else nan
        ends = [derive(record.derivation, {**assumed, assumption.name: end}, record.multiple) for end in claimed or ()]
        interval = intervals[record.id]
        need = span(interval, assumption.whole) if interval else "no value of it"
        arithmetic = (
            f"{record.derivation.text + ': ' if record.derivation.text else ''}{record.derivation.expression} with "
            f"{inputs(record.derivation)}"
        )
        if assumption.printed:
            arithmetic += f" gives {in_unit(nominal, record)} at {assumption.name} = {digits(at)}"
        arithmetic += f"; the printed {record.printed.text} needs {assumption.name} = {need}."
        arithmetic += measured_text(record, facts or {})
        holds = record.id in holding
        results.append(
            AuditResult(
                record.id,
                record.printed.text,
                nominal,
                (min(ends), max(ends)) if ends else (nan, nan),
                holds,
                AGREES if holds else INCONSISTENT,
                arithmetic,
                summary,
                interval,
                tuple(sensitivities(record, assumption)),
                f"{assumption.name} = {need}" if interval else f"no value of {assumption.name} gives it",
            )
        )
    return results


def group_summary(table: Table, group: Group, subsets: Sequence[Subset], holding: Sequence[str]) -> str:
    """Which value of the assumption makes which rows agree, and which rows no single one reconciles."""
    name, total = group.assumption.name, len(group.records)
    parts = []
    if group.assumption.printed:
        quote = group.assumption.quote or group.assumption.printed.text
        where = f" ({group.assumption.where})" if group.assumption.where else ""
        parts.append(f"The paper says {quote}{where}: {len(holding)} of {total} rows agree with it.")
    for subset in subsets:
        others = [id for id in group.records if id not in subset.records]
        who = f"all {total} rows" if not others else f"{len(subset.records)} of {total} rows"
        text = f"{name} = {span(subset.interval, group.assumption.whole)} makes {who} agree"
        if others:
            few = len(others) < len(subset.records)
            text += f" (all but {listing(others, table)})" if few else f" ({listing(subset.records, table)})"
        parts.append(text + ".")
    if subsets and len(subsets[0].records) < total:
        others = [id for id in group.records if id not in subsets[0].records]
        parts.append(f"No single {name} reconciles {listing(others, table)} with the rest.")
    return " ".join(parts)


def sensitivities(record: Record, assumption: Assumption) -> list[str]:
    """How the needed assumption moves with each counting choice that the text leaves open."""
    assert record.derivation is not None and record.printed is not None
    lines = []
    for choice in record.derivation.sensitivities:
        interval = allowed(record, assumption, {choice.name: choice.value})
        need = span(interval, assumption.whole) if interval else "no value"
        text = f"{choice.text}: the printed {record.printed.text} needs {assumption.name} = {need}"
        if assumption.printed:
            assumed = {**stated(record.derivation), assumption.name: assumption.printed.number}
            nominal = derive(record.derivation, {**assumed, choice.name: choice.value}, record.multiple)
            text += f", and {assumption.printed.text} gives {in_unit(nominal, record)}"
        lines.append(text + ".")
    return lines


# 3. a number printed twice ------------------------------------------------------------------------------------


def audit_statements(record: Record) -> AuditResult:
    """Whether all places where the paper prints the number can mean the same number."""
    assert record.printed is not None
    places = [(record.printed, record.where), *((s.printed, s.where) for s in record.also_stated)]
    low = max(printed.interval[0] for printed, _ in places)
    high = min(printed.interval[1] for printed, _ in places)
    holds = overlap((low, low), (low, high)) if low <= high else overlap((low, low), (high, high))
    said = "; ".join(f"{printed.text} in {where}" for printed, where in places)
    text = f"The paper prints {said}: " + ("one number can be meant." if holds else "these cannot be one number.")
    return AuditResult(
        record.id,
        record.printed.text,
        record.number,
        record.printed.interval,
        holds,
        AGREES if holds else INCONSISTENT,
        text,
    )
