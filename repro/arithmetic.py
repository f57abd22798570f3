"""Arithmetic written as text in a config or a reference table, evaluated without executing code.

One grammar serves derivations ("hours * 3600 * gpus * flops_per_second") and learning-rate schedules
("d_model**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)"): numbers, names, + - * / // % **, comparisons
(true counts as 1), `a if condition else b`, `and`, `or`, `not`, and the functions below. Everything else is an error
that names the offending part.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from repro.errors import ReproError

Number = int | float


class ExpressionError(ReproError):
    """An expression cannot be read or evaluated; the message quotes it and names the part at fault."""


FUNCTIONS: dict[str, Callable[..., Number]] = {
    "min": min,
    "max": max,
    "sqrt": math.sqrt,
    "log": math.log,
    "exp": math.exp,
    "sin": math.sin,
    "cos": math.cos,
    "tanh": math.tanh,
    "abs": abs,
    "round": round,
    "floor": math.floor,
    "ceil": math.ceil,
}
CONSTANTS: dict[str, float] = {"pi": math.pi}

BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: lambda base, exponent: power(base, exponent),
}
UNARY: dict[type[ast.unaryop], Callable[[Number], Number]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Number, Number], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}

#: Beyond this a power of whole numbers is taken in floating point: 9**9**9 must not hang a table.
LARGEST_WHOLE_EXPONENT = 512
LONGEST_EXPRESSION = 2000  # characters; deeper nesting than this allows would exhaust Python's stack


def power(base: Number, exponent: Number) -> Number:
    """base ** exponent; huge whole powers in floating point, complex results refused with ValueError."""
    if isinstance(base, int) and isinstance(exponent, int) and exponent > LARGEST_WHOLE_EXPONENT:
        base = float(base)
    result = base**exponent
    if isinstance(result, complex):
        raise ValueError("a negative number has no real fractional power")
    return result


@dataclass(frozen=True)
class Expression:
    """A checked expression: `Expression("a + b")(a=1, b=2) == 3`. `names` are the free names it needs."""

    text: str
    names: frozenset[str] = field(init=False, compare=False)
    tree: ast.expr = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        tree = parse(self.text)
        names = {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and node.id not in FUNCTIONS and node.id not in CONSTANTS
        }
        object.__setattr__(self, "tree", tree)
        object.__setattr__(self, "names", frozenset(names))

    def __call__(self, **names: Number) -> Number:
        return self.evaluate(names)

    def evaluate(self, names: Mapping[str, Number]) -> Number:
        """The value for `names`; raises ExpressionError for a missing name, a domain error or an overflow."""
        missing = sorted(self.names - set(names))
        if missing:
            known = ", ".join(sorted(names)) or "none"
            raise ExpressionError(f"{self.text!r} uses {', '.join(missing)}, which no name gives. Known: {known}.")
        try:
            return value_of(self.tree, names)
        except (ArithmeticError, ValueError, TypeError) as error:
            given = ", ".join(f"{name} = {names[name]!r}" for name in sorted(self.names))
            raise ExpressionError(f"{self.text!r} has no value for {given or 'no names'}: {error}") from error


@lru_cache(maxsize=1024)
def compiled(text: str) -> Expression:
    """The checked expression of `text`, parsed once."""
    return Expression(text)


def evaluate(text: str, names: Mapping[str, Number] | None = None) -> Number:
    """The value of an expression; see the module's docstring for the grammar. Raises ExpressionError."""
    return compiled(text).evaluate(names or {})


def parse(text: str) -> ast.expr:
    """The syntax tree of an expression, every node of it allowed; else ExpressionError."""
    if len(text) > LONGEST_EXPRESSION:
        raise ExpressionError(f"An expression has {len(text)} characters; {LONGEST_EXPRESSION} is the most.")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        check(tree, text)
    except SyntaxError as error:
        raise ExpressionError(f"{text!r} is not an arithmetic expression: {error.msg}.") from error
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes; nesting beyond the parser's stack
        raise ExpressionError(f"{text[:60]!r} is not an arithmetic expression: {error}.") from error
    return tree


def check(node: ast.expr, text: str) -> None:
    """Raise ExpressionError unless `node` and all below it belong to the grammar."""

    def refuse(what: str) -> ExpressionError:
        allowed = (
            f"numbers, names, + - * / // % **, comparisons, a if condition else b, and, or, not, {', '.join(FUNCTIONS)}"
        )
        return ExpressionError(f"{text!r} contains {what}; allowed are {allowed}.")

    match node:
        case ast.Constant(value=value):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise refuse(f"the constant {value!r}")
        case ast.Name(id=name):
            if name in FUNCTIONS:
                raise refuse(f"the function {name} without its arguments")
        case ast.BinOp(left=left, op=op, right=right):
            if type(op) not in BINARY:
                raise refuse(f"the operator {type(op).__name__}")
            check(left, text)
            check(right, text)
        case ast.UnaryOp(op=unary, operand=operand):
            if type(unary) not in UNARY:
                raise refuse(f"the operator {type(unary).__name__}")
            check(operand, text)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            for comparison in ops:
                if type(comparison) not in COMPARISONS:
                    raise refuse(f"the comparison {type(comparison).__name__}")
            for part in (left, *comparators):
                check(part, text)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            for part in (test, body, orelse):
                check(part, text)
        case ast.BoolOp(values=parts):
            for part in parts:
                check(part, text)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            for part in arguments:
                check(part, text)
        case ast.Call():
            raise refuse(f"the call {ast.unparse(node)!r}")
        case _:
            raise refuse(repr(ast.unparse(node)))


def value_of(node: ast.expr, names: Mapping[str, Number]) -> Number:
    """The value of a checked tree."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id=name):
            return names[name] if name in names else CONSTANTS[name]
        case ast.BinOp(left=left, op=op, right=right):
            return BINARY[type(op)](value_of(left, names), value_of(right, names))
        case ast.UnaryOp(op=unary, operand=operand):
            return UNARY[type(unary)](value_of(operand, names))
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            values = [value_of(part, names) for part in (left, *comparators)]
            return all(COMPARISONS[type(op)](a, b) for op, a, b in zip(ops, values, values[1:], strict=False))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return value_of(body if value_of(test, names) else orelse, names)  # the other branch may have no value
        case ast.BoolOp(op=joint, values=parts):
            every = isinstance(joint, ast.And)
            return all(value_of(p, names) for p in parts) if every else any(value_of(p, names) for p in parts)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return FUNCTIONS[name](*(value_of(part, names) for part in arguments))
    raise ExpressionError(f"{ast.unparse(node)!r} was never checked")
