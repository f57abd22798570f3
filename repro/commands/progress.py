"""How far a paper is from done: numbers match, every line explained, gotchas found, could modify it."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.configuration.identity import EXCLUDED
from repro.errors import ConfigError
from repro.findings import Gate
from repro.phases import CHECKED
from repro.tracking.files import read_json, write_json
from repro.tracking.run_folder import RunFolder
from repro.tracking.store import now

EXPLAINED_FILE = "explained.json"
DECIDED = ("match", "mismatch_worse", "mismatch_better")


def progress(folders: Sequence[RunFolder]) -> dict[str, Any]:
    """The four criteria of one paper, from all its runs, the latest first. `done` says which of them hold."""
    plain = [folder for folder in folders if not folder.description.get("variation")] or list(folders)
    latest = plain[0]
    # a config that was edited since has a run of its own, without results yet
    judged = next((folder for folder in plain if folder.verdict.get("rows")), latest)
    numbers: dict[str, Any] = {**matching(judged), "run": "" if judged is latest else judged.run_id}
    explained = explained_lines(latest)
    found = gotchas(folders)
    variations = {
        "declared": latest.description.get("own_variations") or [],
        "passed": sorted({v for f in folders if (v := f.description.get("variation")) and gates_passed(f)}),
    }
    return {
        "numbers": numbers,
        "claims": claims(judged),
        "explained": explained,
        "gotchas": found,
        "variations": variations,
        "done": {
            "numbers match": bool(numbers["printed"]) and numbers["match"] == numbers["printed"],
            "every line explained": explained["files"]["explained"] == explained["files"]["total"] > 0
            and explained["questions"]["right"] == explained["questions"]["total"],
            "gotchas found": bool(found),
            "could modify it": bool(variations["passed"]),
        },
    }


def gates_passed(folder: RunFolder) -> bool:
    evidence = folder.evidence
    return all(phase in evidence and evidence[phase].outcome is Gate.PASSED for phase in CHECKED)


# --- numbers ---


def matching(folder: RunFolder) -> dict[str, int]:
    """Of the paper's own printed results: how many there are, were decided, and match."""
    rows = [
        row
        for row in folder.verdict.get("rows") or ()
        if row.get("own") is not False and row.get("setting") == "paper" and row.get("kind") != "fact"
    ]
    verdicts = [row.get("verdict") for row in rows]
    return {
        "printed": len(rows),
        "tested": sum(v in DECIDED for v in verdicts),
        "match": verdicts.count("match"),
    }


def claims(folder: RunFolder) -> dict[str, int]:
    verdicts = [row.get("verdict") for row in folder.verdict.get("rows") or () if row.get("kind") == "claim"]
    return {"total": len(verdicts), "tested": sum(v in DECIDED for v in verdicts), "hold": verdicts.count("match")}


# --- every line explained ---


def explained_lines(folder: RunFolder) -> dict[str, dict[str, int]]:
    """Files marked as explained at their present fingerprint, and questions answered and judged right."""
    about = folder.description
    sources, asked = list(about.get("sources") or ()), set(about.get("questions") or ())
    marks = read_json(folder.root.parent / EXPLAINED_FILE) or {}
    given = read_json(folder.root.parent / "questions.json") or {}
    return {
        "files": {"explained": sum(holds(marks.get(path), path) for path in sources), "total": len(sources)},
        "questions": {
            "right": sum(given.get(id, {}).get("judged") == "right" for id in asked),
            "total": len(asked),
        },
    }


def holds(mark: Mapping[str, Any] | None, path: str) -> bool:
    """Whether a mark is of the file as it is now: an edit clears it."""
    return mark is not None and Path(path).is_file() and mark.get("digest") == digest(Path(path))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def mark_explained(folder: RunFolder, names: Iterable[str]) -> list[str]:
    """Mark files as explained at their present fingerprint; returns their paths. `ConfigError` for an unknown one."""
    sources = [str(path) for path in folder.description.get("sources") or ()]
    place = folder.root.parent / EXPLAINED_FILE
    marks = read_json(place) or {}
    found = []
    for name in names:
        fitting = [path for path in sources if path == name or path.endswith(f"/{name}")]
        if len(fitting) != 1 or not Path(fitting[0]).is_file():
            raise ConfigError(
                f"--explained: got {name!r}, which is {'several files' if len(fitting) > 1 else 'no source file'} of "
                f"{folder.paper}.",
                f"Its files: {', '.join(sources) or 'none yet; run it first'}.",
            )
        found.append(fitting[0])
        marks[fitting[0]] = {"digest": digest(Path(fitting[0])), "at": now()}
    write_json(place, marks)
    return found


# --- gotchas ---


def gotchas(folders: Iterable[RunFolder]) -> list[dict[str, Any]]:
    """What failed and later passed, oldest first: with the dates, and what changed in between.

    Checks that failed and passed together saw one fault: `check` is the first of them, `others` the rest.
    Runs of one choice of data, scale and values count together: a mended configuration has another run folder.
    """
    kinds: dict[tuple[str, ...], list[tuple[dict[str, Any], RunFolder]]] = {}
    for folder in folders:
        own = tuple(sorted(o for o in folder.description.get("overrides") or () if o.partition("=")[0] not in EXCLUDED))
        kinds.setdefault(own, []).extend((line, folder) for line in folder.evidence_history)
    found: list[dict[str, Any]] = []
    for entries in kinds.values():
        failed: dict[tuple[str, str], tuple[dict[str, Any], RunFolder]] = {}
        for line, folder in sorted(entries, key=written):
            for check in line.get("failed") or ():
                failed[line["phase"], check] = (line, folder)
            together: dict[str, dict[str, Any]] = {}  # by the moment at which they failed
            for check in line.get("passed") or ():
                if (line["phase"], check) not in failed:
                    continue
                before, where = failed.pop((line["phase"], check))
                moment_of_failure = str(before.get("created", ""))
                if moment_of_failure in together:
                    together[moment_of_failure]["others"].append(check)
                    continue
                together[moment_of_failure] = {
                    "phase": line["phase"],
                    "check": check,
                    "others": [],
                    "failed": moment_of_failure,
                    "passed": line.get("created", ""),
                    "changed": changed((before, where), (line, folder)),
                }
            found += together.values()
    return sorted(found, key=lambda one: one["passed"])


def written(entry: tuple[dict[str, Any], RunFolder]) -> tuple[str, int]:
    """When a line of the evidence's history was written: two folders may hold lines of one second."""
    line, _ = entry
    return str(line.get("created")), int(line.get("nanoseconds") or 0)


def changed(before: tuple[dict[str, Any], RunFolder], after: tuple[dict[str, Any], RunFolder]) -> list[str]:
    """What was edited in between: `mine/model.py:88: return scores / width → return scores / width**0.5`.

    Where the file of the phase itself was edited, only that: what the person has written beside it mended nothing.
    """
    (old, old_folder), (new, new_folder) = before, after
    told = []
    if old_folder.root != new_folder.root:
        configs = [folder.config_text.splitlines() for folder in (old_folder, new_folder)]
        told.append(edit("config", *configs))
    first, second = old.get("sources") or {}, new.get("sources") or {}
    edited = [name for name in sorted(first.keys() & second.keys()) if first[name] != second[name]]
    own = [name for name in edited if Path(name).stem == new.get("phase")]
    for name in own or edited:
        told.append(edit(name, text(old_folder, first[name]), text(new_folder, second[name])))
    if own:
        return told
    told += [f"{name} added" for name in sorted(second.keys() - first.keys()) if first]
    return told or ["a change of the harness"]


def text(folder: RunFolder, digest: str) -> list[str]:
    """The lines of a source file as it was kept beside the evidence."""
    place = folder.root / "evidence" / "sources" / digest
    return place.read_text(encoding="utf-8").splitlines() if place.is_file() else []


def edit(name: str, before: list[str], after: list[str]) -> str:
    """The edit in a line: the first changed line before and after, and how many more there are."""
    hunks = [
        code
        for code in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        if code[0] != "equal"
    ]
    if not hunks:
        return name
    _, i, i_end, j, j_end = hunks[0]
    old, new = (" ".join(lines[a:b][:1]).strip() for lines, a, b in ((before, i, i_end), (after, j, j_end)))
    more = sum(max(b - a, d - c) for _, a, b, c, d in hunks) - 1
    shown = " → ".join(line or "nothing" for line in around(old, new))
    return f"{name}:{j + 1}: {shown}" + (f" (and {more} more line{'s' if more > 1 else ''})" if more > 0 else "")


def around(old: str, new: str, most: int = 60) -> tuple[str, str]:
    """Both lines, cut to about `most` characters that show where they differ.

    >>> around("x" * 50 + " = a.sum(0)", "x" * 50 + " = a.mean(0)", most=30)
    ('… = a.sum(0)', '… = a.mean(0)')
    """
    if max(len(old), len(new)) <= most or not old or not new:
        return clipped(old, most), clipped(new, most)
    same = next((place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    start = max((place for place in range(same) if old[place] == " " and place <= same - most // 6), default=0)
    cut = "…" if start else ""
    return clipped(cut + old[start:], most), clipped(cut + new[start:], most)


def clipped(line: str, most: int) -> str:
    return line if len(line) <= most else line[: most - 2].rstrip() + " …"


# --- in words ---


def moment(time: str) -> str:
    """ "2026-11-25 02:34" of a time in ISO 8601."""
    return time[:16].replace("T", " ")


def and_more(checks: Sequence[str]) -> str:
    return f" and {len(checks)} more" if checks else ""


def lines(found: Mapping[str, Any], paper: str, whole: bool) -> list[str]:
    """The distance to done in a line; `whole` adds each gotcha and what to do next for each criterion."""
    numbers, files, questions = found["numbers"], found["explained"]["files"], found["explained"]["questions"]
    variations, done = found["variations"], found["done"]
    mark = {name: "✓" if holds else "◌" for name, holds in done.items()}
    told = [
        f"done {sum(done.values())} of 4:  "
        f"{mark['numbers match']} numbers match {numbers['match']}/{numbers['printed']}"
        f"{' in run ' + numbers['run'] if numbers['run'] else ''}   "
        f"{mark['every line explained']} explained {files['explained']}/{files['total']} files, "
        f"questions {questions['right']}/{questions['total']}   "
        f"{mark['gotchas found']} gotchas found {len(found['gotchas'])}   "
        f"{mark['could modify it']} own variation {', '.join(variations['passed']) or 'none yet'}"
    ]
    if found["claims"]["total"]:
        told.append(
            f"claims: {found['claims']['tested']} of {found['claims']['total']} tested, {found['claims']['hold']} hold"
        )
    if not whole:
        return told
    for gotcha in found["gotchas"]:
        checks = f"{gotcha['phase']}/{gotcha['check']}{and_more(gotcha['others'])}"
        told.append(
            f"gotcha: {checks} failed {moment(gotcha['failed'])}, "
            f"passed {moment(gotcha['passed'])} after {'; '.join(gotcha['changed'])}"
        )
    if not done["every line explained"]:
        told.append(
            f"next: python -m repro quiz paper={paper}; python -m repro status paper={paper} --explained <file>"
        )
    if not done["could modify it"]:
        names = variations["declared"]
        told.append(
            f"next: python -m repro check paper={paper} and the changes of your variation {names[0]}, each as key=value"
            if names
            else "next: declare a variation of your own, ablations: {my_idea: {changes: {…}, own: true}}; run its gates"
        )
    return told
