"""Expressions mean what Python means by them, and nothing else is let in."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.arithmetic import Expression, ExpressionError, evaluate

NAMES = {"a": 3, "b": 0.5, "c": -2.25}
leaves = st.sampled_from(["1", "2.5", "1e-3", "17", *NAMES])
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "<", "<=", "==", "!="]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        st.tuples(inner, st.sampled_from(["2", "0.5", "-1"])).map(lambda parts: f"abs({parts[0]}) ** {parts[1]}"),
        inner.map(lambda part: f"-{part}"),
        st.tuples(inner, inner).map(lambda parts: f"min({parts[0]}, {parts[1]})"),
        st.tuples(inner, inner).map(lambda parts: f"max({parts[0]}, {parts[1]})"),
        inner.map(lambda part: f"sqrt(abs({part}))"),
        inner.map(lambda part: f"round({part})"),
        inner.map(lambda part: f"floor({part}) + ceil({part})"),
    ),
    max_leaves=12,
)


@given(expressions)
def test_agrees_with_python(text: str) -> None:
    scope = {"__builtins__": {}, "abs": abs, "min": min, "max": max, "round": round}
    scope |= {name: getattr(math, name) for name in ("sqrt", "floor", "ceil")}
    try:
        expected = eval(text, scope, dict(NAMES))
    except (ArithmeticError, ValueError):
        with pytest.raises(ExpressionError):
            evaluate(text, NAMES)
        return
    assert evaluate(text, NAMES) == expected


def test_schedule_of_the_transformer_peaks_at_warmup() -> None:
    rate = Expression("d_model**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)")
    assert rate.names == {"d_model", "step", "warmup_steps"}
    # 512^-0.5 · 4000^-0.5 = 0.0441942 · 0.0158114
    assert rate(d_model=512, step=4000, warmup_steps=4000) == pytest.approx(6.98771e-4, rel=1e-5)
    assert rate(d_model=512, step=1, warmup_steps=4000) == pytest.approx(1.74693e-7, rel=1e-5)


def test_comparisons_count_as_numbers() -> None:
    steps = "0.1 * 0.1 ** ((step >= 32000) + (step >= 48000))"
    assert [evaluate(steps, {"step": step}) for step in (1, 32000, 48000)] == pytest.approx([0.1, 0.01, 0.001])
    assert evaluate("1 < 2 <= 2")
    assert not evaluate("1 < 2 < 2")


def test_a_schedule_in_pieces_takes_one_branch() -> None:
    cosine = (
        "rate * step / warmup if step <= warmup else rate * 0.5 * (1 + cos(pi * (step - warmup) / (total - warmup)))"
    )
    names = {"rate": 2.0, "warmup": 10, "total": 30}
    assert evaluate(cosine, {**names, "step": 5}) == 1.0
    assert evaluate(cosine, {**names, "step": 20}) == pytest.approx(1.0)  # half way: cos(pi / 2) = 0
    assert evaluate("1 / zero if zero else 7", {"zero": 0}) == 7  # the other branch is not evaluated
    assert [evaluate("(a > 1 and a < 5) or not a", {"a": a}) for a in (0, 1, 3)] == [True, False, True]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("__import__('os').system('true')", "call"),
        ("a.b", "a.b"),
        ("[1, 2]", "[1, 2]"),
        ("'text'", "constant 'text'"),
        ("True", "constant True"),
        ("min(x for x in y)", "contains"),
        ("lambda: 1", "lambda"),
        ("1 << 3", "LShift"),
        ("sqrt", "without its arguments"),
        ("print(1)", "print(1)"),
        ("min(1, key=2)", "call"),
        ("1 +", "not an arithmetic expression"),
        ("", "not an arithmetic expression"),
        ("1\0", "not an arithmetic expression"),
        ("(" * 900 + "1" + ")" * 900, "not an arithmetic expression"),
        ("1" * 3000, "3000 characters"),
    ],
)
def test_refuses_everything_else(text: str, says: str) -> None:
    with pytest.raises(ExpressionError, match=None) as error:
        Expression(text)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a / zero", "zero = 0"),
        ("sqrt(-a)", "no value"),
        ("(-a) ** 0.5", "no real fractional power"),
        ("exp(1000 * a)", "no value"),
        ("9 ** 9 ** 9", "no value"),  # must fail, not hang
        ("a + unknown", "unknown"),
    ],
)
def test_says_why_there_is_no_value(text: str, says: str) -> None:
    with pytest.raises(ExpressionError) as error:
        evaluate(text, {"a": 3, "zero": 0})
    assert says in str(error.value)
