"""Model: does it compute what the paper describes? Stage by stage, and its parameter counts against the paper's."""

from __future__ import annotations

from repro.findings import Evidence
from repro.phases.context import PhaseContext
from repro.phases.facts import measure_facts
from repro.phases.gate import run_gate


def run(context: PhaseContext) -> Evidence:
    bench = context.bench()
    modules = bench.modules(bench.model())
    parameters = {p.data_ptr(): p.numel() for module in modules.values() for p in module.parameters()}
    total = sum(parameters.values())
    facts = measure_facts(context)
    summary = f"{total:,} parameters"
    if facts:
        summary += f" · {len(facts)} facts measured"
    return run_gate("model", context, summary=summary, data={"parameters": total, "facts": facts})
