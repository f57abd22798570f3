"""What a run measured, read from its folder for a verdict: seeds, ablations, facts, and the course of every metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from repro.findings import Evidence
from repro.sweeps.deviations import edited_since
from repro.sweeps.effects import BASELINE, measurements
from repro.tracking.run_folder import RunFolder
from repro.tracking.store import metrics_of
from repro.verdict.rows import FULL, Measured, Measurement
from repro.verdict.statistic import statistic_of

if TYPE_CHECKING:
    from repro.phases.looks import Looks
    from repro.reference.schema import Table

#: {update: value} of one metric of one seed.
Course = dict[float, float]


class Judgeable(Protocol):
    """What a verdict is made from: a phase's context, or the same read from files alone."""

    @property
    def settings(self) -> dict[str, Any]: ...

    @property
    def folder(self) -> RunFolder: ...

    @property
    def table(self) -> Table | None: ...

    @property
    def evidence(self) -> Mapping[str, Evidence]: ...


@dataclass(frozen=True)
class FromFiles:
    """A run as its folder holds it: nothing is imported, so a report can be judged anywhere."""

    settings: dict[str, Any]
    folder: RunFolder
    table: Table | None
    evidence: Mapping[str, Evidence]


def from_files(folder: RunFolder, settings: dict[str, Any] | None = None) -> FromFiles:
    """A run as a verdict reads it, from files alone; no component is imported.

    Raises ConfigError where its reference table is not found here.
    """
    from repro.configuration.folders import reference_table
    from repro.reference import load_table

    settings = folder.settings if settings is None else settings
    name = (settings.get("paper") or {}).get("reference")
    table = load_table(reference_table(str(name))) if name else None
    return FromFiles(settings, folder, table, folder.evidence)


def measured(context: Judgeable, looks: Looks) -> Measured:
    """What this run measured so far: seeds, ablations, facts and trajectories of the newest code."""
    settings = context.settings["reproduction"]
    facts = model_facts(context)
    runs, trajectories = seeds_of(context)
    most = max(int(settings["seeds"]), int(settings["max_seeds"]))
    return Measured(
        scale=str((context.settings.get("scale") or {}).get("name", "")),
        data=str((context.settings.get("dataset") or {}).get("name", "")),
        config=context.settings,
        runs=runs,
        ablations=ablations_of(context),
        facts={name: fact["value"] for name, fact in facts.items() if "value" in fact},
        fact_errors={name: fact["error"] for name, fact in facts.items() if "error" in fact},
        trajectories=trajectories,
        looks=looks.all or ((most,) if most >= 2 else ()),
        looks_of={system: looks.of(system).all for system in looks.ends},
    )


def model_facts(context: Judgeable) -> Mapping[str, Any]:
    """Facts that the model phase measured; none where its evidence is of another code or configuration."""
    evidence = context.evidence.get("model")
    return (evidence.data.get("facts") or {}) if evidence is not None else {}


def seeds_of(context: Judgeable) -> tuple[list[Measurement], dict[str, dict[tuple[str, str], dict[int, Course]]]]:
    """Metrics of each seed by statistic, and every metric's course by system, (metric, split) and seed.

    metrics.json holds the last values; other statistics that a record names are read off the seed's own course.
    """
    runs: list[Measurement] = []
    trajectories: dict[str, dict[tuple[str, str], dict[int, Course]]] = {}
    for store in context.folder.processes(kind="reproduction"):
        record, final = store.record, store.metrics
        system, seed = str(record.get("name") or ""), int(record["seed"])
        last = Measurement(
            seed=seed,
            split=str(final.get("split") or "test"),
            statistic=str(final.get("statistic") or "last"),
            metrics=final.get("metrics") or {},
            status=str(record["status"]),
            error=str(record.get("error") or ""),
            system=system,
        )
        own: dict[tuple[str, str], Course] = {}
        for row in store.rows:
            for metric, value in metrics_of(row).items():
                if value is not None:
                    own.setdefault((metric, row["split"]), {})[float(row["update"])] = value
        for name, course in own.items():
            trajectories.setdefault(system, {}).setdefault(name, {})[seed] = course
        runs += [last, *other_statistics(context, last, own)]
    return runs, trajectories


def other_statistics(context: Judgeable, last: Measurement, own: dict[tuple[str, str], Course]) -> list[Measurement]:
    """What the records of this seed's system ask for besides the last value, from the seed's finished course."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    # where nothing is held out, every split is the same examples, whatever the paper calls them
    same = (context.settings.get("splits") or {}).get("by") == "none"
    evaluated_on = context.settings["reproduction"]["evaluation_split"] if same else ""
    for record in context.table.records if context.table is not None and last.status == "finished" else ():
        course = own.get((record.metric, evaluated_on if same else record.split))
        if record.kind != "value" or record.system != last.system or not course:
            continue
        for statistic in (record.statistic, *record.readings):
            value = statistic_of(course, statistic, record.direction)
            if value is not None and (record.split, statistic) != (last.split, last.statistic):
                found.setdefault((record.split, statistic), {})[record.metric] = value
    return [
        replace(last, split=split, statistic=statistic, metrics=metrics)
        for (split, statistic), metrics in found.items()
    ]


def ablations_of(context: Judgeable) -> dict[str, dict[int, dict[str, float]]]:
    """Metrics of every ablation by name and seed; the baseline of a study is the full model.

    Of the gauntlet's study and of those that `sweep ablation` added: those of the same length share their processes.
    """
    found: dict[str, dict[int, dict[str, float]]] = {}
    updates = int(context.settings["gauntlet"]["ablations"]["updates"])
    for study in context.folder.studies().values():
        if study.get("kind") != "ablation" or study.get("updates") != updates:
            continue
        edited = edited_since(study, context.settings)
        for name, by_seed in measurements(study).items():
            if name not in edited:
                found.setdefault(FULL if name == BASELINE else name, {}).update(by_seed)
    return found
