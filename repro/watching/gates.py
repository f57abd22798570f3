"""One look at a paper: the gates in order up to the first that does not hold, told step by step. Runs in a fork."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.commands.words import told_once
from repro.errors import ReproError
from repro.findings import Evidence, Finding, Gate, Outcome

if TYPE_CHECKING:
    from repro.configuration.compose import Composed
    from repro.contract.paper import Paper

#: Tells the parent one thing: {"event": …, …}, JSON-able.
Tell = Callable[[Mapping[str, Any]], None]


class Telling:
    """The display of the phases: everything goes to the parent as it happens."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell

    def phase_started(self, name: str) -> None:
        self.tell({"event": "started", "phase": name})

    def progress(
        self,
        phase: str,
        text: str,
        done: float | None = None,
        total: float | None = None,
        eta: float | None = None,
    ) -> None:
        self.tell({"event": "progress", "phase": phase, "text": text, "done": done, "total": total})

    def finding(self, finding: Finding) -> None:
        self.tell({"event": "finding", "check": finding.check, "outcome": str(finding.outcome)})

    def phase_finished(self, evidence: Evidence, reused: bool = False) -> None:
        self.tell(
            {"event": "gate", "phase": evidence.phase, "outcome": str(evidence.outcome), "text": evidence.summary}
        )

    def note(self, text: str) -> None:
        self.tell({"event": "note", "text": text})

    def close(self) -> None:
        pass


def look(overrides: Sequence[str], tell: Tell) -> None:
    """Compose, then run gate after gate; ends with {"event": "stopped"} at the first that does not hold, or "held".

    An error in the person's config, table or files is told as {"event": "error"}; nothing is raised for it.
    """
    from repro.configuration import folders
    from repro.configuration.compose import compose
    from repro.contract.paper import Paper

    try:
        folders.add_to_path()
        composed = compose(overrides)
        paper = Paper.from_config(composed.config)
        tell({"event": "paper", "title": paper.title, "name": paper.name, "places": places(composed, paper)})
        broken = unreadable(paper)
        if broken is not None:
            tell({"event": "syntax", **broken})
            return
        gates(composed, paper, tell)
    except ReproError as fault:
        tell({"event": "error", "text": str(fault)})


def gates(composed: Composed, paper: Paper, tell: Tell) -> None:
    from repro.phases import CHECKED
    from repro.phases.context import PhaseContext
    from repro.phases.folder import open_folder, read_table
    from repro.phases.runner import run_phase

    folder = open_folder(composed, paper, "check")
    with ExitStack() as stack:
        stack.enter_context(folder.lock())
        context = PhaseContext(composed, paper, folder, Telling(tell), table=read_table(paper), stack=stack)
        for phase in CHECKED:
            evidence = run_phase(phase, context)
            context.evidence[phase] = evidence
            if evidence.outcome is not Gate.PASSED:
                tell({"event": "stopped", **stopped(evidence, paper)})
                return
    tell({"event": "held"})


def stopped(evidence: Evidence, paper: Paper) -> dict[str, Any]:
    """What holds in a gate that stays shut, the first thing that does not, and what helps with it, in order."""
    from repro.questions import load_questions

    blocking = told_once([finding for finding in evidence.findings if finding.blocks])
    first, same = blocking[0] if blocking else (next(iter(evidence.findings), None), [])
    held = [f.check for f in evidence.findings if f.outcome is Outcome.PASSED]
    questions = [q for q in load_questions(paper) if q.component == evidence.phase and not q.predict]
    return {
        "phase": evidence.phase,
        "to_do": evidence.outcome is Gate.TO_DO,
        "summary": evidence.summary,
        "held": list(dict.fromkeys(held)),
        "first": first.to_json() if first is not None else None,
        "same": same,
        "more": max(0, len(blocking) - 1),
        "hints": hints(first, paper),
        "question": question_of(first, questions),
    }


def hints(first: Finding | None, paper: Paper) -> list[str]:
    """From the vaguest to the plainest: where the paper hides it, each likely bug, how to test it alone."""
    if first is None:
        return []
    found = [
        f"The paper hides it in {part.hidden_in}: {part.part}"
        for part in paper.tricky_parts
        if part.guard == first.check
    ]
    found += [f"Likely: {bug}" for bug in first.likely]
    if first.alone:
        found.append("Alone:\n" + first.alone)
    return found


def question_of(first: Finding | None, questions: Sequence[Any]) -> dict[str, str] | None:
    """The checkpoint question of this step that shares most words with the finding; debugging ones win a tie."""
    if first is None or not questions:
        return None
    said = words(" ".join((first.check.replace("_", " "), first.summary, first.component, *first.likely)))

    def closeness(question: Any) -> tuple[int, bool]:
        return len(said & words(f"{question.id} {question.question}")), question.kind == "debugging"

    best = max(questions, key=closeness)
    return {"id": best.id, "question": best.question}


def words(text: str) -> set[str]:
    """Words of more than three letters, in lower case."""
    return {word for word in "".join(c.lower() if c.isalnum() else " " for c in text).split() if len(word) > 3}


def places(composed: Composed, paper: Paper) -> list[str]:
    """The files and folders whose saving asks for another look."""
    from repro.configuration.folders import options, user_conf, user_references
    from repro.phases.folder import table_path

    found = [str(path) for path in (user_conf(), user_references()) if path is not None]
    for group in ("paper", "data", "type"):
        chosen = options(group).get(composed.choices.get(group, ""))
        found += [str(chosen)] if chosen is not None else []
    table = table_path(paper)
    found += [str(table), str(table.parent)] if table is not None else []
    found += [str(folder) for folder in package_folders(paper)]
    return list(dict.fromkeys(found))


def package_folders(paper: Paper) -> list[Path]:
    """The folders of the paper's components, those that do not exist yet included."""
    from repro.phases.fingerprints import module_file

    folders = []
    for target in paper.targets().values():
        file = module_file(target.rpartition(".")[0])
        folders.append(file.parent if file is not None else Path.cwd() / target.split(".")[0])
    return list(dict.fromkeys(folders))


def unreadable(paper: Paper) -> dict[str, Any] | None:
    """The first of the paper's files that is not Python at this moment: file, line, text, place in it, and why."""
    for folder in package_folders(paper):
        for path in sorted(folder.glob("*.py")):
            try:
                ast.parse(path.read_bytes(), filename=str(path))
            except SyntaxError as fault:
                return {
                    "file": str(path),
                    "line": fault.lineno or 0,
                    "column": fault.offset or 0,
                    "text": (fault.text or "").rstrip("\n"),
                    "why": fault.msg,
                }
    return None
