"""Run the phases in order: reuse evidence that still holds, stop at the first gate that stays shut, always report."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from repro import phases
from repro.contract.components import short_traceback, unfinished_in
from repro.contract.paper import Paper
from repro.errors import ComponentError, ConfigError, ExitCode
from repro.findings import Evidence, Finding, Gate, Outcome
from repro.phases.context import PhaseContext
from repro.phases.fingerprints import paper_sources, phase_fingerprint
from repro.phases.to_do import ToDo, awaited_now_written, component_at, evidence_of, to_do
from repro.questions import progress_of

if TYPE_CHECKING:
    from repro.commands.display import Display
    from repro.configuration.compose import Composed

#: Phases whose results of training are kept and not made again.
TRAINING = ("gauntlet", "reproduction")
#: The component that each phase is about.
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

    try:
        paper = Paper.from_config(composed.config)
    except ConfigError as fault:
        raise placed(fault, composed) from fault
    names = chosen_phases(paper.settings, only)
    folder = open_folder(composed, paper, command)
    with ExitStack() as stack:
        stack.enter_context(folder.lock())
        context = PhaseContext(composed, paper, folder, display, table=read_table(paper), stack=stack)
        gate_open = True
        names = those_of_one_check(names, context)
        for name in names:
            evidence = run_phase(name, context)
            context.evidence[name] = evidence
            if evidence.outcome is Gate.PASSED:
                continue
            gate_open = False
            # an analysis can be written later; code that is missing cannot be run
            if (evidence.outcome is Gate.TO_DO and name != "analysis") or not paper.settings.get("keep_going"):
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


def those_of_one_check(names: list[str], context: PhaseContext) -> list[str]:
    """With check.only=…, the phases that it gates: no other is run, and none seems to have passed. Else all of them."""
    from repro.phases.gate import planned_checks
    from repro.phases.systems import distinct

    only = (context.settings.get("check") or {}).get("only")
    if not only:
        return names
    found = [
        name for name in names if any(planned_checks(name, context, paper) for _, paper in distinct(name, context))
    ]
    if not found:
        raise ConfigError(
            f"check.only: {only} gates no phase of {context.paper.name} among {', '.join(names)}.",
            "A check that the paper's kind does not plan is declared under `properties:` of its config.",
        )
    return found


def run_phase(name: str, context: PhaseContext) -> Evidence:
    """The evidence of one phase, from the folder where its fingerprint still holds."""
    fingerprint = phase_fingerprint(name, context.paper, context.table.hash if context.table else "")
    partial = bool((context.settings.get("check") or {}).get("only"))
    before = context.folder.read_evidence(name)
    context.display.phase_started(name)
    # seeds may have been added or lost: the processes of the reproduction know themselves what is done
    holds = before is not None and before.fingerprint == fingerprint and before.outcome is Gate.PASSED
    if before is not None and holds and not partial and name != "reproduction":
        before = replace(before, questions=progress_of(context.paper, name, context.folder.root.parent))
        if not (blocked_by_questions(before, context) or awaited_now_written(before, context.paper)):
            context.display.phase_finished(before, reused=True)
            return before
    start, then = time.perf_counter(), trained(context)
    try:
        missing = to_do(name, context.paper, context.composed.place)
        evidence = evidence_of(name, missing) if missing else phases.load(name).run(context)
    except ComponentError as fault:
        unfinished = unfinished_in(fault)
        if unfinished is None:
            evidence = failed_component(name, fault)
        else:
            location, what = unfinished
            component = component_at(location, context.paper) or NEEDS.get(name, name)
            evidence = evidence_of(name, [ToDo(component, what or "write it", location)])
    except ConfigError as fault:
        raise placed(fault, context.composed) from fault
    seconds = round(time.perf_counter() - start, 3)
    evidence = replace(evidence, seconds=seconds, fingerprint="" if partial else fingerprint)
    context.display.phase_finished(evidence)
    if partial:
        return evidence
    if before is not None and name in TRAINING:
        evidence = replace(evidence, seconds=work_seconds(before.seconds, evidence.seconds, then, trained(context)))
    context.folder.write_evidence(evidence, paper_sources(context.paper))
    return evidence


def trained(context: PhaseContext) -> tuple[str | None, float]:
    """The newest code, and the seconds that all its processes have trained."""
    seconds = sum(store.record.get("seconds") or 0.0 for store in context.folder.processes())
    return context.folder.newest_code, float(seconds)


def work_seconds(before: float, now: float, then: tuple[str | None, float], after: tuple[str | None, float]) -> float:
    """What a phase that trains took, in seconds: `before` in earlier passes, `now` in this one.

    A pass that only read what lay there keeps the time of the pass that did the work; seeds that were added to the
    same code add theirs; other code begins anew. `then` and `after` are what `trained` said around this pass.
    """
    if after == then:
        return max(before, now)
    return before + now if after[0] == then[0] else now


def blocked_by_questions(evidence: Evidence, context: PhaseContext) -> bool:
    """Whether kept evidence no longer opens its gate, because questions became required or were added."""
    counted = evidence.questions
    return context.settings.get("questions") == "required" and counted["answered"] < counted["total"]


def placed(fault: ConfigError, composed: Composed) -> ConfigError:
    """The fault with file and line behind each config key that it names."""
    lines = []
    for line in fault.message.splitlines():
        key = re.match(r"\s*(?P<key>[A-Za-z_][\w.*-]*(?:\[\d+\])?[\w.]*):|There is no check '(?P<check>\w+)'", line)
        place = composed.place(setting(key["key"] or key["check"], composed)) if key else ""
        lines.append(f"{line} ({place})" if place and "yaml line" not in line else line)
    return ConfigError("\n".join(lines), fault.hint)


def setting(key: str, composed: Composed) -> str:
    """The dotted key that a message means: `properties[0]` is `properties.0`, a check's name its property."""
    for position, entry in enumerate(composed.config.get("properties") or ()):
        if key == entry.get("property"):
            return f"properties.{position}"
    return re.sub(r"\[(\d+)\]", r".\1", key)


def failed_component(name: str, fault: ComponentError) -> Evidence:
    """A component that cannot be imported, built or called fails its gate with the person's own traceback."""
    cause = fault.__cause__
    component = NEEDS.get(name, name)
    trace = short_traceback(cause) if cause is not None else ""
    finding = Finding(
        check="component",
        component=component,
        outcome=Outcome.ERROR,
        summary=fault.message.removeprefix(f"{component}: "),
        reason=fault.hint,
        location=trace.splitlines()[0].strip() if trace else "",
        family="declaration",
    )
    return Evidence(phase=name, outcome=Gate.FAILED, summary=f"{component} does not run", findings=(finding,))
