"""Evaluation: does it measure what the paper reports? Oracle predictions, invariances, an untrained model."""

from __future__ import annotations

from repro.findings import Evidence
from repro.phases.context import PhaseContext
from repro.phases.gate import run_gate


def run(context: PhaseContext) -> Evidence:
    return run_gate("evaluation", context)
