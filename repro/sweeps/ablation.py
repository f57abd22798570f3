"""What each declared part buys: runs without it (or with it alone) against a baseline, over paired seeds.

`leave_one_out` removes one part from the whole paper; `add_one` gives one part back to the paper without any of them.
Where the two disagree, the parts interact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.errors import ConfigError
from repro.sweeps.deviations import switches
from repro.sweeps.effects import BASELINE, Effect, effects, measurements
from repro.sweeps.falling import fall
from repro.sweeps.processes import ShowProgress, changed_process, code_folder, plain, shown
from repro.sweeps.study import Measured, Plan, Study
from repro.sweeps.tasks import Task
from repro.sweeps.training_task import training_losses
from repro.tracking.store import ProcessStore

if TYPE_CHECKING:
    from repro.configuration.compose import Composed
    from repro.sweeps.pool import Pool
    from repro.tracking.run_folder import RunFolder

MODES = ("leave_one_out", "add_one", "both")
ALL_REMOVED = "all_removed"
ONLY = "only_"
TRAINING_LOSS = "training_loss"  # of the last logged updates; where an ablation changes the loss, the changed one


def ablation_study(
    composed: Composed,
    run_folder: RunFolder,
    pool: Pool,
    names: Sequence[str] | None = None,
    seeds: int | Sequence[int] | None = None,
    updates: int | None = None,
    progress: ShowProgress | None = None,
    *,
    mode: str = "leave_one_out",
    study: str = "ablation",
) -> dict[str, Any]:
    """Train the baseline and every run that `names` and `mode` ask for; the record of studies/<study>.json.

    Args:
        names: declared ablations; None or empty is all of them.
        seeds: how many (from reproduction.first_seed), or which; None is gauntlet.ablations.seeds.
        updates: of each run; None is gauntlet.ablations.updates.

    Raises:
        ConfigError: no such ablation, none declared, an unknown mode, or parts that cannot all be removed at once.
    """
    settings = plain(composed)
    budget = settings["gauntlet"]["ablations"]
    first = int(settings["reproduction"]["first_seed"])
    seeds = int(budget["seeds"]) if seeds is None else seeds
    chosen = tuple(range(first, first + seeds)) if isinstance(seeds, int) else tuple(seeds)
    updates = int(budget["updates"]) if updates is None else updates
    folder = code_folder(composed, run_folder, pool.threads)
    # deviations are undone one at a time; to add parts back one at a time, only the parts count
    ablations = switches(settings) if mode == "leave_one_out" or names else settings.get("ablations") or {}
    runs = planned_runs(ablations, names, mode)
    return AblationStudy(composed, folder, pool, runs, chosen, updates, int(budget["updates"])).run(study, progress)


def planned_runs(
    ablations: Mapping[str, Mapping[str, Any]], names: Sequence[str] | None, mode: str
) -> dict[str, dict[str, Any]]:
    """The changes of each run by its name, the baselines first.

    >>> planned_runs({"no_bias": {"changes": {"model.bias": False}}}, None, "leave_one_out")
    {'baseline': {}, 'no_bias': {'model.bias': False}}
    """
    if mode not in MODES:
        raise ConfigError(f"sweep.mode: got {mode!r}, need one of {', '.join(MODES)}.")
    if not ablations:
        raise ConfigError(
            "The paper declares no ablations, so there is nothing to leave out.",
            "Declare them: `ablations: {no_bias: {changes: {model.bias: false}, says: what the paper says}}`.",
        )
    wanted = list(names or ablations)
    unknown = [name for name in wanted if name not in ablations]
    if unknown:
        raise ConfigError(
            f"sweep.names: the paper declares no ablation {', '.join(unknown)}.", f"Declared: {', '.join(ablations)}."
        )
    runs: dict[str, dict[str, Any]] = {}
    if mode in ("leave_one_out", "both"):
        runs[BASELINE] = {}
        runs |= {name: dict(ablations[name]["changes"]) for name in wanted}
    if mode in ("add_one", "both"):
        runs[ALL_REMOVED] = merged(ablations, wanted)
        runs |= {ONLY + name: merged(ablations, [one for one in wanted if one != name]) for name in wanted}
    return runs


def merged(ablations: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """All changes of several ablations. Raises `ConfigError` where two set one key to different values."""
    changes: dict[str, Any] = {}
    by: dict[str, str] = {}
    for name in names:
        for key, value in ablations[name]["changes"].items():
            if key in changes and changes[key] != value:
                raise ConfigError(
                    f"The ablations {by[key]} and {name} cannot both be applied: "
                    f"{key} would be {changes[key]!r} and {value!r}.",
                    f"For sweep.mode=add_one name one of them: sweep.names=[{name},…].",
                )
            changes[key], by[key] = value, name
    return changes


class AblationStudy:
    """Paired runs in one code folder. A run that another study made with the same updates and seed is used again."""

    def __init__(
        self,
        composed: Composed,
        folder: Path,
        pool: Pool,
        runs: Mapping[str, dict[str, Any]],
        seeds: Sequence[int],
        updates: int,
        usual_updates: int,
    ) -> None:
        self.composed, self.folder, self.pool = composed, folder, pool
        self.settings = plain(composed)
        self.runs, self.seeds, self.updates = runs, tuple(seeds), updates
        # runs of another length are another experiment: they get folders and a kind of their own
        self.kind = "ablation" if updates == usual_updates else f"ablation-{updates}"

    def run(self, name: str, progress: ShowProgress | None = None) -> dict[str, Any]:
        declared = list(switches(self.settings))
        plan = Plan(
            name=name,
            kind="ablation",
            objective=TRAINING_LOSS.replace("_", " "),
            # all that could ever be asked for, so that a study can be extended by further names
            space={"ablation": (BASELINE, ALL_REMOVED, *declared, *(ONLY + one for one in declared))},
            trials=len(self.runs),
            updates=self.updates,
            points=tuple({"ablation": run} for run in self.runs),
            seeds=self.seeds,
            declared={name: dict(entry["changes"]) for name, entry in switches(self.settings).items()},
        )
        study = Study(plan, self.folder / "studies", self.task, self.measure, self.conclude)
        return study.run(self.pool, lambda record: shown(record, "ablations", progress))

    def task(self, number: int, params: Mapping[str, Any], seed: int) -> Task:
        run = params["ablation"]
        return changed_process(
            self.composed,
            self.folder,
            self.pool,
            process=self.process(run, seed),
            kind=self.kind,
            name=run,
            seed=seed,
            updates=self.updates,
            changes=self.changes(run),
            log_every=int(self.settings["reproduction"]["log_every"]),
            final_split="test",
        )

    def changes(self, run: str) -> dict[str, Any]:
        # a study resumed with fewer names may still have to finish a run that is not asked for now
        if run in self.runs:
            return self.runs[run]
        known = switches(self.settings)
        if run in known:
            return dict(known[run]["changes"])
        return planned_runs(self.settings["ablations"], None, "both")[run]

    def process(self, run: str, seed: int) -> str:
        """ "ablation-no_dropout-3fa2c1-seed-0": the hash is of the changes; an edited ablation is another run."""
        if run != BASELINE:
            text = repr(sorted(self.changes(run).items()))
            run = f"{run}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
        return f"{self.kind}-{run}-seed-{seed}"

    def measure(self, task: str, result: Mapping[str, Any]) -> Measured:
        _, losses = training_losses(ProcessStore(self.folder / "processes" / task).rows, task)
        loss = fall(losses).final
        return Measured(loss, {**result["metrics"], TRAINING_LOSS: loss})

    def conclude(self, record: dict[str, Any]) -> dict[str, Any]:
        """The effects of leaving each part out, and of adding it to none, with what the paper says of each."""
        measured = measurements(record)
        confidence = float(self.settings["reproduction"]["confidence"])
        found: list[Effect] = []
        alone = {run: seeds for run, seeds in measured.items() if run == ALL_REMOVED or run.startswith(ONLY)}
        without = {run: seeds for run, seeds in measured.items() if run not in alone}
        if BASELINE in without:
            found += effects(without, BASELINE, confidence)
        if ALL_REMOVED in alone:
            found += effects(alone, ALL_REMOVED, confidence)
        says = switches(self.settings)
        return {
            "seeds": list(self.seeds),
            "updates": self.updates,
            "confidence": confidence,
            "runs": [
                {
                    "name": trial["params"]["ablation"],
                    "state": trial["state"],
                    "error": trial["error"],
                    "changes": self.changes(trial["params"]["ablation"]),
                    "says": (says.get(trial["params"]["ablation"].removeprefix(ONLY)) or {}).get("says", ""),
                }
                for trial in record["trials"]
            ],
            "effects": [effect.to_json() for effect in found],
        }
