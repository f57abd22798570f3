"""`run`: every phase of a paper, from the analysis to the verdict and the report.

Phases whose evidence still holds are not done again; an interrupted training resumes where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.commands.composing import perform
from repro.commands.help import Parser
from repro.errors import ExitCode

if TYPE_CHECKING:
    from repro.commands.display import Display
    from repro.configuration.compose import Composed

EXAMPLES = (
    "run paper=transformer",
    "run paper=transformer data=multi30k",
    "run paper=transformer scale=smoke keep_going=true",
    "run paper=transformer phases=[analysis,data,model]",
    "run paper=transformer model.width=32,64 --multirun",
    "run paper=transformer --cfg job",
)


def main(words: list[str]) -> ExitCode:
    parser = Parser("run", __doc__ or "", EXAMPLES)
    parser.composing()
    return perform(parser.parse_intermixed_args(words), start)


def start(composed: Composed, display: Display) -> ExitCode:
    from repro.phases.runner import run_phases

    return run_phases(composed, command="run", only=None, display=display)
