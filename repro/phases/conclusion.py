"""The end of every run, however far it came: verdict, mirror, report, what is printed, and the exit code."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import replace

from repro.commands.display import coloured
from repro.commands.words import open_questions
from repro.errors import ExitCode
from repro.findings import Evidence, Gate
from repro.phases.context import PhaseContext
from repro.phases.to_do import lines_of
from repro.phases.verdict import judge_run


def conclude_run(context: PhaseContext, names: list[str], gate_open: bool) -> ExitCode:
    """Write verdict and report, mirror to W&B, print both; returns the exit code of the run."""
    from repro.report import build
    from repro.report.collect import collect
    from repro.report.terminal import render

    chosen = [f"paper={context.paper.name}", *context.folder.typed]
    for name in names:
        evidence = context.evidence.get(name)
        if evidence is not None and evidence.outcome is Gate.FAILED:
            context.display.note(stopped_at(evidence, stopped=name == list(context.evidence)[-1]))
        elif evidence is not None and evidence.outcome is Gate.TO_DO:
            for line in lines_of(evidence, chosen):
                context.display.note(line)
    if questions := open_questions(context.evidence.values(), chosen):
        context.display.note(questions)
    judged = judge_run(context)
    if told := of_older_code(context):
        first, *rest = judged.sentences
        judged = replace(judged, sentences=(first, told, *rest))
    code = exit_code_of(context, names, gate_open, judged.exit_code)
    context.folder.write_verdict({**judged.to_json(), "exit_code": int(code)})
    write_sessions(context)
    build(context.folder.root)
    mirror(context)
    colour = coloured(sys.stdout)
    width = min(shutil.get_terminal_size((100, 24)).columns, 140)
    root = context.folder.root
    context.display.note(render(collect(root), folder=root, width=width, colour=colour, told=True))
    return code


def of_older_code(context: PhaseContext) -> str:
    """A sentence where the seeds that are judged were trained by the code as it was before an edit; else ""."""
    from repro.phases.fingerprints import source_fingerprint
    from repro.report.words import OLDER_CODE

    trained = context.folder.processes(kind="reproduction")
    if not trained or context.folder.newest_code == source_fingerprint(context.paper):
        return ""
    command = shlex.join(["python", "-m", "repro", "run", f"paper={context.paper.name}", *context.folder.typed])
    return f"{OLDER_CODE}: {command} trains it as it is now."


def write_sessions(context: PhaseContext) -> None:
    """Keep the session page of every step; the report shows them."""
    from repro.configuration.folders import options
    from repro.session.keep import write_all

    config_file = options("paper").get(context.composed.choices.get("paper", ""))
    write_all(context.paper, context.folder, context.table.hash if context.table else "", config_file)


def exit_code_of(context: PhaseContext, names: list[str], gate_open: bool, of_rows: ExitCode) -> ExitCode:
    """A shut gate is 1, a step to do 4; else the rows decide. Gates alone, asked for without training, end with 0."""
    outcomes = [evidence.outcome for evidence in context.evidence.values()]
    if Gate.FAILED in outcomes:
        return ExitCode.GATE_FAILED
    if Gate.TO_DO in outcomes:
        return ExitCode.UNDECIDED
    if of_rows is ExitCode.UNDECIDED and gate_open and "reproduction" not in names:
        return ExitCode.OK
    return of_rows


def stopped_at(evidence: Evidence, stopped: bool) -> str:
    """Where the run stopped, or that it went on; the display has said what failed when the phase ended."""
    if stopped:
        return f"Stopped at {evidence.phase}. Mend it and give the same command again; `keep_going=true` runs on."
    return f"The gate of {evidence.phase} stayed shut; the run went on because of keep_going=true."


def mirror(context: PhaseContext) -> None:
    """Copy what is new to W&B; a mirror that cannot start says so once, and nothing else changes.

    How to send it is said once something was trained: gates alone are nothing that one would look at there.
    """
    from repro.tracking.wandb_mirror import WandbMirror

    mirrored = WandbMirror(context.folder, context.settings.get("tracking") or {}, context.display.note)
    try:
        mirrored.mirror()
    finally:
        mirrored.close()
    if mirrored.sync_command and context.folder.processes():
        context.display.note(f"W&B, offline: {mirrored.sync_command}")
