"""Loss: exactly as described? Known inputs and outputs, its value at initialisation, the gradients it sends back."""

from __future__ import annotations

from repro.findings import Evidence
from repro.phases.context import PhaseContext
from repro.phases.gate import run_gate


def run(context: PhaseContext) -> Evidence:
    return run_gate("loss", context)
