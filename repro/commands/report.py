"""`report`: rebuild the report of a run from its files and print its verdicts.

Without run=… it takes the run touched last. The exit code is that of the run's verdict.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from repro.commands.failures import working_in
from repro.commands.help import Parser, settings
from repro.commands.words import printable
from repro.configuration.secrets import mask_text
from repro.errors import ExitCode
from repro.findings import Gate
from repro.tracking.run_folder import RunFolder, find_run, list_runs

EXAMPLES = (
    "report",
    "report paper=transformer",
    "report run=3f9a1c",
    "report run=runs/transformer/3f9a1c0b12ab --json",
)


def main(words: list[str]) -> ExitCode:
    parser = Parser("report", __doc__ or "", EXAMPLES)
    parser.overrides("run=<id, its beginning, or folder>, paper=<name>, runs_folder=<folder>")
    parser.json("print report.json instead of the table")
    arguments = parser.parse_intermixed_args(words)
    given = settings(arguments.overrides, ("run", "paper", "runs_folder"), "report")
    folder = choose(given)
    working_in(folder.root)
    from repro.report import build
    from repro.report.collect import collect
    from repro.report.terminal import render

    paths = build(folder.root)
    if arguments.json:
        print(mask_text(Path(paths["json"]).read_text(encoding="utf-8")))
    else:
        colour = sys.stdout.isatty()
        width = min(shutil.get_terminal_size((100, 24)).columns, 140)
        print(printable(mask_text(render(collect(folder.root), folder=folder.root, width=width, colour=colour))))
    return code_of(folder)


def choose(given: dict[str, str]) -> RunFolder:
    """The run that is meant: by id or folder, else the paper's or the very latest; RunFolderError lists all."""
    runs_folder = given.get("runs_folder", "runs")
    if "run" in given:
        return find_run(given["run"], runs_folder)
    if "paper" in given:
        return find_run(given["paper"], runs_folder)
    runs = list_runs(runs_folder)
    return runs[0] if runs else find_run("", runs_folder)


def code_of(folder: RunFolder) -> ExitCode:
    """The exit code that a run ended with: its verdict's; without one, 1 if a gate failed, else 4."""
    recorded = folder.verdict.get("exit_code")
    if recorded is not None:
        return ExitCode(recorded)
    failed = any(evidence.outcome is Gate.FAILED for evidence in folder.evidence.values())
    return ExitCode.GATE_FAILED if failed else ExitCode.UNDECIDED
