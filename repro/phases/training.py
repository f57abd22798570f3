"""Training: is one update the paper's update? At most 50 updates, watched from outside; one batch memorised."""

from __future__ import annotations

from repro.findings import Evidence
from repro.phases.context import PhaseContext
from repro.phases.gate import run_gate


def run(context: PhaseContext) -> Evidence:
    return run_gate("training", context)
