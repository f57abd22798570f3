"""Facts measured from the person's code, each under the configuration that its record names: exact, so no seed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from repro.arithmetic import evaluate
from repro.contract.paper import Paper
from repro.errors import ReproError

if TYPE_CHECKING:
    from repro.phases.context import PhaseContext


def parameters(paper: Paper) -> float:
    """Number of trainable parameters; a shared one counts once. The model is built without memory (meta device)."""
    import torch

    with torch.device("meta"):
        model = paper.build_model(None)
    modules = {"model": model} if isinstance(model, torch.nn.Module) else model
    # Module.parameters() already yields a shared parameter once a module; several modules may still share one
    unique = {id(p): p.numel() for module in modules.values() for p in module.parameters() if p.requires_grad}
    return float(sum(unique.values()))


def learning_rate_peak(paper: Paper) -> float:
    """The largest learning rate at the breaks of the declared schedule, as the person's `learning_rate` piece gives it.

    The formula is declared and the piece is compared with it by a check, so at a break both are the same number; the
    piece is asked because the fact is about the code.
    """
    schedule = paper.schedule
    names = {name: float(value) for name, value in (schedule.get("names") or {}).items()}
    breaks = [round(evaluate(str(expression), names)) for expression in schedule.get("breaks") or [1]]
    steps = sorted({max(1, step + shift) for step, shift in itertools.product(breaks, (-1, 0, 1))})
    piece = paper.piece("learning_rate")
    if piece is not None:
        integers = {name: int(value) if value == int(value) else value for name, value in names.items()}
        return max(float(piece(step, **integers)) for step in steps)
    return max(evaluate(str(schedule["learning_rate"]), {**names, "step": float(step)}) for step in steps)


#: What a record's `fact.name` may say; the value is in plain units.
MEASURES: dict[str, Callable[[Paper], float]] = {
    "parameters": parameters,
    "learning_rate_peak": learning_rate_peak,
}


def measure_facts(context: PhaseContext) -> dict[str, Any]:
    """Every measurable fact of the table by record id: {"value": number} or {"error": why it could not be measured}."""
    measured: dict[str, Any] = {}
    done: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {}
    for record in context.table.records if context.table else ():
        if record.fact is None or record.fact.name not in MEASURES:
            continue
        key = (record.fact.name, record.fact.overrides)
        if key not in done:
            context.progress("model", f"fact {record.id}")
            try:
                paper = with_overrides(context, record.fact.overrides)
                done[key] = {"value": MEASURES[record.fact.name](paper)}
            except ReproError as fault:
                done[key] = {"error": str(fault)}
        measured[record.id] = done[key]
    return measured


def with_overrides(context: PhaseContext, overrides: tuple[str, ...]) -> Paper:
    """The paper of this run with some values changed: `model.width=512` reaches all that refers to the width."""
    import yaml

    changes = {}
    for override in overrides:
        key, _, value = override.partition("=")
        changes[key] = yaml.safe_load(value)
    return Paper.from_config(context.composed.with_changes(changes).config)
