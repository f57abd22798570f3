"""`session`: the page of a step as Markdown: goal, prerequisites, your code beside its shapes, questions, checks, bugs.

Without step=… it is the first step that has not passed. The page is also kept in the run folder, and is in the report.
In a terminal it leaves the answers to the questions out; a file or a pipe gets them.
"""

from __future__ import annotations

import json
import sys

from repro.commands.help import READER, Parser
from repro.commands.stepping import opened
from repro.commands.words import printable
from repro.configuration.folders import options
from repro.configuration.secrets import mask_text
from repro.errors import ExitCode, RunFolderError

EXAMPLES = (
    "session paper=transformer",
    "session paper=transformer step=loss",
    "session paper=my_paper > today.md",
)


def main(words: list[str]) -> ExitCode:
    parser = Parser("session", __doc__ or "", EXAMPLES, {**READER, ExitCode.OK: "the page is written"})
    parser.overrides("paper=<name>, step=<phase>, and whatever the run was given, such as scale=smoke")
    parser.json("a JSON object instead of Markdown")
    given = parser.parse_intermixed_args(words)
    step, paper, composed, place = opened(given.overrides, "session")
    from repro.phases.folder import read_table
    from repro.session.build import build_page, current_step, valid_evidence
    from repro.session.keep import write
    from repro.session.markdown import render
    from repro.tracking.run_folder import RunFolder

    folder = RunFolder(place)
    table = read_table(paper)
    valid = valid_evidence(paper, folder, table.hash if table else "")
    config_file = options("paper").get(composed.choices["paper"])
    page = build_page(step or current_step(valid), paper, folder, valid, config_file)
    try:
        kept = f"Kept as {write(page, folder.root)}"
    except RunFolderError as fault:  # another person's run may be read all the same
        kept = f"Not kept: {fault.message}"
    if given.json:
        print(mask_text(json.dumps(page.to_json(), indent=2, ensure_ascii=False)))
    else:
        print(printable(mask_text(render(page, answers=not sys.stdout.isatty()))))
    print(printable(kept, sys.stderr), file=sys.stderr)
    return ExitCode.OK
