"""The gate of a phase: run its checks, count its questions, and conclude."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from repro.errors import ConfigError
from repro.findings import Evidence, Finding, Gate, Outcome, outcomes_of_checks
from repro.phases.context import PhaseContext
from repro.phases.fingerprints import entries_of
from repro.phases.systems import System, distinct
from repro.phases.to_do import evidence_of, reached

if TYPE_CHECKING:
    from repro.contract.paper import Paper


def planned_checks(phase: str, context: PhaseContext, paper: Paper | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Every check that gates this phase, with its options: the phase's, the type's, and the declared properties.

    `paper` is a system of the paper where it has several.

    An entry is a name, or a mapping {check: name, …options}. Raises `ConfigError` for anything else.
    """
    from repro import extensions
    from repro.checks import registry

    extensions.load(context.settings)
    planned: list[tuple[str, dict[str, Any]]] = []
    for entry in entries_of(phase, context.settings):
        if isinstance(entry, str):
            planned.append((entry, {}))
        elif isinstance(entry, Mapping) and isinstance(entry.get("check"), str):
            planned.append((entry["check"], {key: value for key, value in entry.items() if key != "check"}))
        else:
            raise ConfigError(
                f"phase.{phase}.checks: got {entry!r}, need the name of a check or {{check: name, …options}}"
            )
    for declared in (paper or context.paper).properties:
        if registry.find(declared.name).phase == phase:
            planned.append((declared.name, declared.options))
    # a property that the paper declares replaces the bare entry of its type
    declared_names = {name for name, options in planned if options}
    planned = [(name, options) for name, options in planned if options or name not in declared_names]
    only = (context.settings.get("check") or {}).get("only")
    if only:
        wanted = [only] if isinstance(only, str) else list(only)
        for name in wanted:
            registry.find(name)
        planned = [(name, options) for name, options in planned if name in wanted]
    return planned


def switched_off(settings: Mapping[str, Any]) -> dict[str, str]:
    """Reasons by the names of checks that the config takes out. Raises `ConfigError` for one without a reason."""
    from repro.checks import registry

    without = (settings.get("check") or {}).get("without") or {}
    if not isinstance(without, Mapping):
        raise ConfigError(f"check.without: got {without!r}, need a mapping.", "Such as {train_shuffled: <the reason>}.")
    for name, reason in without.items():
        registry.find(str(name))
        if not isinstance(reason, str) or not reason.strip():
            raise ConfigError(f"check.without.{name}: got {reason!r}, need the reason.", "It stands in the report.")
    return {str(name): reason.strip() for name, reason in without.items()}


def run_gate(phase: str, context: PhaseContext, summary: str = "", data: dict[str, Any] | None = None) -> Evidence:
    """Run every planned check of a phase and conclude. A finding that failed or raised keeps the gate shut.

    Of a paper with several systems, each that the checks can tell apart is checked.
    """
    from repro.checks import registry
    from repro.checks.evidence import weigh

    planned = [
        (system, paper, name, options)
        for system, paper in distinct(phase, context)
        for name, options in planned_checks(phase, context, paper)
    ]
    findings: list[Finding] = []
    without = switched_off(context.settings)
    for position, (system, paper, name, options) in enumerate(planned):
        if name in without:
            off = registry.find(name).switched_off(without[name])
            findings.append(of_system(off, system, context.paper.name) if system.name else off)
            continue
        context.progress(phase, f"{name} · {system.name}" if system.name else name, position, len(planned))
        for finding in registry.run_check(name, context.bench(system.name, paper), options):
            found = of_system(finding, system, context.paper.name) if system.name else finding
            findings.append(found)
            context.display.finding(found)
    return conclude(phase, context, weigh(findings), summary, data)


def of_system(finding: Finding, system: System, paper: str) -> Finding:
    """The finding with the system's name beside its component, and its overrides in the lines that repeat it."""
    typed = "".join(f', "{override}"' for override in system.overrides)
    return finding.with_changes(
        component=f"{finding.component} ({system.name})",
        alone=finding.alone.replace(f'.show("{paper}"', f'.show("{paper}"{typed}', 1),
        details={**finding.details, "system": system.name},
    )


def conclude(
    phase: str,
    context: PhaseContext,
    findings: list[Finding],
    summary: str = "",
    data: dict[str, Any] | None = None,
) -> Evidence:
    """The evidence of a phase from its findings; open questions block it only where `questions=required`."""
    from repro.questions import progress_of

    unwritten, findings = reached(phase, findings, context.paper)
    if unwritten:
        return evidence_of(phase, unwritten, tuple(findings))
    questions = progress_of(context.paper, phase, context.folder.root.parent)
    shut = any(finding.blocks for finding in findings)
    if context.settings.get("questions") == "required" and questions["answered"] < questions["total"]:
        shut = True
        open_questions = questions["total"] - questions["answered"]
        findings = [
            *findings,
            Finding(
                check="questions",
                component=phase,
                outcome=Outcome.FAILED,
                summary=f"{open_questions} of {questions['total']} checkpoint questions are open",
                expected="every question of this stage answered and judged right (questions=required)",
                observed=f"{questions['answered']} answered; to answer: "
                f"python -m repro quiz paper={context.paper.name} step={phase}",
                family="declaration",
            ),
        ]
    return Evidence(
        phase=phase,
        outcome=Gate.FAILED if shut else Gate.PASSED,
        summary=" · ".join(part for part in (summary, *headlines(findings), counts(findings)) if part),
        findings=tuple(findings),
        data={**tables_of(findings), **(data or {})},
        questions=questions,
    )


def headlines(findings: list[Finding]) -> list[str]:
    """What checks ask to have said in the phase's line: `details["headline"]`, such as "41 stages"."""
    return [str(f.details["headline"]) for f in findings if f.details.get("headline") and not f.blocks]


def tables_of(findings: list[Finding]) -> dict[str, list[dict[str, Any]]]:
    """Tables that checks made (lists of flat records in their details), by name, for the report.

    Lines of several systems come into one table; each then begins with its system.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in findings:
        of = {"system": finding.details["system"]} if finding.details.get("system") else {}
        for name, value in finding.details.items():
            if isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
                found.setdefault(name, []).extend({**of, **entry} for entry in value)
    return found


def counts(findings: list[Finding]) -> str:
    """ "9 checks", with what did not pass named: "9 checks, 1 warned, 2 not run"."""
    if not findings:
        return ""
    outcomes = outcomes_of_checks(findings)
    ran = len(outcomes) - outcomes.count(Outcome.NOT_RUN)
    parts = [f"{ran} check{'s' if ran != 1 else ''}"]
    for outcome, word in (
        (Outcome.FAILED, "failed"),
        (Outcome.ERROR, "raised"),
        (Outcome.WARNED, "warned"),
        (Outcome.NOT_RUN, "not run"),
    ):
        if number := outcomes.count(outcome):
            parts.append(f"{number} {word}")
    return ", ".join(parts)
