"""What checks of pieces share: results on several inputs against an oracle's, accepted forms, known mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.checks import tolerance
from repro.checks.inputs import component_location
from repro.checks.oracle import bound_piece
from repro.checks.registry import failed, passed
from repro.contract.bench import Bench
from repro.contract.components import persons_errors
from repro.errors import ComponentError
from repro.findings import Finding

#: What bool flags are handed over as, in this order: whichever the piece takes without raising.
FLAG_DTYPES = (None, torch.bool, torch.int64)


@dataclass(frozen=True)
class Case:
    """One call of a piece: its arguments, the oracle's result, and results of conventions and of known mistakes.

    Results of a loss are given for each example. A piece that returns one number may return their mean or their sum.
    """

    arguments: tuple[Any, ...]
    expected: np.ndarray
    wrong: Mapping[str, np.ndarray] = field(default_factory=dict)
    accepted: Mapping[str, np.ndarray] = field(default_factory=dict)
    reduced: bool = False  # whether one number, the mean or the sum, is a right result


def tensors(bench: Bench, arguments: Sequence[Any], flags: torch.dtype | None = None) -> list[Any]:
    """NumPy arrays as tensors: floats in the bench's precision, flags (bool) as numbers or in the dtype given."""

    def convert(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        made = torch.from_numpy(np.ascontiguousarray(value).copy())
        if made.dtype == torch.bool:
            return made.to(flags or bench.dtype)
        return made.to(bench.dtype) if made.is_floating_point() else made

    return [convert(value) for value in arguments]


def result_of(bench: Bench, name: str, signature: str, *arguments: Any, gradient: bool = False) -> Any:
    """What the piece returns (the first of several), or the finding that says why it cannot be called.

    With `gradient` the graph is kept. Flags are tried as numbers first, then as bool, then as integers.
    """
    has_flags = any(isinstance(value, np.ndarray) and value.dtype == np.bool_ for value in arguments)
    first: ComponentError | None = None
    for flags in FLAG_DTYPES if has_flags else FLAG_DTYPES[:1]:
        given = tensors(bench, arguments, flags)
        piece = bound_piece(bench, name, signature, *given)
        if isinstance(piece, Finding):
            return piece
        try:
            with (
                persons_errors(f"pieces.{name} raised on {signature}"),
                bench.precision(),
                torch.set_grad_enabled(gradient),
            ):
                returned = piece(*given)
        except ComponentError as failure:
            first = first or failure
            continue
        return returned[0] if isinstance(returned, (tuple, list)) else returned
    assert first is not None
    raise first


def fields_of(bench: Bench, name: str, **more: Any) -> dict[str, Any]:
    """Component and location of a finding about a piece."""
    return {"component": name, "location": component_location(bench, f"pieces.{name}"), **more}


def close(ours: Tensor, reference: np.ndarray) -> bool:
    """Whether they are equal up to the order of summation, shape included."""
    if tuple(ours.shape) != reference.shape:
        return False
    other = torch.from_numpy(np.ascontiguousarray(reference))
    return bool(tolerance.difference(ours, other).max() <= tolerance.other_order(other)) if ours.numel() else True


def forms(ours: Tensor, reference: np.ndarray, reduced: bool) -> dict[str, np.ndarray]:
    """The reference as it is, and where one number is returned its mean and sum over all entries."""
    found = {"": reference}
    if reduced and ours.numel() == 1 and reference.size > 1:
        shape = tuple(ours.shape)
        found = {"mean": np.full(shape, reference.mean()), "sum": np.full(shape, reference.sum())}
    return found


def matching(ours: Tensor, reference: np.ndarray, reduced: bool) -> set[str]:
    return {form for form, value in forms(ours, reference, reduced).items() if close(ours, value)}


def compare(
    bench: Bench, name: str, signature: str, cases: Sequence[Case], words: Mapping[str, str], what: str
) -> Finding:
    """Judge a piece on all cases. A mistake is named if it gives exactly the piece's result in every one of them."""
    results: list[Tensor] = []
    for case in cases:
        ours = result_of(bench, name, signature, *case.arguments)
        if isinstance(ours, Finding):
            return ours
        results.append(torch.as_tensor(ours).detach())
    pairs = list(zip(results, cases, strict=True))
    fields = fields_of(bench, name)
    right: list[tuple[str, list[set[str]]]] = [("", [matching(r, c.expected, c.reduced) for r, c in pairs])]
    for convention in cases[0].accepted:
        right.append((convention, [matching(r, c.accepted[convention], c.reduced) for r, c in pairs]))
    for convention, found in right:
        if set.intersection(*found):
            note = f", {convention}" if convention else ""
            return passed(f"{name} agrees with its oracle on random inputs{note}", expected=what, **fields)
    same = [
        words[mistake]
        for mistake in words
        if all(mistake in c.wrong for c in cases)
        and set.intersection(*(matching(r, c.wrong[mistake], c.reduced) for r, c in pairs))
    ]
    # the first case that no reading of the oracle agrees with; cases may also agree one by one, but not alike
    number = next((i for i in range(len(pairs)) if not any(found[i] for _, found in right)), 0)
    ours, case = pairs[number]
    references = forms(ours, case.expected, case.reduced)
    reference = next(iter(references.values()))
    if tuple(ours.shape) == reference.shape:
        other = torch.from_numpy(np.ascontiguousarray(reference))
        bound = tolerance.other_order(other)
        gap = float(tolerance.difference(ours, other).max())
        fields |= {
            "expected": f"{what}: {shown(reference)}",
            "observed": f"{shown(ours.double().numpy())}, largest difference {tolerance.number(gap)}",
            "threshold": f"{tolerance.number(bound)} ({tolerance.why_other_order()})",
        }
    else:
        fields |= {
            "expected": f"{what}: shape {list(reference.shape)}",
            "observed": f"shape {list(ours.shape)}",
            "threshold": "exact",
        }
    if same:
        fields["observed"] += f"; it is exactly what comes out when {same[0]}"
    likely = tuple(dict.fromkeys((*same, *words.values())))[:4]
    return failed(f"{name} differs from its oracle", likely=likely, details={"matches": same}, **fields)


def shown(value: np.ndarray) -> str:
    """A number, or the first few of an array."""
    flat = np.asarray(value, dtype=np.float64).reshape(-1)
    text = ", ".join(f"{number:.4g}" for number in flat[:4])
    return text if flat.size == 1 else f"[{text}{', …' if flat.size > 4 else ''}]"


def gradients(bench: Bench, name: str, signature: str, arguments: Sequence[Any], wanted: Sequence[int]) -> Any:
    """d (sum of the result) / d argument for the arguments at `wanted` (None: not in the graph), or a finding."""
    given = list(tensors(bench, arguments))
    for place in wanted:
        given[place] = given[place].requires_grad_()
    returned = result_of(bench, name, signature, *given, gradient=True)
    if isinstance(returned, Finding):
        return returned
    if not isinstance(returned, Tensor) or not returned.requires_grad:
        return [None for _ in wanted]
    return list(torch.autograd.grad(returned.sum(), [given[place] for place in wanted], allow_unused=True))


def is_zero(gradient: Tensor | None) -> bool:
    return gradient is None or not bool(gradient.abs().sum() > 0)
