"""`check`: the phases that need no long training, analysis to evaluation.

It answers whether each component computes what the paper describes; `run` goes on to the gauntlet and the training.
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
    "check paper=transformer",
    "check paper=transformer phases=[model]",
    "check paper=transformer check.only=causal",
)
#: The rows that it can judge are the facts, such as a printed number of parameters.
EXITS = {
    **WORKER,
    ExitCode.OK: "every gate is open, and no fact mismatches",
    ExitCode.GATE_FAILED: "a gate failed",
    ExitCode.MISMATCH: "a fact mismatches",
    ExitCode.UNDECIDED: "a step is still to do",
}


def main(words: list[str]) -> ExitCode:
    parser = Parser("check", __doc__ or "", EXAMPLES, EXITS)
    parser.composing()
    return perform(parser.parse_intermixed_args(words), start)


def start(composed: Composed, display: Display) -> ExitCode:
    from repro.phases import CHECKED
    from repro.phases.runner import run_phases

    return run_phases(composed, command="check", only=list(CHECKED), display=display)
