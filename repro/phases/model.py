"""Model: does it compute what the paper describes? Stage by stage, and its parameter counts against the paper's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repro.findings import Evidence
from repro.phases.context import PhaseContext
from repro.phases.facts import measure_facts
from repro.phases.gate import run_gate
from repro.phases.systems import distinct

if TYPE_CHECKING:
    from repro.contract.bench import Bench


def run(context: PhaseContext) -> Evidence:
    totals = {
        system.name: parameters_of(context.bench(system.name, paper)) for system, paper in distinct("model", context)
    }
    facts = measure_facts(context)
    summary = ", ".join(f"{name} {total:,}".strip() for name, total in totals.items()) + " parameters"
    if facts:
        summary += f" · {len(facts)} facts measured"
    data: dict[str, Any] = {"parameters": next(iter(totals.values())), "facts": facts}
    if len(totals) > 1:
        data["systems"] = totals
    return run_gate("model", context, summary=summary, data=data)


def parameters_of(bench: Bench) -> int:
    """Numbers in all parameters of the model; a shared one counts once."""
    modules = bench.modules(bench.model())
    return sum({p.data_ptr(): p.numel() for module in modules.values() for p in module.parameters()}.values())
