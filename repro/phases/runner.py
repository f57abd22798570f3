"""Run the phases in order: reuse evidence that still holds, stop at the first gate that stays shut, always report."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from repro import phases
from repro.contract.components import short_traceback
from repro.contract.paper import Paper
from repro.errors import ComponentError, ConfigError, ExitCode
from repro.findings import Evidence, Finding, Gate, Outcome
from repro.phases.context import PhaseContext
from repro.phases.fingerprints import phase_fingerprint

if TYPE_CHECKING:
    from repro.commands.display import Display
    from repro.configuration.compose import Composed

#: The component that each phase is about; without it the step is to do.
NEEDS = {
    "data": "data",
    "model": "model",
    "loss": "loss",
    "training": "training",
    "evaluation": "evaluation",
}


def run_phases(composed: Composed, *, command: str, only: list[str] | None = None, display: Display) -> ExitCode:
    """Run the phases that are asked for and return the exit code of DESIGN's table.

    `only` narrows the phases that the config lists (`check` gives those without long training). Evidence whose
    fingerprint still holds is shown and not redone. Verdict and report are written whatever happened.
    """
    from repro.phases import conclusion
    from repro.phases.folder import open_folder, read_table

    paper = Paper.from_config(composed.config)
    names = chosen_phases(paper.settings, only)
    folder = open_folder(composed, paper, command)
    with ExitStack() as stack:
        stack.enter_context(folder.lock())
        context = PhaseContext(composed, paper, folder, display, table=read_table(paper), stack=stack)
        gate_open = True
        for name in names:
            evidence = run_phase(name, context)
            context.evidence[name] = evidence
            if evidence.outcome is Gate.PASSED:
                continue
            gate_open = False
            if evidence.outcome is Gate.TO_DO or not paper.settings.get("keep_going"):
                break
        return conclusion.conclude_run(context, names, gate_open)


def chosen_phases(settings: dict[str, Any], only: list[str] | None) -> list[str]:
    """The phases to run, in their order. Raises `ConfigError` for a name that is no phase."""
    wanted = settings.get("phases")
    wanted = [wanted] if isinstance(wanted, str) else list(wanted or phases.ORDER)
    unknown = [name for name in wanted if name not in phases.ORDER]
    if unknown:
        raise ConfigError(f"phases: got {', '.join(map(str, unknown))}; known are {', '.join(phases.ORDER)}")
    return [name for name in phases.ORDER if name in wanted and (only is None or name in only)]


def run_phase(name: str, context: PhaseContext) -> Evidence:
    """The evidence of one phase, from the folder where its fingerprint still holds."""
    fingerprint = phase_fingerprint(name, context.paper, context.table.hash if context.table else "")
    partial = bool((context.settings.get("check") or {}).get("only"))
    before = context.folder.read_evidence(name)
    context.display.phase_started(name)
    # seeds may have been added or lost: the processes of the reproduction know themselves what is done
    holds = before is not None and before.fingerprint == fingerprint and before.outcome is Gate.PASSED
    if before is not None and holds and not partial and name != "reproduction":
        context.display.phase_finished(before, reused=True)
        return before
    start = time.perf_counter()
    try:
        evidence = to_do(name, context) or phases.load(name).run(context)
    except ComponentError as fault:
        evidence = failed_component(name, fault)
    seconds = round(time.perf_counter() - start, 3)
    evidence = replace(evidence, seconds=seconds, fingerprint="" if partial else fingerprint)
    if not partial:
        context.folder.write_evidence(evidence)
    context.display.phase_finished(evidence)
    return evidence


def to_do(name: str, context: PhaseContext) -> Evidence | None:
    """Evidence that the step is to do, when the paper names no component for it yet."""
    component = NEEDS.get(name)
    if component is None or context.paper.has(component):
        return None
    paper = context.paper.name
    return Evidence(
        phase=name,
        outcome=Gate.TO_DO,
        summary=f"to do: write {component}.py and name it in conf/paper/{paper}.yaml as "
        f"`{component}: {{_target_: {paper}.{component}.…}}`",
    )


def failed_component(name: str, fault: ComponentError) -> Evidence:
    """A component that cannot be imported, built or called fails its gate with the person's own traceback."""
    cause = fault.__cause__
    trace = short_traceback(cause) if cause is not None else ""
    finding = Finding(
        check="component",
        component=NEEDS.get(name, name),
        outcome=Outcome.ERROR,
        summary=fault.message,
        expected=fault.hint,
        location=trace.splitlines()[0].strip() if trace else "",
        family="declaration",
    )
    return Evidence(phase=name, outcome=Gate.FAILED, summary=fault.message.splitlines()[0], findings=(finding,))
