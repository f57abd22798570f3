"""`status`: how far each paper has come: gates, results, questions, sweeps, and what runs now.

Only the files of the run folders are read.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import textwrap
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from repro.commands.help import READER, Parser, settings
from repro.commands.progress import lines as progress_lines
from repro.commands.progress import mark_explained, progress
from repro.commands.words import MARKS, ago, printable
from repro.configuration.folders import options
from repro.configuration.secrets import mask_text
from repro.errors import ConfigError, ExitCode, RunFolderError
from repro.findings import Gate
from repro.phases import ORDER
from repro.tracking.files import read_json
from repro.tracking.run_folder import RunFolder, find_run, list_runs

#: Older runs of a paper that `status paper=…` lists.
MOST_OLDER = 10
EXAMPLES = (
    "status",
    "status paper=transformer",
    "status paper=my_paper --explained model.py",
    "status run=3f9a1c",
    "status runs_folder=/scratch/runs --json",
)


def main(words: list[str]) -> ExitCode:
    parser = Parser("status", __doc__ or "", EXAMPLES, {**READER, ExitCode.OK: "the runs are listed, none too"})
    parser.overrides("paper=<name>, run=<id, its beginning, or folder>, runs_folder=<folder>")
    parser.add_argument(
        "--explained",
        action="append",
        default=[],
        metavar="file",
        help="mark a source file of paper=… as explained, line by line, as it is now; an edit clears the mark",
    )
    parser.json("a JSON object with every run instead of text")
    arguments = parser.parse_intermixed_args(words)
    given = settings(arguments.overrides, ("run", "paper", "runs_folder"), "status")
    runs_folder = given.get("runs_folder", "runs")
    if "run" in given:
        folders = [find_run(given["run"], runs_folder)]
    else:
        folders = list_runs(runs_folder, given.get("paper"))
    if arguments.explained:
        if "paper" not in given or not folders:
            raise ConfigError(
                "--explained: it needs paper=<name> of a paper that has run.", "See python -m repro status."
            )
        for path in mark_explained(folders[0], arguments.explained):
            print(printable(f"{path}: explained as it is now"))
    if arguments.json:
        print(mask_text(json.dumps(as_json(folders), indent=2)))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        paper = given.get("paper", "")
        text = as_text(folders, whole=bool(paper), width=width) if folders else nothing(Path(runs_folder), paper)
        print(printable(mask_text(text)))
    return ExitCode.OK


def nothing(runs_folder: Path, paper: str) -> str:
    """What to say where there is no run. ConfigError for a paper that does not exist, or a folder that is none."""
    if paper and paper not in (known := options("paper")):
        near = get_close_matches(paper, known, n=1, cutoff=0.5)
        raise ConfigError(
            f"There is no paper {paper!r}, and no run of one in {runs_folder.resolve()}.",
            (f"Near: {near[0]}. " if near else "") + f"Known: {', '.join(known)} (python -m repro list).",
        )
    where = f"in {runs_folder.resolve()}"
    if not paper:
        return f"No run yet {where}. Start one: python -m repro run paper=<name> (python -m repro list)"
    return f"No run of {paper} yet {where}. Start one: python -m repro run paper={paper}"


def as_json(folders: list[RunFolder]) -> dict[str, Any]:
    """Every run, and how far each paper is; a run with a damaged file has `fault` in place of what cannot be read."""
    runs: list[dict[str, Any]] = []
    papers: dict[str, Any] = {}
    for folder in folders:
        try:
            runs.append(describe(folder))
        except RunFolderError as fault:
            known = {"paper": folder.paper, "run": folder.run_id, "folder": str(folder.root)}
            runs.append({**known, "fault": str(fault)})
    for paper, of_paper in by_paper(folders).items():
        try:
            papers[paper] = progress(of_paper)
        except RunFolderError as fault:
            papers[paper] = {"fault": str(fault)}
    return {"runs": runs, "papers": papers}


def describe(folder: RunFolder) -> dict[str, Any]:
    """One run: gates by phase, first sentence of its verdict, questions, processes that are not finished, sweeps."""
    evidence = folder.evidence
    about = folder.description
    processes = [store.record for store in folder.processes()]
    return {
        "paper": folder.paper,
        "run": folder.run_id,
        "folder": str(folder.root),
        "scale": about.get("scale", ""),
        "data": about.get("data", ""),
        "gates": {phase: str(evidence[phase].outcome) for phase in ORDER if phase in evidence},
        "failed": {
            phase: sorted({finding.check for finding in evidence[phase].findings if finding.blocks})
            for phase in ORDER
            if phase in evidence and evidence[phase].outcome is Gate.FAILED
        },
        "sentence": folder.verdict.get("sentence", ""),
        "exit_code": folder.verdict.get("exit_code"),
        "report": str(folder.report()) if folder.report().is_file() else None,
        "questions": {
            key: sum(one.questions.get(key, 0) for one in evidence.values()) for key in ("answered", "total")
        },
        "running": owner(folder.root),
        "processes": [
            {key: record.get(key) for key in ("process", "status", "update", "updates", "error")}
            for record in processes
            if record.get("status") != "finished"
        ],
        "sweeps": [sweep(name, study) for name, study in folder.studies().items()],
        "touched": datetime.fromtimestamp((folder.root / "run.json").stat().st_mtime, UTC).isoformat(
            timespec="seconds"
        ),
    }


def owner(root: Path) -> dict[str, Any] | None:
    """The process that works in a run folder, or None. Of another machine's process, its word is taken."""
    record = read_json(root / "owner.json")
    if not record:
        return None
    if record.get("host") != socket.gethostname():
        return None  # whether it lives cannot be told from here, and a stale claim would mislead
    try:
        os.kill(int(record["pid"]), 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it lives, and is another user's
    return dict(record)


def sweep(name: str, study: Mapping[str, Any]) -> dict[str, Any]:
    """A study's trials by state, and the best value with its parameters."""
    trials = study.get("trials") or []
    complete = [trial for trial in trials if isinstance(trial.get("value"), int | float)]
    pick = max if study.get("direction") == "maximize" else min
    best = pick(complete, key=lambda trial: trial["value"]) if complete else None
    return {
        "sweep": name,
        "trials": dict(Counter(str(trial.get("state")) for trial in trials)),
        "objective": study.get("objective", ""),
        "best": {"value": best["value"], "params": best.get("params", {})} if best else None,
    }


def by_paper(folders: list[RunFolder]) -> dict[str, list[RunFolder]]:
    """The runs of each paper, the one touched last first."""
    found: dict[str, list[RunFolder]] = {}
    for folder in folders:
        found.setdefault(folder.paper, []).append(folder)
    return found


def as_text(folders: list[RunFolder], whole: bool = False, width: int | None = None) -> str:
    """The latest run of each paper on a line, with what it does or what failed below; older runs are counted.

    `whole` lists the older runs, tells every gotcha, and what is left to do for each of the four criteria. `width` in
    columns is where a line goes on below its own beginning; None leaves lines as long as they are.
    """
    runs = by_paper(folders)
    margin = max(map(len, runs)) + 2
    lines: list[str] = []
    for paper, (latest, *older) in sorted(runs.items()):
        try:
            lines += of_paper(paper, latest, older, margin, whole, width)
        except RunFolderError as fault:  # one damaged file does not hide the other papers
            first, *rest = str(fault).splitlines()
            lines += [f"{paper:<{margin}}{first}", *(" " * margin + line for line in rest)]
    return "\n".join(lines)


def of_paper(
    paper: str, latest: RunFolder, older: list[RunFolder], margin: int, whole: bool, width: int | None
) -> list[str]:
    """The lines of one paper, below its name in a column of `margin` characters."""
    run = describe(latest)
    counted = [f"{len(older)} older"] if older else []
    first = f"{paper:<{margin}}" + "   ".join([*about(run, latest), *counted])
    if width is not None and len(first) > width:
        room = max(width, margin + 20)
        first = textwrap.fill(first, room, subsequent_indent=" " * margin, break_on_hyphens=False)
    further = [*below(run), *progress_lines(progress([latest, *older]), paper, whole)]
    if whole:
        further += [f"older: {'   '.join(about(describe(one), one))}" for one in older[:MOST_OLDER]]
        further += [f"older: {len(older) - MOST_OLDER} more in {latest.root.parent}"] * (len(older) > MOST_OLDER)
    return [first, *(" " * margin + text for text in further)]


def about(run: Mapping[str, Any], folder: RunFolder) -> list[str]:
    """A run in a line: its gates, its first sentence, its questions, what was typed to choose it, and when."""
    asked = run["questions"]
    seen = datetime.now(UTC) - datetime.fromisoformat(run["touched"])
    chosen = f" ({' '.join(folder.typed)})" if folder.typed else ""
    parts = [
        gates(run),
        run["sentence"].rstrip(".").split(". ")[0],
        f"questions {asked['answered']}/{asked['total']}" if asked["total"] else "",
        f"run {run['run']}{chosen} {ago(seen.total_seconds())}",
    ]
    return [part for part in parts if part]


def gates(run: Mapping[str, Any]) -> str:
    """`all gates ✓`, or each phase that ran and the first that did not: `analysis ✓  data ✓  model ✗ causal  …`."""
    found: Mapping[str, str] = run["gates"]
    if all(found.get(phase) == Gate.PASSED for phase in ORDER):
        return "all gates ✓"
    parts = []
    for phase in ORDER:
        outcome = found.get(phase)
        if outcome is not None:
            failed = " ".join(run["failed"].get(phase, []))
            parts.append(f"{phase} {MARKS[Gate(outcome)]}{' ' + failed if failed else ''}")
        elif all(found.get(before) is not None for before in ORDER[: ORDER.index(phase)]):
            parts.append(f"{phase} to do")  # of those that have not run, the first tells enough
        if outcome == Gate.TO_DO:
            break
    return "  ".join(parts) + ("" if parts and parts[-1].startswith(ORDER[-1]) else "  …")


def below(run: Mapping[str, Any]) -> list[str]:
    """What runs now, what failed, the sweeps, and where the report is."""
    lines = []
    running = run["running"]
    if running:
        busy = [
            f"{one['process']} at update {one['update'] or 0:,} of {one['updates']:,}"
            for one in run["processes"]
            if one["status"] == "running" and one["updates"]
        ]
        lines.append(f"running: {', '.join(busy) or running.get('command', '')} (process {running['pid']})")
    for one in run["processes"]:
        if one["status"] in ("failed", "diverged"):
            error = str(one["error"] or "").strip().splitlines()
            lines.append(f"{one['process']} {one['status']}{': ' + error[-1] if error else ''}")
        elif one["status"] in ("interrupted", "running") and not running:
            lines.append(f"{one['process']} stopped at update {one['update'] or 0:,}; the same run command resumes it")
    for study in run["sweeps"]:
        states = ", ".join(f"{count} {state}" for state, count in study["trials"].items())
        best = study["best"]
        values = ", ".join(f"{name} {value:.3g}" for name, value in _numbers(best["params"])) if best else ""
        total = sum(study["trials"].values())
        lines.append(
            f"sweep {study['sweep']}: {total} trials: {states or 'none yet'}{'   best ' + values if values else ''}"
        )
    if run["report"]:
        lines.append(run["report"])
    return lines


def _numbers(params: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [(name, value) for name, value in params.items() if isinstance(value, int | float)]
