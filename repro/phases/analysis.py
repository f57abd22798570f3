"""Analysis: what is the minimal algorithm, where are the tricky parts, and does the paper agree with itself?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from repro.findings import Evidence
from repro.phases.context import PhaseContext
from repro.phases.gate import run_gate


def run(context: PhaseContext) -> Evidence:
    audit = audit_records(context)
    parts = []
    guarded = len(context.paper.tricky_parts)
    parts.append(f"{guarded} tricky part{'s' if guarded != 1 else ''} guarded")
    if context.table is not None:
        contradictions = sum(entry["verdict"] == "paper_inconsistent" for entry in audit)
        contradicted = f", {contradictions} contradict the paper" if contradictions else ""
        numbers = len(context.table.records)
        parts.append(f"{numbers} reference number{'s' if numbers != 1 else ''}{contradicted}")
    return run_gate("analysis", context, summary=" · ".join(parts), data={"audit": audit})


def audit_records(context: PhaseContext) -> list[dict[str, Any]]:
    """What the audit of the reference table derived, as plain records."""
    from repro.reference.audit import audit

    if context.table is None:
        return []
    return [asdict(result) for result in audit(context.table)]
