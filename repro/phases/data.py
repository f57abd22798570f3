"""Data: is every tensor what the config declares, in every split, synthetic first and real after?"""

from __future__ import annotations

from repro.findings import Evidence
from repro.phases.context import PhaseContext
from repro.phases.gate import run_gate
from repro.phases.systems import distinct


def run(context: PhaseContext) -> Evidence:
    for system, paper in distinct("data", context):
        context.bench(system.name, paper).data()  # what cannot be built is said once, not by every check by itself
    name = (context.settings.get("dataset") or {}).get("name") or "data"
    declared = len(context.paper.tensors)
    return run_gate("data", context, summary=f"{name} · {declared} tensors declared")
