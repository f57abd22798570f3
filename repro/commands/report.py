"""`report`: rebuild the report of a run from its files and print its verdicts.

Without run=… it takes the run touched last. The exit code is that of the run's verdict.

runs=[a,b,…] puts the seeds of several runs together and judges them as one, or runs of several tasks (environments)
side by side; what ran another configuration or other code is left out and named. against=<run> compares run=<run> with
it, row by row. record=<row> writes the curve of an accepted run into the paper's reference table: the id of a row, or
split.metric such as validation.loss.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from repro.commands.display import coloured
from repro.commands.failures import STOPPED, working_in
from repro.commands.help import MEANING, Parser, settings
from repro.commands.words import printable
from repro.configuration.secrets import mask_text
from repro.errors import ConfigError, ExitCode, RunFolderError
from repro.findings import Gate
from repro.tracking.run_folder import RunFolder, find_run, list_runs

EXAMPLES = (
    "report",
    "report paper=transformer",
    "report run=3f9a1c",
    "report run=runs/transformer/3f9a1c0b12ab --json",
    "report paper=transformer 'runs=[3f9a1c,/scratch/node2/runs/transformer/3f9a1c0b12ab]'",
    "report paper=ppo 'runs=[3f9a1c,77be02,c2bd55]'",
    "report run=3f9a1c against=77be02",
    "report run=3f9a1c record=validation.loss",
)
#: The codes of a run's verdict; a report itself has nothing to resume.
EXITS = {code: MEANING[code] for code in MEANING if code not in STOPPED}
KEYS = ("run", "paper", "runs_folder", "runs", "against", "record")


def main(words: list[str]) -> ExitCode:
    parser = Parser("report", __doc__ or "", EXAMPLES, EXITS)
    parser.overrides(
        "run=<id, its beginning, or folder>, paper=<name>, runs_folder=<folder>, runs=[<run>,<run>], against=<run>, "
        "record=<row, or split.metric>"
    )
    parser.json("print report.json instead of the table")
    arguments = parser.parse_intermixed_args(words)
    given = settings(arguments.overrides, KEYS, "report")
    alone: list[str] = [key for key in ("runs", "against", "record") if key in given]
    if "runs" in given and "run" in given:
        alone = ["run", *alone]
    elif len(alone) < 2:
        alone = []
    if alone:
        raise ConfigError(f"report: {', '.join(alone)} cannot be given together.", "One at a time.")
    if "against" in given:
        return against(given, arguments.json)
    folder = put_together(given) if "runs" in given else choose(given)
    working_in(folder.root)
    if "record" in given:
        return record(folder, given["record"])
    from repro.report import build, json_report
    from repro.report.collect import collect
    from repro.report.terminal import render

    try:
        explain(folder)
        build(folder.root)
    except RunFolderError as fault:
        if not fault.message.startswith("Cannot write"):
            raise
        # another person's run may be read all the same
        print(printable(f"Not rebuilt: {fault.message}", sys.stderr), file=sys.stderr)
    if arguments.json:
        print(mask_text(json_report.render(collect(folder.root))))
    else:
        colour = coloured(sys.stdout)
        width = min(shutil.get_terminal_size((100, 24)).columns, 140)
        print(printable(mask_text(render(collect(folder.root), folder=folder.root, width=width, colour=colour))))
    return code_of(folder)


def explain(folder: RunFolder) -> None:
    """Look for causes of gaps again: a study, or another run, may have measured one since the verdict was written."""
    from repro.phases.causes import refresh
    from repro.phases.measured import from_files

    if not folder.verdict.get("gaps"):
        return
    try:
        context = from_files(folder)
    except ConfigError:
        return  # the table is not on this machine: the report shows what the verdict said
    refresh(context)


def put_together(given: dict[str, str]) -> RunFolder:
    """The folder in which the seeds of several runs are judged as one; what was left out is printed."""
    from repro.phases.several import together

    text = given["runs"].strip()
    names = [name.strip().strip("'\"") for name in text.removeprefix("[").removesuffix("]").split(",")]
    runs_folder = given.get("runs_folder", "runs")
    folders = [find_run(name, runs_folder) for name in names if name]
    folder, _, excluded = together(folders, Path(runs_folder), given.get("paper", ""))
    for one in excluded:
        # not on stdout, which with --json holds one document
        print(printable(mask_text(f"left out: {one.what} ({one.contains}): {one.why}")), file=sys.stderr)
    return folder


def against(given: dict[str, str], as_json: bool) -> ExitCode:
    """Print how the run differs from another; the code is that of the run, as `report` alone would give."""
    from repro.report.against import compare, render
    from repro.tracking.files import dumps

    folder = choose(given)
    other = find_run(given["against"], given.get("runs_folder", "runs"))
    found = compare(folder.root, other.root)
    if as_json:
        print(mask_text(dumps(found.to_json(), indent=1)))
    else:
        width = min(shutil.get_terminal_size((100, 24)).columns, 140)
        print(printable(mask_text(render(found, width))))
    return code_of(folder)


def record(folder: RunFolder, name: str) -> ExitCode:
    """Write the curve of an accepted run into its paper's reference table."""
    from repro.report.record import record_curve

    found = record_curve(folder, name)
    print(f"Recorded {found.id}: {len(found.points)} points, each with its tolerance, in {found.path}")
    print(f"A later run is held to it while it trains: from update {found.points[0][0]:g} to {found.points[-1][0]:g}.")
    return ExitCode.OK


def choose(given: dict[str, str]) -> RunFolder:
    """The run that is meant: by id or folder, else the paper's or the very latest; RunFolderError lists all."""
    runs_folder = given.get("runs_folder", "runs")
    if "run" in given:
        return find_run(given["run"], runs_folder)
    paper = given.get("paper", "")
    runs = list_runs(runs_folder, paper or None)
    if runs:
        return runs[0]
    others = ", ".join(dict.fromkeys(folder.paper for folder in list_runs(runs_folder)))
    raise RunFolderError(
        f"There is no run{f' of {paper}' if paper else ''} in {Path(runs_folder).resolve()}. "
        f"Known: {others or 'none yet'}.",
        f"Start one: python -m repro run paper={paper or '<name>'} (python -m repro list)",
    )


def code_of(folder: RunFolder) -> ExitCode:
    """The exit code that a run ended with: its verdict's; without one, 1 if a gate failed, else 4."""
    recorded = folder.verdict.get("exit_code")
    if recorded is not None:
        return ExitCode(recorded)
    failed = any(evidence.outcome is Gate.FAILED for evidence in folder.evidence.values())
    return ExitCode.GATE_FAILED if failed else ExitCode.UNDECIDED
