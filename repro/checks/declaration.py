"""The analysis: does the config say what the paper is about, what is left out, what is tricky, and what it costs?"""

from __future__ import annotations

from typing import Any

from repro.checks.modules import near
from repro.checks.registry import CHECKS, check, failed, load_all, passed, warned
from repro.configuration.folders import options
from repro.configuration.locate import locate, shown
from repro.contract.bench import Bench
from repro.contract.paper import COMPONENTS
from repro.findings import Finding


@check(phase="analysis", family="declaration", component="paper")
def analysis_complete(bench: Bench) -> list[Finding]:
    """Decides whether the config states the minimal algorithm, what is stripped away, each component, and the compute.

    Broken: one of them is missing or empty. Without a number that the paper reports it warns: nothing can be compared.
    Likely: the analysis is not written yet
    """
    from repro.phases.folder import read_table

    about = bench.paper.settings.get("paper") or {}
    where = {"location": f"conf/paper/{bench.paper.name}.yaml"}
    missing = []
    for key, what in (
        ("title", "the paper's title"),
        ("core_algorithm", "the minimal algorithm, in a sentence or two"),
        ("stripped_away", "what is left out, as a list (an empty idea of it is a list with `nothing`)"),
        ("compute", "what the paper spent, {text: …}"),
    ):
        if not about.get(key):
            missing.append(f"paper.{key}: {what}")
    described = about.get("components") or {}
    missing += [f"paper.components.{name}: what it is in this paper" for name in COMPONENTS if not described.get(name)]
    fields: dict[str, Any] = {
        "expected": "core algorithm, what is stripped away, five components, compute",
        "threshold": "present",
    }
    if missing:
        return [
            failed(f"{len(missing)} parts of the analysis are missing", observed="; ".join(missing), **fields, **where)
        ]
    table = read_table(bench.paper)
    if table is None or not table.records:
        name = about.get("reference") or bench.paper.name
        return [
            warned(
                "the analysis says what the paper is about, but no number that it reports",
                observed="no record",
                **{**fields, "expected": f"{fields['expected']}; a record in reference_numbers/{name}.yaml"},
                **where,
            )
        ]
    return [passed("the analysis says what the paper is about", observed="all present", **fields, **where)]


def place(bench: Bench, key: str) -> str:
    """File and line of a key in the paper's config; the file alone where the config has another name."""
    file = options("paper").get(bench.paper.name)
    return (locate(key, [file]) if file else "") or f"conf/paper/{bench.paper.name}.yaml"


@check(phase="analysis", family="declaration", component="paper")
def tricky_parts_guarded(bench: Bench) -> list[Finding]:
    """Decides whether each tricky part names an existing check or question that guards it.

    Broken: no tricky part at all, or one whose guard does not exist.
    Likely: a guard misspelt | a question not written yet
    """
    from repro.questions import load_questions, questions_file

    parts = bench.paper.tricky_parts
    where = {"location": place(bench, "paper.tricky_parts")}
    if not parts:
        return [
            failed(
                "no tricky part is named",
                expected="paper.tricky_parts: [{part, hidden_in, guard}, …]",
                observed="none",
                threshold="at least one",
                likely=("the analysis is not written yet",),
                **where,
            )
        ]
    load_all()
    questions = {question.id for question in load_questions(bench.paper)}
    known = [*CHECKS, *questions]
    file = questions_file(bench.paper)
    beside = shown(file) if file else "questions.yaml beside the components"
    findings = []
    for position, part in enumerate(parts):
        if part.guard not in known:
            where = {"location": place(bench, f"paper.tricky_parts.{position}.guard")}
            findings.append(
                failed(
                    f"nothing guards: {part.part}",
                    expected="the name of a check or the id of a question",
                    observed=(
                        f"{part.guard!r}, which is neither. {near(part.guard, known)} "
                        f"Your own questions go into {beside}, each under its id."
                    ).replace("  ", " "),
                    **where,
                )
            )
    guards = {part.guard for part in parts}
    return findings or [
        passed(
            f"{len(parts)} tricky parts, each guarded",
            expected="an existing check or question for each",
            observed=(
                f"{sum(g in CHECKS for g in guards)} by checks, {sum(g in questions for g in guards)} by questions"
            ),
            **where,
        )
    ]
