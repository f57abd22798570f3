"""The audit re-derives numbers, and finds which ones cannot hold together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.reference import audit, parse_table
from repro.reference.audit import maximal_subsets

HEAD = """\
paper: mine
records:
"""
FACT = """\
  {id}:
    kind: fact
    label: {id}
    group: t
    value: "{value}"
    where: w
    confirmed: confirmed
    {more}
"""


def results(*facts: tuple[str, str, str], tail: str = "") -> dict[str, str]:
    text = HEAD + "".join(FACT.format(id=id, value=value, more=more) for id, value, more in facts) + tail
    return {result.record: result.verdict for result in audit(parse_table(text))}


def test_one_derivation() -> None:
    exact = "derivation: {expression: a * b, names: {a: 6, b: 7}}"
    assert results(("x", "42", exact)) == {"x": "agrees"}
    assert results(("x", "43", exact)) == {"x": "paper_inconsistent"}
    assert results(("x", "4.2e1", exact)) == {"x": "agrees"}


def test_rounded_inputs_widen_before_anything_is_called_a_contradiction() -> None:
    # 100,000 · 0.4 s = 40,000 s; 0.4 may be 0.35 … 0.45, so 35,000 … 45,000
    steps = 'derivation: {expression: n * s, names: {n: 100000, s: {printed: "0.4"}}}'
    assert results(("x", "4.3e4", steps)) == {"x": "agrees"}
    assert results(("x", "4.6e4", steps)) == {"x": "paper_inconsistent"}


def test_every_way_in_which_the_text_gives_a_number_must_be_able_to_hold() -> None:
    both = (
        "derivation: {{expression: a * b, names: {{a: 6, b: 7}}}}\n"
        "    alternatives: [{{expression: c, names: {{c: {}}}}}]"
    )
    assert results(("x", "42", both.format(42))) == {"x": "agrees"}
    assert results(("x", "42", both.format(40))) == {"x": "paper_inconsistent"}
    assert results(("x", "40", both.format(40))) == {"x": "paper_inconsistent"}


def test_unstated_assumption_stays_open() -> None:
    more = "derivation: {expression: a * v, names: {a: 6}, assumptions: {v: {low: 1, high: 10}}}"
    assert results(("x", "42", more)) == {"x": "open"}


GROUP = """\
consistency:
  g:
    records: [x, y, z]
    assumption: {{name: v, {stated}low: 0, high: 1000}}
"""


def linear(slope: int) -> str:
    return f"derivation: {{expression: a * v, names: {{a: {slope}}}, assumptions: {{v: {{low: 0, high: 1000}}}}}}"


def test_a_group_that_one_value_reconciles() -> None:
    facts = ("x", "10", linear(1)), ("y", "20", linear(2)), ("z", "-30", linear(-3))
    assert set(results(*facts, tail=GROUP.format(stated="")).values()) == {"agrees"}
    assert set(results(*facts, tail=GROUP.format(stated='value: "10", ')).values()) == {"agrees"}
    # the paper states another value: no row can hold with it
    assert set(results(*facts, tail=GROUP.format(stated='value: "12", ')).values()) == {"paper_inconsistent"}


def test_a_group_that_no_value_reconciles() -> None:
    facts = ("x", "10", linear(1)), ("y", "20", linear(2)), ("z", "60", linear(3))
    assert set(results(*facts, tail=GROUP.format(stated="")).values()) == {"paper_inconsistent"}
    # with a stated value only the row that fails it is to blame
    said = results(*facts, tail=GROUP.format(stated='value: "10", '))
    assert said == {"x": "agrees", "y": "agrees", "z": "paper_inconsistent"}
    text = HEAD + "".join(FACT.format(id=i, value=v, more=m) for i, v, m in facts)
    text += GROUP.format(stated='value: "10", ')
    result = audit(parse_table(text))[2]
    assert result.allowed == pytest.approx((59.5 / 3, 60.5 / 3))
    assert "2 of 3 rows agree with it" in result.assumption
    assert "No single v reconciles “z” with the rest." in result.assumption
    assert result.needs == "v = 19.83 … 20.17"


def test_a_value_that_no_assumption_reaches() -> None:
    facts = ("x", "10", linear(1)), ("y", "20", linear(2)), ("z", "7000", linear(3))
    text = HEAD + "".join(FACT.format(id=i, value=v, more=m) for i, v, m in facts) + GROUP.format(stated="")
    result = audit(parse_table(text))[2]
    assert result.allowed is None
    assert "needs v = no value of it" in result.arithmetic
    assert result.needs == "no value of v gives it"


def test_printed_twice() -> None:
    twice = 'also_stated: [{{value: "{}", where: section 6}}]'
    fact = "fact: {name: f}\n    "
    assert results(("x", "41.8", fact + twice.format("41.0"))) == {"x": "paper_inconsistent"}
    assert results(("x", "41.8", fact + twice.format("42"))) == {"x": "agrees"}
    assert results(("x", "41.8", fact + twice.format("41.8"))) == {"x": "agrees"}


def test_a_derivation_that_agrees_does_not_hide_a_second_printed_number() -> None:
    exact = "derivation: {expression: a * b, names: {a: 6, b: 7}}"
    second = 'also_stated: [{{value: "{}", where: section 6}}]'
    assert results(("x", "42", f"{exact}\n    {second.format('42.0')}")) == {"x": "agrees"}
    assert results(("x", "42", f"{exact}\n    {second.format('40')}")) == {"x": "paper_inconsistent"}
    # a derivation that contradicts is not made good by saying the same twice
    assert results(("x", "43", f"{exact}\n    {second.format('43.0')}")) == {"x": "paper_inconsistent"}


ids = st.text("abcdef", min_size=1, max_size=2)


@given(st.dictionaries(ids, st.tuples(st.integers(0, 9), st.integers(0, 5)), min_size=1))
def test_maximal_subsets_against_all_points(raw: dict[str, tuple[int, int]]) -> None:
    intervals = {id: (float(low), float(low + width)) for id, (low, width) in raw.items()}
    at = [{id for id, (a, b) in intervals.items() if a <= p <= b} for p in range(0, 15)]
    largest = {frozenset(s) for s in at if s and not any(s < other for other in at)}
    assert {frozenset(subset.records) for subset in maximal_subsets(intervals)} == largest
    for subset in maximal_subsets(intervals):
        assert subset.interval[0] <= subset.interval[1]
