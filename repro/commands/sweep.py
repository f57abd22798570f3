"""`sweep`: vary one thing of a paper and see what it does.

  learning_rate   rates on a log scale: which of them learn, and does the paper's lie inside?
  ablation        every declared part left out in turn, over paired seeds: what does it buy?

Finished trials are kept; the same command continues a sweep that was interrupted.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from repro.commands.composing import perform
from repro.commands.help import WORKER, Parser
from repro.configuration.folders import options
from repro.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from repro.commands.display import Display
    from repro.configuration.compose import Composed

EXAMPLES = (
    "sweep learning_rate paper=transformer",
    "sweep learning_rate paper=transformer sweep.trials=25 workers=2",
    "sweep ablation paper=transformer",
    "sweep ablation paper=transformer sweep.names=[no_label_smoothing] sweep.seeds=5",
)
EXITS = {
    **WORKER,
    ExitCode.OK: "every trial ended; one that diverged or was pruned is a result",
    ExitCode.GATE_FAILED: "a trial failed",
}


def main(words: list[str]) -> ExitCode:
    parser = Parser("sweep", __doc__ or "", EXAMPLES, EXITS)
    parser.usage = "python -m repro sweep <learning_rate|ablation> [key=value …] [--cfg job] [-m] [--json]"
    parser.composing()
    arguments = parser.parse_intermixed_args(words)
    kinds = list(options("sweep"))
    kind = arguments.overrides[0] if arguments.overrides else ""
    if kind not in kinds:
        near = get_close_matches(kind, kinds, n=1, cutoff=0.5)
        raise ConfigError(
            f"There is no sweep {kind!r}." if kind and "=" not in kind else "sweep needs to know what to vary.",
            (f"Near: {near[0]}. " if near else "")
            + f"Known: {', '.join(kinds)}. Example: python -m repro {EXAMPLES[0]}",
        )
    del arguments.overrides[0]

    def start(composed: Composed, display: Display) -> ExitCode:
        from repro.sweeps.command import run_sweep

        return run_sweep(composed, kind, display)

    return perform(arguments, start, extra=(f"sweep={kind}",))
