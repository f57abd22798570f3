"""What every phase gets: the paper, its configuration, the run folder, the display, and one pool of workers."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.contract.paper import Paper
from repro.findings import Evidence

if TYPE_CHECKING:
    from repro.commands.display import Display
    from repro.configuration.compose import Composed
    from repro.contract.bench import Bench
    from repro.reference import Table
    from repro.sweeps.pool import Pool
    from repro.tracking.run_folder import RunFolder


@dataclass
class PhaseContext:
    """`evidence` holds what the earlier phases of this run concluded, by phase."""

    composed: Composed
    paper: Paper
    folder: RunFolder
    display: Display
    table: Table | None = None
    evidence: dict[str, Evidence] = field(default_factory=dict)
    stack: ExitStack = field(default_factory=ExitStack)
    opened_pool: Pool | None = None
    found_code_folder: Path | None = None
    benches: dict[str, Bench] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """The resolved configuration as plain containers."""
        return self.paper.settings

    def bench(self, system: str = "", paper: Paper | None = None) -> Bench:
        """The workbench of the checks; its data object, which may be slow to build, is built once a run and system."""
        import torch

        from repro.contract.bench import Bench

        if system not in self.benches:
            # one thread: sums in one order, so that what must repeat repeats to the bit; and on the small inputs of
            # checks a second thread costs more than it brings, on a busy machine many times more
            torch.set_num_threads(int(self.settings.get("threads") or 1))
            self.benches[system] = Bench(paper or self.paper)
        return self.benches[system]

    def progress(
        self,
        phase: str,
        text: str,
        done: float | None = None,
        total: float | None = None,
        eta: float | None = None,
    ) -> None:
        self.display.progress(phase, text, done, total, eta)

    def pool(self) -> Pool:
        """Workers that have imported PyTorch once, opened by the first phase that trains; `stack` closes them."""
        from repro.extensions import open_launcher
        from repro.sweeps.cores import share_cores

        if self.opened_pool is None:
            workers, threads = share_cores(self.settings.get("workers"), self.settings.get("threads"))
            self.opened_pool = self.stack.enter_context(open_launcher(self.settings, workers, threads))
        return self.opened_pool

    def code_folder(self) -> Path:
        """code/<source fingerprint>/ of the paper's sources, where the results of training lie.

        Found once a run: a file that is edited meanwhile must not split one run's results over two folders.
        """
        from repro.sweeps.processes import code_folder

        if self.found_code_folder is None:
            self.found_code_folder = code_folder(self.composed, self.folder, self.pool().threads)
        return self.found_code_folder
