"""What is still to write: an empty analysis, a component that is not named or not there, a body that says it is to do.

Sources are read as text, so nothing is imported to find out; what only shows when it is called, a check reports.
"""

from __future__ import annotations

import ast
import difflib
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from repro.contract.components import relative
from repro.contract.paper import COMPONENTS, Paper, named_parts
from repro.findings import Evidence, Finding, Gate, Outcome
from repro.phases.fingerprints import module_file

CHECK = "to_do"  # the name of findings that say what to write

#: What the analysis must say, and how to say it.
ANALYSIS = (
    ("title", "the paper's title"),
    ("core_algorithm", "the minimal algorithm, in a sentence or two"),
    ("stripped_away", "what is left out, as a list (where nothing is: [nothing])"),
    ("compute", "what the paper spent, {text: …}"),
)
TRICKY_PARTS = "what is easy to get wrong, [{part: …, hidden_in: …, guard: <a check or the id of a question>}, …]"

Place = Callable[[str], str]


@dataclass(frozen=True)
class ToDo:
    """One thing to write, and where: "my_paper/data.py:31 in Data.batches" or "conf/paper/my_paper.yaml line 12"."""

    component: str
    what: str
    location: str


def to_do(phase: str, paper: Paper, place: Place) -> list[ToDo]:
    """All that is still to write before `phase` can be checked; `place` gives file and line of a config key."""
    if phase == "analysis":
        return missing_analysis(paper, place)
    return unwritten(phase, paper, place) if phase in COMPONENTS else []


def missing_analysis(paper: Paper, place: Place) -> list[ToDo]:
    about = paper.settings.get("paper") or {}
    described = about.get("components") or {}
    missing = [(key, what) for key, what in ANALYSIS if not said(about.get(key))]
    missing += [(f"components.{name}", "what it is in this paper") for name in COMPONENTS if not described.get(name)]
    if not about.get("tricky_parts"):
        missing.append(("tricky_parts", TRICKY_PARTS))
    for position, part in enumerate(paper.tricky_parts):
        if not part.hidden_in:
            missing.append((f"tricky_parts.{position}.hidden_in", f"where the paper hides it: {part.part}"))
        if not part.guard:
            missing.append((f"tricky_parts.{position}.guard", f"the check or question that would notice: {part.part}"))
    return [ToDo("paper", f"paper.{key}: {what}", place(f"paper.{key}")) for key, what in missing]


def said(value: Any) -> bool:
    """Whether a part of the analysis says anything: {text: null} and [""] do not."""
    if isinstance(value, Mapping):
        return any(said(part) for part in value.values())
    return any(said(part) for part in value) if isinstance(value, list) else bool(value)


def unwritten(component: str, paper: Paper, place: Place = lambda key: "") -> list[ToDo]:
    """What of a component is to write. An empty list also where something else is wrong: building it says what."""
    if not paper.has(component):
        function = {"evaluation": "evaluate", "loss": "loss"}.get(component, component.capitalize())
        name = f"{paper.name}.{component}.{function}"
        what = f"write {component}.py and name it here as `{component}: {{_target_: {name}}}`"
        where = place("paper.name").partition(" line ")[0] or f"conf/paper/{paper.name}.yaml"
        return [ToDo(component, what, where)]
    node = paper.settings[component]
    if not isinstance(node, Mapping) or not (
        "_target_" in node or any(isinstance(part, Mapping) for part in node.values())
    ):
        return []
    found: list[ToDo] = []
    for key, part in named_parts(node, component).items():
        target = part.get("_target_")
        if isinstance(target, str):
            found += unwritten_target(component, target, paper, place(f"{key}._target_"))
    return found


def unwritten_target(component: str, target: str, paper: Paper, named_at: str) -> list[ToDo]:
    module, _, name = target.rpartition(".")
    path = module_file(module)
    if path is None:
        package = module.partition(".")[0]
        if not module or (package != paper.name and module_file(package) is None):
            return []  # a folder of another name: more likely misspelt than to do
        return [ToDo(component, f"write {module.replace('.', '/')}.py with {name}", named_at)]
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return []  # importing it says where
    definition = defined(tree, name)
    if definition is None:
        names = list(top_level_names(tree))
        if name in names or difflib.get_close_matches(name, names, n=1):
            return []  # imported there, or misspelt, which building it says
        return [ToDo(component, f"write {name} in {relative(str(path))}", named_at)]
    return [
        ToDo(component, what or f"write {title}", f"{relative(str(path))}:{line} in {title}")
        for title, line, what in stubs(definition)
    ]


def defined(tree: ast.Module, name: str) -> ast.ClassDef | ast.FunctionDef | None:
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
    return None


def top_level_names(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def stubs(definition: ast.ClassDef | ast.FunctionDef) -> Iterator[tuple[str, int, str]]:
    """(name, line, what to write) of the function, or of each method, that does nothing but raise NotImplementedError.

    A method marked abstract is none: its subclasses are what is used.
    """
    if isinstance(definition, ast.FunctionDef):
        parts = [(definition.name, definition)]
    else:
        parts = [
            (f"{definition.name}.{node.name}", node) for node in definition.body if isinstance(node, ast.FunctionDef)
        ]
    for title, function in parts:
        if any("abstractmethod" in ast.unparse(decorator) for decorator in function.decorator_list):
            continue
        for statement in function.body:
            raised = statement.exc if isinstance(statement, ast.Raise) else None
            called = raised.func if isinstance(raised, ast.Call) else raised
            if isinstance(called, ast.Name) and called.id == "NotImplementedError":
                said_there = raised.args[0] if isinstance(raised, ast.Call) and raised.args else None
                text = said_there.value if isinstance(said_there, ast.Constant) else ""
                yield title, statement.lineno, str(text)


# --- evidence -------------------------------------------------------------------------------------------------------


def evidence_of(phase: str, found: list[ToDo], findings: tuple[Finding, ...] = ()) -> Evidence:
    """The step is to do: what to write first, then the rest as findings that are not run."""
    first = found[0]
    rest = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Evidence(
        phase=phase,
        outcome=Gate.TO_DO,
        summary=f"to do: {first.what}{rest}",
        findings=(*(finding_of(one) for one in found), *findings),
    )


def finding_of(one: ToDo) -> Finding:
    return Finding(
        check=CHECK,
        component=one.component,
        outcome=Outcome.NOT_RUN,
        summary=one.what,
        location=one.location,
        reason="not written yet",
        family="declaration",
    )


def reached(phase: str, findings: list[Finding], paper: Paper) -> tuple[list[ToDo], list[Finding]]:
    """What checks of `phase` found unwritten in this step, and the findings without it.

    Code of a later step leaves the check "not run" until that step is written.
    """
    own: dict[str, ToDo] = {}
    rest: list[Finding] = []
    for finding in findings:
        there = finding.details.get("to_do")
        if there is None:
            rest.append(finding)
            continue
        component = component_at(there["location"], paper) or phase
        if component in COMPONENTS and phase in COMPONENTS and COMPONENTS.index(component) > COMPONENTS.index(phase):
            reason = f"needs the {component}, which is still to do ({there['location']})"
            rest.append(replace(finding, reason=reason, details={"awaits": component}))
        else:
            own.setdefault(there["location"], ToDo(component, there["what"] or "write it", there["location"]))
    return list(own.values()), rest


def component_at(location: str, paper: Paper) -> str:
    """The component whose file a location lies in; "" for a file that several or none share."""
    path = Path(location.rpartition(":")[0]).resolve()
    found = set()
    for key, target in paper.targets().items():
        if module_file(target.rpartition(".")[0]) == path:
            found.add(key.partition(".")[0])
    return found.pop() if len(found) == 1 else ""


def awaited_now_written(evidence: Evidence, paper: Paper) -> bool:
    """Whether a check that waited for a later component can run now, so that the phase must be done again."""
    awaited = {str(f.details["awaits"]) for f in evidence.findings if f.details.get("awaits")}
    return any(not unwritten(component, paper) for component in awaited)


def lines_of(evidence: Evidence, chosen: Sequence[str]) -> list[str]:
    """What a run prints of a step that is to do: each thing with its place, and the next commands.

    `chosen` are the overrides of the run, its paper first.
    """
    words = shlex.join(chosen)
    found = [finding for finding in evidence.findings if finding.check == CHECK]
    lines = [""]
    for place, finding in enumerate(found):
        lines.append(f"   {'To do:' if place == 0 else '':7} {finding.location}: {finding.summary}")
    lines += [
        f"   {'Page:':7} python -m repro session {words} step={evidence.phase}   # what this step is about",
        f"   {'Then:':7} python -m repro run {words}   # goes on from here",
    ]
    return lines
