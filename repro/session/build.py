"""Make the page of a step from the paper, the evidence of its run folder, its sources and the checks' own text."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.contract.components import relative
from repro.contract.paper import COMPONENTS, Paper
from repro.findings import Evidence, Finding, Gate, Outcome
from repro.phases import ORDER
from repro.phases.fingerprints import COMPONENT, entries_of, every_target, phase_fingerprint, source_files
from repro.phases.to_do import CHECK
from repro.questions import Question, answers, is_right, load_questions
from repro.session.page import Asked, Box, Bug, Listing, Page
from repro.session.words import GOAL, NEXT
from repro.tracking.run_folder import RunFolder

NOT_RUN = {
    Outcome.FAILED: "failed",
    Outcome.ERROR: "raised",
    Outcome.NOT_RUN: "not run",
    Outcome.WARNED: "warned",
    Outcome.PASSED: "",
}


def valid_evidence(paper: Paper, folder: RunFolder, table_hash: str) -> dict[str, Evidence]:
    """The evidence of each step that is of the present code and config, by step."""
    found = {}
    for step in ORDER:
        evidence = folder.read_evidence(step)
        if evidence is not None and evidence.fingerprint == phase_fingerprint(step, paper, table_hash):
            found[step] = evidence
    return found


def current_step(valid: Mapping[str, Evidence]) -> str:
    """The first step that has no valid evidence of having passed; the last one where all have."""
    return next((name for name in ORDER if not passed(valid.get(name))), ORDER[-1])


def passed(evidence: Evidence | None) -> bool:
    return evidence is not None and evidence.outcome is Gate.PASSED


def build_page(
    step: str, paper: Paper, folder: RunFolder, valid: Mapping[str, Evidence], config_file: Path | None = None
) -> Page:
    """The page of one step. `config_file` is the paper's own, shown at the analysis. Imports the checks, so PyTorch."""
    evidence = valid.get(step)
    described = ((paper.settings.get("paper") or {}).get("components") or {}).get(step)
    position = ORDER.index(step)
    following = ORDER[position + 1] if position + 1 < len(ORDER) else ""
    return Page(
        paper=paper.name,
        title=paper.title,
        step=step,
        number=position + 1,
        of=len(ORDER),
        goal=(GOAL[step], *([f"In this paper: {described}"] if described else [])),
        prerequisites=tuple(prerequisites(step, paper, folder, valid)),
        shapes=shapes(paper) if step in COMPONENTS else (),
        stages=stages(paper, evidence) if step == "model" else (),
        code=tuple(listings(step, paper, config_file)),
        questions=tuple(asked(paper, step, folder)),
        verification=tuple(verification(step, paper, folder, evidence)),
        bugs=tuple(bugs(step, paper)),
        next=(NEXT[step], *([f"Next step: {following}."] if following else [])),
    )


def prerequisites(step: str, paper: Paper, folder: RunFolder, valid: Mapping[str, Evidence]) -> list[Box]:
    """A box for each earlier step, ticked by valid evidence that it passed."""
    boxes = []
    for name in ORDER[: ORDER.index(step)]:
        if name in valid:
            boxes.append(Box(passed(valid[name]), f"{name}: {valid[name].summary}"))
        else:
            stale = folder.read_evidence(name) is not None
            boxes.append(Box(False, name, "changed since it was checked" if stale else "not checked yet"))
    if step in COMPONENTS:
        boxes.append(Box(paper.has(step), f"the config names the component `{step}`"))
        boxes.append(Box(bool(paper.tensors), f"{len(paper.tensors)} tensors are declared"))
    return boxes


def shapes(paper: Paper) -> tuple[tuple[str, ...], ...]:
    rows = [("tensor", "axes", "dtype", "from", "meaning")]
    for tensor in paper.tensors.values():
        origin = f"output of {tensor.output_of}" if tensor.output_of else "noise" if tensor.random else "batch"
        rows.append((tensor.name, axes(tensor.axes), tensor.dtype, origin, tensor.meaning))
    return tuple(rows) if len(rows) > 1 else ()


def axes(names: tuple[str | int, ...]) -> str:
    return f"[{', '.join(map(str, names))}]"


def stages(paper: Paper, evidence: Evidence | None) -> tuple[tuple[str, ...], ...]:
    """Declared stages, with the shape and the parameters that the check saw where it ran."""
    seen: list[Mapping[str, Any]] = (evidence.data.get("stages") or []) if evidence is not None else []
    if seen:
        rows = [("stage", "declared", "seen", "parameters")]
        for row in seen:
            shape = axes(tuple(row["shape"])) if row.get("shape") else "–"
            rows.append((str(row["stage"]), axes(tuple(row["axes"])), shape, f"{row['parameters']:,}"))
        return tuple(rows)
    declared = tuple((glob, axes(names)) for glob, names in paper.stages.items())
    return (("stage", "declared"), *declared) if declared else ()


# --- code


def listings(step: str, paper: Paper, config_file: Path | None) -> list[Listing]:
    if step == "analysis":
        return [Listing(relative(str(config_file)), "yaml", section(config_file, "paper"))] if config_file else []
    if step not in COMPONENTS:
        import yaml

        from repro.configuration.secrets import masked

        text = yaml.safe_dump(masked({step: paper.settings.get(step)}), sort_keys=False, allow_unicode=True)
        return [Listing("configuration", "yaml", text.rstrip())]
    files: dict[Path, None] = {}
    others: set[Path] = set()
    for key, target in every_target(paper).items():
        own = key.partition(".")[0] in COMPONENT[step]
        found = sorted(source_files(target), key=lambda path: (path.stem != step, path.name))
        if own:
            files.update(dict.fromkeys(found))
        elif not key.startswith("pieces."):
            others.update(path for path in found if path.stem in COMPONENTS)
    return [
        Listing(relative(str(path)), "python", annotated(path, paper))
        for path in files
        if path not in others or path.stem == step
    ]


def section(path: Path, key: str) -> str:
    """The lines of a top-level section of a YAML file, as written."""
    taken: list[str] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(f"{key}:"):
            taken = [line]
        elif taken and line and not line[0].isspace():
            break
        elif taken:
            taken.append(line)
    return "\n".join(taken).rstrip()


def annotated(path: Path, paper: Paper) -> str:
    """A source file with the declared shapes beside each function that takes declared tensors by name."""
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = text.rstrip("\n").splitlines()
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return "\n".join(lines)  # shown as it is; the gate says what is wrong in it
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in [*node.args.args, *node.args.kwonlyargs]]
            taken = [f"{name} {axes(paper.tensors[name].axes)}" for name in names if name in paper.tensors]
            if taken:
                last = (node.returns or max(node.args.args, key=lambda argument: argument.lineno)).end_lineno
                place = (last or node.lineno) - 1
                lines[place] += f"  # ← declared: {', '.join(taken)}"
    return "\n".join(lines)


# --- questions and checks


def asked(paper: Paper, step: str, folder: RunFolder) -> list[Asked]:
    given = answers(folder.root.parent)
    return [asked_one(q, given) for q in load_questions(paper) if q.component == step]


def asked_one(question: Question, given: Mapping[str, Mapping[str, Any]]) -> Asked:
    mine = given.get(question.id) or {}
    state = "right" if is_right(question, given) else "wrong" if mine.get("judged") == "wrong" else "open"
    answer = question.answer or "Measured in your own code once you have said a number: python -m repro quiz"
    return Asked(
        question.id,
        question.kind,
        question.question,
        answer,
        question.source,
        state,
        str(mine.get("answer", "")),
    )


def planned_names(step: str, paper: Paper) -> list[str]:
    """Names of the checks that gate a step: listed for its phase and type, then the paper's own properties."""
    from repro.checks import registry

    listed = [e if isinstance(e, str) else str(e.get("check")) for e in entries_of(step, paper.settings)]
    declared = [p.name for p in paper.properties if registry.find(p.name).phase == step]
    return list(dict.fromkeys([*listed, *declared]))


def verification(step: str, paper: Paper, folder: RunFolder, evidence: Evidence | None) -> list[Box]:
    """A box for each check: ticked only if valid evidence holds a passed finding of it, and none that failed."""
    from repro.checks import registry

    findings: dict[str, list[Finding]] = {}
    for finding in evidence.findings if evidence is not None else ():
        findings.setdefault(finding.check, []).append(finding)
    boxes = []
    for name in dict.fromkeys([*planned_names(step, paper), *findings]):
        if name == CHECK:
            boxes += [Box(False, finding.summary, f"to do, {finding.location}") for finding in findings[name]]
            continue
        check = registry.CHECKS.get(name)
        text = f"`{name}`: {first_sentence(check.decides)}" if check else f"`{name}`"
        found = findings.get(name, [])
        if not found:
            stale = folder.read_evidence(step) is not None and evidence is None
            boxes.append(Box(False, text, "changed since it was checked" if stale else "not checked yet"))
            continue
        bad = next((f for f in found if f.blocks), None)
        good = any(f.outcome in (Outcome.PASSED, Outcome.WARNED) for f in found)
        said = bad or next((f for f in found if f.outcome is not Outcome.PASSED), None)
        word = NOT_RUN[said.outcome] if said is not None else ""
        why = (said.reason if said.outcome is Outcome.NOT_RUN else said.summary) if said is not None else ""
        place = f" ({said.location})" if said is not None and said.blocks and said.location else ""
        boxes.append(Box(bad is None and good, text, f"{word}: {' '.join(why.split())}{place}" if word else ""))
    return boxes


def first_sentence(text: str) -> str:
    end = text.find(". ")
    return (text if end < 0 else text[: end + 1]).strip()


def bugs(step: str, paper: Paper) -> list[Bug]:
    from repro.checks import registry

    found = [registry.find(name) for name in planned_names(step, paper)]
    return [Bug(check.name, check.broken, check.likely, check.options) for check in found]
