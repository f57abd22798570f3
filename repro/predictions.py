"""Predict before you look: measured in the person's own model, judged by number within the digits given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from repro.arithmetic import ExpressionError, evaluate
from repro.errors import ComponentError, ConfigError
from repro.reference.printed import Printed, is_number

if TYPE_CHECKING:
    from repro.contract.bench import Bench

#: However few digits are given, a prediction further off than this part of the number is wrong.
COARSEST = 0.05
#: An expression is exact, and still may leave out what is small.
OF_EXPRESSION = 0.005
SEEDS = 3


@dataclass(frozen=True)
class Truth:
    """What was measured: one number for each seed, or a shape; `text` says it in words."""

    values: tuple[float, ...]
    text: str
    exact: bool = False


def measure(what: str, bench: Bench) -> Truth:
    """The truth of a prediction: "parameters", "initial_loss", or "shape <stage>". `ConfigError` for anything else."""
    kind, _, stage = what.partition(" ")
    if kind == "parameters":
        from repro.phases.facts import parameters

        count = parameters(bench.paper)
        return Truth((count,), f"{count:,.0f} trainable parameters")
    if kind == "initial_loss":
        values = tuple(initial_loss(bench, seed) for seed in range(SEEDS))
        return Truth(values, f"{sum(values) / SEEDS:.4g} (over {SEEDS} seeds {min(values):.4g} … {max(values):.4g})")
    if kind == "shape" and stage:
        shape = shape_of(bench, stage)
        return Truth(tuple(map(float, shape)), f"[{', '.join(map(str, shape))}]", exact=True)
    raise ConfigError(f"predict: got {what!r}, need parameters, initial_loss or shape <stage>")


def initial_loss(bench: Bench, seed: int) -> float:
    """`total` of a fresh model on a synthetic batch, of several losses together."""
    import torch

    model, batch = bench.model(seed), bench.synthetic(8, seed)
    for module in bench.modules(model).values():
        module.eval()
    with torch.no_grad():
        return float(bench.terms(model, batch)["total"])


def shape_of(bench: Bench, stage: str) -> list[int]:
    """Shape of the output of the first submodule that a stage's glob names, for 3 synthetic examples."""
    import torch

    from repro.checks.modules import capturing

    model, batch = bench.model(), bench.synthetic(3)
    for owner, module in bench.modules(model).items():
        module.eval()
        named = {name: part for name, part in module.named_modules() if name and fnmatchcase(name, stage)}
        if named:
            first = next(iter(named))
            with torch.no_grad(), capturing([(first, named[first])]) as captured:
                bench.forward(model, batch, owner)
            if first in captured:
                return list(captured[first].shape)
    raise ComponentError(f"model: no submodule matches the stage {stage}, or none is called.")


def readable(what: str, text: str) -> None:
    """Raise `ConfigError` for text that cannot be a prediction of this kind, before anything is measured."""
    if what.partition(" ")[0] == "shape":
        sizes(text)
    else:
        read(text)


def judge(truth: Truth, text: str) -> bool:
    """Whether a prediction is right: within the rounding of its own digits (5 % at most), or within the seeds' spread.

    Raises `ConfigError` for text that is no number, expression or shape.
    """
    if truth.exact:
        return sizes(text) == [int(value) for value in truth.values]
    number, half_width = read(text)
    low, high = min(truth.values), max(truth.values)
    middle = sum(truth.values) / len(truth.values)
    slack = max(min(half_width, COARSEST * abs(middle)), 1e-9 * abs(middle))
    return low - slack <= number <= high + slack


def sizes(text: str) -> Sequence[int]:
    found = re.fullmatch(r"\s*[\[(]?\s*(\d+(?:\s*[,x× ]\s*\d+)*)\s*,?\s*[\])]?\s*", text)
    if not found:
        raise ConfigError(f"got {text!r}, need a size for each axis, such as 3, 7, 64")
    return [int(size) for size in re.findall(r"\d+", found[1])]


def read(text: str) -> tuple[float, float]:
    """A number and half of its last digit; the zeros at the end of a whole number are taken for rounding."""
    typed = text.strip().replace("×10^", "e").replace(" ", "")
    scaled = re.fullmatch(r"(.*\d)([kKM])", typed)
    if scaled:
        typed = f"{scaled[1]}e{3 if scaled[2] in 'kK' else 6}"
    if is_number(typed):
        printed = Printed(typed)
        zeros = re.fullmatch(r"[-+]?[\d,]*?[1-9]([0,]*)", typed)
        return printed.number, printed.half_width * 10 ** (zeros[1].count("0") if zeros else 0)
    try:
        value = float(evaluate(typed, {}))
    except ExpressionError as fault:
        why = f": {fault.message}" if any(map(str.isdigit, typed)) else ""  # of mere words there is nothing to explain
        raise ConfigError(f"got {text!r}, need a number or an expression such as log(203){why}") from None
    return value, OF_EXPRESSION * abs(value)
