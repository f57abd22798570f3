"""`debug`: find the part that breaks an implementation which cannot memorise one batch.

When no check names what is wrong, the declared parts (`ablations:` of the paper) are taken away until one batch is
memorised, and added back one at a time; the first that breaks it is named, with the loss reached and its floor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repro.commands.composing import perform
from repro.commands.help import WORKER, Parser
from repro.errors import ExitCode

if TYPE_CHECKING:
    from repro.commands.display import Display
    from repro.configuration.compose import Composed

EXAMPLES = (
    "debug paper=transformer",
    "debug paper=transformer scale=smoke",
    "debug paper=transformer check.only=overfit_one_batch",
)
EXITS = {
    **WORKER,
    ExitCode.OK: "nothing is broken",
    ExitCode.GATE_FAILED: "a culprit is named, by a check or by the search",
    ExitCode.UNDECIDED: "no declared part explains it, or a step is still to do",
}


def main(words: list[str]) -> ExitCode:
    parser = Parser("debug", __doc__ or "", EXAMPLES, EXITS)
    parser.composing()
    return perform(parser.parse_intermixed_args(words), start)


def start(composed: Composed, display: Display) -> ExitCode:
    from repro.phases.debugging import debug

    return debug(composed, display=display)
