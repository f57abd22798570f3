"""`python -m repro sweep <kind> paper=…`: one study in the run folder of the configuration, then its table."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from repro.errors import ExitCode
from repro.extensions import open_launcher
from repro.sweeps import tables
from repro.sweeps.ablation import ablation_study
from repro.sweeps.cores import share_cores
from repro.sweeps.learning_rate import RateSweep
from repro.sweeps.pool import Pool
from repro.sweeps.processes import ShowProgress, code_folder, plain
from repro.sweeps.search import search_study

if TYPE_CHECKING:
    from repro.commands.display import Display
    from repro.configuration.compose import Composed
    from repro.tracking.run_folder import RunFolder


def run_sweep(composed: Composed, kind: str, display: Display) -> ExitCode:
    """Run or resume the study that `sweep=<kind>` describes and print it.

    Returns 0 when every trial ended, 1 when a trial failed (one that diverged or was pruned has not failed: that is a
    result). Ctrl-C and SIGTERM are passed on after the workers have saved; the same command resumes.
    """
    from repro.contract.paper import Paper
    from repro.phases.folder import open_folder

    settings = plain(composed)
    folder = open_folder(composed, Paper.from_config(composed.config), f"sweep {kind}")
    workers, threads = share_cores(settings.get("workers"), settings.get("threads"))
    display.phase_started("sweep")

    def progress(text: str, done: int, total: int, eta: float | None) -> None:
        display.progress("sweep", text, done, total, eta)

    with folder.lock(), open_launcher(settings, workers, threads) as pool:
        record = STUDIES.get(kind, search)(composed, folder, pool, settings, progress)
    show(record, display)
    if kind == "ablation":
        # the verdict reads studies of the gauntlet's length when it is judged, and a gap's causes those of any
        command = shlex.join(["python", "-m", "repro", "run", f"paper={folder.paper}", *folder.typed])
        display.note(f"Next: {command}   # judges the claims and gaps again; what is trained stays")
    return ExitCode.GATE_FAILED if record["counts"]["failed"] else ExitCode.OK


def learning_rate(
    composed: Composed, folder: RunFolder, pool: Pool, settings: Mapping[str, Any], progress: ShowProgress
) -> dict[str, Any]:
    """The paper's rate and a coarse grid first, then TPE near what learns; hopeless trials are pruned."""
    options = settings["sweep"]
    rates = RateSweep(composed, code_folder(composed, folder, pool.threads), pool, options)
    trials = int(options["trials"])
    name = named("learning_rate", {key: options[key] for key in ("from", "to", "updates", "seeds")}, rates.changes)
    grid = rates.grid(max(2, trials // 3))
    return rates.run(name, grid, trials=trials, seeds=int(options["seeds"]), prune=True, progress=progress)


def ablation(
    composed: Composed, folder: RunFolder, pool: Pool, settings: Mapping[str, Any], progress: ShowProgress
) -> dict[str, Any]:
    options = settings["sweep"]
    seeds, updates, mode = int(options["seeds"]), int(options["updates"]), str(options.get("mode") or "leave_one_out")
    names = options.get("names")
    name = named("ablation", {"seeds": seeds, "updates": updates, "mode": mode}, names)
    return ablation_study(composed, folder, pool, names, seeds, updates, progress, mode=mode, study=name)


def search(
    composed: Composed, folder: RunFolder, pool: Pool, settings: Mapping[str, Any], progress: ShowProgress
) -> dict[str, Any]:
    options = settings["sweep"]
    defining = ("parameters", "objective", "direction", "updates", "seeds")
    name = named(str(options.get("name") or "search"), {key: options.get(key) for key in defining})
    return search_study(composed, folder, pool, options, name, progress)


Run = Callable[["Composed", "RunFolder", Pool, Mapping[str, Any], ShowProgress], dict[str, Any]]
STUDIES: dict[str, Run] = {"learning_rate": learning_rate, "ablation": ablation}


def named(kind: str, *definition: Any) -> str:
    """ "learning_rate-7c3a": a study of other settings is another study, and never mixed with this one."""
    return f"{kind}-{hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()[:4]}"


def show(record: Mapping[str, Any], display: Display) -> None:
    """Print what the study found, and each failed trial with its error."""
    from repro.commands.display import JsonDisplay

    if isinstance(display, JsonDisplay):
        display.emit("sweep", **record)
        return
    display.note(tables.count_line(record))
    if record["kind"] == "learning_rate":
        lines = tables.rate_table(record)
    elif record["kind"] == "ablation":
        lines = tables.effect_table(record)
    else:
        lines = tables.trial_table(record)
    for line in [*lines, *tables.trouble(record)]:
        display.note(line)
    if record.get("summary"):
        display.note(record["summary"][0].upper() + record["summary"][1:] + ".")
