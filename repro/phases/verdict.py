"""From a run folder to its verdict: collect what was measured, judge every record, and say it in one wording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from repro.errors import ExitCode
from repro.phases.context import PhaseContext
from repro.sweeps.effects import BASELINE
from repro.tracking.files import decode_number
from repro.verdict.rows import FULL, Measured, Measurement, Row, judge
from repro.verdict.statistic import statistic_of

KIND = "reproduction"

#: (metric, split) → {update: value} of one seed.
Courses = dict[tuple[str, str], dict[float, float]]


@dataclass(frozen=True)
class Judged:
    """Every row of the table, what the outputs say of them, and the exit code that says the same to a script."""

    rows: tuple[Row, ...]
    sentences: tuple[str, ...]
    exit_code: ExitCode

    def to_json(self) -> dict[str, Any]:
        return {
            "sentence": self.sentences[0],
            "sentences": list(self.sentences),
            "rows": [row.to_json() for row in self.rows],
            "exit_code": int(self.exit_code),
        }


def judge_run(context: PhaseContext) -> Judged:
    """Judge the newest results of the run, all of one source fingerprint and one resolved config."""
    from repro.reference.audit import audit
    from repro.verdict.sentence import exit_code, sentences

    settings = context.settings["reproduction"]
    if context.table is None:
        return Judged((), ("The paper has no reference table, so nothing can be compared.",), ExitCode.UNDECIDED)
    confidence = float(settings["confidence"])
    rows = judge(context.table, measured(context), audit(context.table), confidence)
    place = (context.settings.get("dataset") or {}).get("title") or "another setting than the paper's"
    return Judged(tuple(rows), tuple(sentences(rows, place)), exit_code(rows, settings.get("require") or ()))


def measured(context: PhaseContext) -> Measured:
    """What this run measured so far: seeds, ablations, facts and trajectories of the newest code."""
    from repro.verdict.sequential import plan

    settings = context.settings["reproduction"]
    facts = model_facts(context)
    runs, trajectories = seeds_of(context)
    most = max(int(settings["seeds"]), int(settings["max_seeds"]))
    step = context.opened_pool.workers if context.opened_pool is not None else most
    return Measured(
        scale=str((context.settings.get("scale") or {}).get("name", "")),
        data=str((context.settings.get("dataset") or {}).get("name", "")),
        config=context.settings,
        runs=runs,
        ablations=ablations_of(context),
        facts={name: fact["value"] for name, fact in facts.items() if "value" in fact},
        fact_errors={name: fact["error"] for name, fact in facts.items() if "error" in fact},
        trajectories=trajectories,
        looks=plan(int(settings["seeds"]), step, most) if most >= 2 else (),
    )


def model_facts(context: PhaseContext) -> Mapping[str, Any]:
    """Facts that the model phase measured; none where its evidence is of another code or configuration."""
    evidence = context.evidence.get("model")
    return (evidence.data.get("facts") or {}) if evidence is not None else {}


def seeds_of(
    context: PhaseContext,
) -> tuple[list[Measurement], dict[str, dict[tuple[str, str], dict[int, dict[float, float]]]]]:
    """Metrics of each seed by statistic, and every metric's course by system, (metric, split) and seed.

    metrics.json holds the last values; other statistics that a record names are read off the seed's own course.
    """
    from repro.tracking.store import metrics_of

    runs: list[Measurement] = []
    trajectories: dict[str, dict[tuple[str, str], dict[int, dict[float, float]]]] = {}
    for store in context.folder.processes(kind=KIND):
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
        own: Courses = {}
        for row in store.rows:
            for metric, value in metrics_of(row).items():
                if value is not None:
                    own.setdefault((metric, row["split"]), {})[float(row["update"])] = value
        for name, course in own.items():
            trajectories.setdefault(system, {}).setdefault(name, {})[seed] = course
        runs += [last, *other_statistics(context, last, own)]
    return runs, trajectories


def other_statistics(context: PhaseContext, last: Measurement, own: Courses) -> list[Measurement]:
    """What the records of this seed's system ask for besides the last value, from the seed's finished course."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for record in context.table.records if context.table is not None and last.status == "finished" else ():
        course = own.get((record.metric, record.split))
        if record.kind != "value" or record.system != last.system or not course:
            continue
        for statistic in (record.statistic, *record.readings):
            value = statistic_of(course, statistic, record.direction)
            if value is not None and statistic != last.statistic:
                found.setdefault((record.split, statistic), {})[record.metric] = value
    return [
        replace(last, split=split, statistic=statistic, metrics=metrics)
        for (split, statistic), metrics in found.items()
    ]


def ablations_of(context: PhaseContext) -> dict[str, dict[int, dict[str, float]]]:
    """Metrics of every ablation by name and seed; the baseline of the study is the full model."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    study = context.folder.studies().get("ablation") or {}
    for trial in study.get("trials") or ():
        name = trial["params"]["ablation"]
        seeds = found.setdefault(FULL if name == BASELINE else name, {})
        for seed, metrics in (trial.get("metrics_by_seed") or {}).items():
            seeds[int(seed)] = {metric: decode_number(value) for metric, value in metrics.items()}
    return found
