"""From a run folder to its verdict: collect what was measured, judge every record, and say it in one wording."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from repro.errors import ExitCode
from repro.findings import Evidence
from repro.sweeps.deviations import edited_since
from repro.sweeps.effects import BASELINE
from repro.tracking.files import decode_number
from repro.tracking.run_folder import RunFolder
from repro.verdict.outcome import TESTED, Verdict
from repro.verdict.rows import FULL, Measured, Measurement, Row, judge
from repro.verdict.statistic import statistic_of

if TYPE_CHECKING:
    from repro.phases.looks import Looks
    from repro.reference.schema import Table

KIND = "reproduction"

#: (metric, split) → {update: value} of one seed.
Courses = dict[tuple[str, str], dict[float, float]]


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


@dataclass(frozen=True)
class Judged:
    """Every row of the table, what the outputs say of them, and the exit code that says the same to a script.

    `edits` by row and `other_edits` list what was changed after the first seed; `gaps` what may explain a mismatch.
    """

    rows: tuple[Row, ...]
    sentences: tuple[str, ...]
    exit_code: ExitCode
    edits: Mapping[str, tuple[tuple[str, str, str], ...]] = field(default_factory=dict)
    other_edits: tuple[tuple[str, str, str], ...] = ()
    gaps: tuple[Mapping[str, Any], ...] = ()
    gap_sentence: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "sentence": self.sentences[0],
            "sentences": list(self.sentences),
            "rows": [{**row.to_json(), "edits": self.edits.get(row.id, ())} for row in self.rows],
            "edits": self.other_edits,
            "gaps": list(self.gaps),
            "gap_sentence": self.gap_sentence,
            "exit_code": int(self.exit_code),
        }


def judge_run(context: Judgeable, whole: bool = True) -> Judged:
    """Judge the newest results of the run, all of one source fingerprint and one resolved config.

    `whole` also looks for causes of gaps, which reads the folders of other runs; while seeds are added it is not asked.
    """
    from repro.phases import looks as registered_looks
    from repro.reference.audit import audit
    from repro.verdict.sentence import exit_code, sentences

    settings = context.settings["reproduction"]
    if context.table is None:
        return Judged((), ("The paper has no reference table, so nothing can be compared.",), ExitCode.UNDECIDED)
    confidence = float(settings["confidence"])
    looks = registered_looks.read(context.folder)
    taken = measured(context, looks)
    rows = with_looks(judge(context.table, taken, audit(context.table), confidence), looks, confidence)
    rows = with_typed(context, with_estimates(context, rows))
    place = (context.settings.get("dataset") or {}).get("title") or "another setting than the paper's"
    said = sentences(rows, place)
    code = exit_code(rows, settings.get("require") or ())
    if not whole:
        return Judged(tuple(rows), tuple(said), code)
    return explained(context, Judged(tuple(rows), tuple(said), code))


def explained(context: Judgeable, judged: Judged) -> Judged:
    """The verdict with what was edited since the first seed and what may cause its gaps."""
    from repro.phases.causes import gaps_of, main_sentence
    from repro.reference.schema import record_json
    from repro.verdict import registration

    assert context.table is not None
    registered = context.folder.registered_table
    records = [record_json(record) for record in context.table.records]
    edits = registration.row_edits(registered, records)
    others = (
        *registration.removed(registered, records),
        *registration.budget_edits(registered, context.settings["reproduction"]),
    )
    gaps = gaps_of(context, judged.rows)
    first, *rest = judged.sentences
    main = main_sentence(gaps, judged.rows)
    said = [first, main, *rest, registration.sentence(edits, others)]
    return replace(
        judged,
        sentences=tuple(sentence for sentence in said if sentence),
        edits=edits,
        other_edits=others,
        gaps=tuple(gap.to_json() for gap in gaps),
        gap_sentence=main,
    )


def with_looks(rows: Sequence[Row], looks: Looks, confidence: float) -> list[Row]:
    """Rows that were tested at a look which was not planned say so."""
    found = []
    for row in rows:
        tested = row.kind == "value" and row.n > 0 and row.verdict in TESTED
        note = looks.of(row.system).note(confidence) if tested else ""
        found.append(replace(row, notes=(*row.notes, note)) if note else row)
    return found


def with_estimates(context: Judgeable, rows: Sequence[Row]) -> list[Row]:
    """Rows that were not run say what their command would take, by the measured updates of this run."""
    from repro.phases.compute import in_words

    evidence = context.evidence.get("reproduction")
    found = (evidence.data.get("compute") or {}) if evidence is not None else {}
    return [
        replace(row, estimate=in_words(found, row.command)) if row.verdict is Verdict.NOT_RUN else row for row in rows
    ]


def with_typed(context: Judgeable, rows: Sequence[Row]) -> list[Row]:
    """A claim tried in this run's own setting is tried further in the same one: its command repeats what was typed."""
    words = "".join(f" {shlex.quote(word)}" for word in context.folder.typed)
    return [
        replace(row, command=row.command + words)
        if row.command and (row.kind, row.setting) == ("claim", "analogue")
        else row
        for row in rows
    ]


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


def seeds_of(
    context: Judgeable,
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


def other_statistics(context: Judgeable, last: Measurement, own: Courses) -> list[Measurement]:
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
    """Metrics of every ablation by name and seed; the baseline of the study is the full model."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    study = context.folder.studies().get("ablation") or {}
    edited = edited_since(study, context.settings)
    for trial in study.get("trials") or ():
        name = trial["params"]["ablation"]
        if name in edited:
            continue
        seeds = found.setdefault(FULL if name == BASELINE else name, {})
        for seed, metrics in (trial.get("metrics_by_seed") or {}).items():
            seeds[int(seed)] = {metric: decode_number(value) for metric, value in metrics.items()}
    return found
