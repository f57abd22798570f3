"""From a reference table and what was measured to one row per record: what holds, what does not, what cannot be told.

Pure: measurements in, rows out. Rows of one run are corrected for multiplicity by Holm's procedure (1979): with m rows
open each is judged at (1 − confidence) / m; those decided leave, and the rest are judged at the larger share that
remains, until none is decided any more. The chance that any verdict of the run is false is then at most 1 − confidence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from repro.reference.audit import INCONSISTENT, OPEN, AuditResult
from repro.reference.schema import Record, Table
from repro.tracking.files import encode_number
from repro.verdict.outcome import DECIDED, CurveVerdict, ValueVerdict, Verdict

#: seed → {step: value} of one metric on one split.
Trajectories = Mapping[int, Mapping[float, float]]

#: Name of the unchanged model among the ablations.
FULL = "full"


@dataclass(frozen=True)
class Measurement:
    """The final metrics of one seed on one split.

    status: "finished", "diverged", or why there is no result ("failed", "interrupted", "running"). `error` in words.
    system: which of several trained models; "" for the paper's only one. protocol: as the record's, "" if unrecorded.
    """

    seed: int
    split: str = "test"
    statistic: str = "last"
    metrics: Mapping[str, float] = field(default_factory=dict)
    status: str = "finished"
    error: str = ""
    system: str = ""
    protocol: str = ""


@dataclass(frozen=True)
class Measured:
    """Everything that one run measured.

    config: the run's resolved configuration, nested; overrides that a record requires are looked up in it.
    ablations: name (FULL for the unchanged model) → seed → metric → value, all with the same budget.
    facts: record id → number in its plain unit; fact_errors: record id → why it could not be measured.
    trajectories: system → (metric, split) → seed → {step: value}, for curves.
    looks: numbers of seeds at which rows are judged, the last the most that may be used; () for once, now.
    looks_of: system → the same, of systems that get fewer seeds than the others.
    """

    scale: str = ""
    data: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    runs: Sequence[Measurement] = ()
    ablations: Mapping[str, Mapping[int, Mapping[str, float]]] = field(default_factory=dict)
    facts: Mapping[str, float] = field(default_factory=dict)
    fact_errors: Mapping[str, str] = field(default_factory=dict)
    trajectories: Mapping[str, Mapping[tuple[str, str], Trajectories]] = field(default_factory=dict)
    looks: tuple[int, ...] = ()
    looks_of: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One record with its verdict. Numbers are in the record's printed unit, None where there is none."""

    id: str
    label: str
    group: str
    kind: str
    setting: str
    own: bool
    unit: str
    direction: str
    printed: str
    paper: float | None
    tolerance: float | None
    tolerance_reason: str
    verdict: Verdict
    reason: str
    ours: float | None = None
    values: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    interval: tuple[float, float] | None = None
    confidence: float | None = None
    n: int = 0
    difference: float | None = None
    p_one_distribution: float | None = None
    more_seeds: int | None = None
    stricter: bool = False
    command: str = ""
    compute: str = ""
    estimate: str = ""  # what the command would take here, in words
    where: str = ""
    quote: str = ""
    confirmed: str = ""
    arithmetic: str = ""
    assumption: str = ""
    system: str = ""
    metric: str = ""
    split: str = ""
    statistic: str = ""
    points: tuple[tuple[float, float, float], ...] = ()  # of a curve: step, reference, tolerance there
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether the row is one of the n printed results of the first sentence."""
        return self.own and self.setting == "paper" and self.kind != "fact"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: None for a number there is none of, "NaN" and "Infinity" where a seed gave these."""
        content = asdict(self)
        content["verdict"] = str(self.verdict)
        content["values"] = [encode_number(value) for value in self.values]
        for key in ("seeds", "notes", "interval"):
            content[key] = None if content[key] is None else list(content[key])
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Row:
        """The row that `to_json` wrote."""
        names = {one.name for one in fields(cls)}  # verdict.json also holds the edits of a row
        known = {key: value for key, value in content.items() if key in names}
        known["verdict"] = Verdict(content["verdict"])
        known["values"] = tuple(float(value) for value in content["values"])
        known["points"] = tuple(tuple(point) for point in content.get("points") or ())
        known["seeds"], known["notes"] = tuple(content["seeds"]), tuple(content["notes"])
        known["interval"] = None if content["interval"] is None else tuple(content["interval"])
        return cls(**known)


def judge(
    table: Table,
    measured: Measured | Sequence[Measured],
    audited: Iterable[AuditResult] = (),
    confidence: float = 0.95,
) -> list[Row]:
    """One row per record, in the table's order; of several runs, each record's is the first that can decide it."""
    several = [measured] if isinstance(measured, Measured) else list(measured)
    audits = {result.record: result for result in audited}
    rows: dict[str, Row] = {}
    families: dict[str, list[tuple[Record, Callable[[int], ValueVerdict | CurveVerdict], Row]]] = {}
    for record in table.records:
        own = several[decided_by(record, several)]
        prepared = prepare(table, record, own, audits.get(record.id), confidence)
        if isinstance(prepared, Row):
            rows[record.id] = prepared
        else:
            # a curve that we recorded ourselves is no statement of the paper, and takes no share of the claims' level
            family = "recorded" if (record.setting, record.kind) == ("analogue", "curve") else record.setting
            families.setdefault(family, []).append((record, *prepared))
    for members in families.values():
        for (record, _, row), result in zip(members, holm([decide for _, decide, _ in members]), strict=True):
            rows[record.id] = with_result(row, record, result)
    return [rows[record.id] for record in table.records]


def decided_by(record: Record, several: Sequence[Measured]) -> int:
    """The place of the first run that measured what the record needs; where none did, of the one that comes nearest."""

    def fits(one: Measured) -> bool:
        if record.kind == "fact":
            return record.id in one.facts
        if record.claim is not None and record.setting == "analogue":
            return record.claim.ablation in one.ablations
        return bool(one.runs) and not unmet_requirement(record, one)

    def met(one: Measured) -> int:
        needed = (need.partition("=") for need in (*record.requires.overrides, *record.requires.settings))
        fulfilled = sum(same_setting(lookup(one.config, key), wanted) for key, _, wanted in needed)
        return fulfilled + (record.requires.data == one.data) + (record.requires.scale == one.scale)

    places = range(len(several))
    return max(places, key=lambda place: (fits(several[place]), met(several[place])))


def holm(
    decides: Sequence[Callable[[int], ValueVerdict | CurveVerdict]],
) -> list[ValueVerdict | CurveVerdict]:
    """Decide each of m rows, `decide(m)` judging it with the level shared among m rows (see the module's docstring).

    Rows that cannot be tested at all take no share.
    """
    results = [decide(max(1, len(decides))) for decide in decides]
    testable = [i for i, result in enumerate(results) if result.verdict is not Verdict.NOT_TESTABLE]
    remaining = list(testable)
    share = None
    while remaining and share != len(remaining):
        share = len(remaining)
        for i in remaining:
            results[i] = decides[i](share)
        remaining = [i for i in remaining if results[i].verdict not in DECIDED]
    return results


def blank(table: Table, record: Record, verdict: Verdict, reason: str, audit: AuditResult | None = None) -> Row:
    """The row of a record before or without a decision."""
    tolerance = record.tolerance
    around = None
    if tolerance is not None:
        around = tolerance.around(record.number) if record.printed else tolerance.value
    elif record.kind == "fact" and record.printed is not None:
        around = record.printed.half_width
    notes = tuple(note for note in (record.note, *record_sensitivity(audit)) if note)
    return Row(
        id=record.id,
        label=record.label,
        group=record.group,
        kind=record.kind,
        setting=record.setting,
        own=record.own,
        unit=record.unit,
        direction=record.direction,
        printed=record.printed.text if record.printed else "",
        paper=record.number if record.printed else None,
        tolerance=around,
        tolerance_reason=tolerance.reason if tolerance else ("half of the last printed digit" if around else ""),
        verdict=verdict,
        reason=reason,
        command=command(table, record),
        compute=record.compute,
        where=record.where,
        quote=record.quote,
        confirmed=record.confirmed,
        arithmetic=audit.arithmetic if audit else "",
        assumption=audit.assumption if audit else "",
        system=record.system,
        metric=record.metric,
        split=record.split,
        statistic=record.statistic,
        points=tuple((step, value, width) for step, (value, width) in record.course.items()),
        notes=notes,
    )


def record_sensitivity(audit: AuditResult | None) -> tuple[str, ...]:
    return audit.sensitivity if audit else ()


def command(table: Table, record: Record) -> str:
    """The command line that would decide the record; "" where none can."""
    if record.requires.not_built:
        return ""
    if record.kind == "claim" and record.setting == "analogue" and record.claim:
        parts = ["python -m repro sweep ablation", f"paper={table.paper}", f"'sweep.names=[{record.claim.ablation}]'"]
        return " ".join(parts)
    if record.kind == "fact":
        return f"python -m repro check paper={table.paper}"
    parts = ["python -m repro run", f"paper={table.paper}"]
    parts += [f"scale={record.requires.scale}"] if record.requires.scale else []
    parts += [f"data={record.requires.data}"] if record.requires.data else []
    return " ".join((*parts, *map(quoted, record.requires.overrides)))


def quoted(override: str) -> str:
    """An override as a shell takes it: lists and spaces in quotes."""
    return f"'{override}'" if set(override) & set(' [](){}*?$&;|<>"') else override


def prepare(
    table: Table, record: Record, measured: Measured, audit: AuditResult | None, confidence: float
) -> Row | tuple[Callable[[int], ValueVerdict | CurveVerdict], Row]:
    """The finished row of a record that needs no statistics, or how to decide it and the row to fill in."""
    if not record.own:
        return blank(table, record, Verdict.NOT_RUN, "a system that the paper compares with: context, never tested")
    if record.kind == "fact":
        return fact_row(table, record, measured, audit)
    if record.kind == "claim":
        return prepare_claim(table, record, measured, confidence)
    unmet = unmet_requirement(record, measured)
    inconsistent = audit is not None and audit.verdict == INCONSISTENT
    if unmet:
        if inconsistent and audit:
            return blank(table, record, Verdict.PAPER_INCONSISTENT, contradiction(audit), audit)
        return blank(table, record, Verdict.NOT_RUN, unmet, audit)
    if record.kind == "curve":
        return prepare_curve(table, record, measured, confidence)
    return prepare_value(table, record, measured, audit, confidence)


def unmet_requirement(record: Record, measured: Measured) -> str:
    """Why the run is not the one that the record needs; "" if it is."""
    requires = record.requires
    if requires.not_built:
        return f"not built here: {requires.not_built}"
    if requires.scale and requires.scale != measured.scale:
        return f"needs scale={requires.scale}, this run has scale={measured.scale or 'none'}"
    if requires.data and requires.data != measured.data:
        return f"needs data={requires.data}, this run has data={measured.data or 'none'}"
    overridden = {override.partition("=")[0] for override in requires.overrides}
    given = [setting for setting in requires.settings if setting.partition("=")[0] not in overridden]
    for override in (*requires.overrides, *given):
        key, _, wanted = override.partition("=")
        got = lookup(measured.config, key)
        if not same_setting(got, wanted):
            return f"needs {override}, this run has {got if got is not None else 'none'}"
    return ""


def lookup(config: Mapping[str, Any], key: str) -> Any:
    """config["model"]["layers"] for "model.layers"; None if there is no such key."""
    at: Any = config
    for part in key.lstrip("+").split("."):
        if not isinstance(at, Mapping) or part not in at:
            return None
        at = at[part]
    return at


def same_setting(got: Any, wanted: str) -> bool:
    """Whether a resolved value is what an override's text says; numbers by value, so that 0.1 equals 1e-1."""
    if got is None:
        return wanted in ("null", "None")
    if isinstance(got, bool):
        return wanted.lower() == str(got).lower()
    if isinstance(got, int | float):
        try:
            return float(wanted) == float(got)
        except ValueError:
            return False
    return str(got) == wanted.strip("'\"")


def fact_row(table: Table, record: Record, measured: Measured, audit: AuditResult | None) -> Row:
    """Facts need no statistics; a fact that only the paper's own numbers enter is decided by the audit."""
    from repro.verdict.fact import decide_fact

    assert record.printed is not None
    tolerance = record.tolerance.around(record.number) if record.tolerance else None
    ours = measured.facts.get(record.id)
    ours = None if ours is None else ours / record.multiple
    inconsistent = audit is not None and audit.verdict == INCONSISTENT
    derivable = audit is not None and audit.verdict != OPEN and math.isfinite(audit.derived)
    if inconsistent:
        assert audit is not None
        row = blank(table, record, Verdict.PAPER_INCONSISTENT, contradiction(audit), audit)
        if ours is None:
            return replace(row, ours=audit.derived if derivable else None, difference=gap(audit.derived, record))
        row = replace(row, ours=ours, values=(ours,), n=1, difference=gap(ours, record))
        if derivable and abs(ours - audit.derived) > record.printed.half_width:
            # the paper contradicts itself, but our code contradicts the paper's text besides
            reason = f"our code has {ours:.6g}, what the paper's text describes has {audit.derived:.6g}"
            return replace(row, verdict=Verdict.MISMATCH_WORSE, reason=reason)
        return row
    if record.id in measured.fact_errors:
        return blank(table, record, Verdict.NOT_TESTABLE, measured.fact_errors[record.id], audit)
    if ours is not None:
        row = blank(table, record, Verdict.MATCH, "", audit)
        return with_result(row, record, decide_fact(ours, record.printed, tolerance))
    if record.fact is not None:
        return blank(table, record, Verdict.NOT_RUN, f"{record.fact.name} was not measured in this run", audit)
    if derivable:
        assert audit is not None
        result = decide_fact(audit.derived, record.printed, tolerance)
        row = with_result(blank(table, record, Verdict.MATCH, "", audit), record, result)
        if result.verdict is not Verdict.MATCH and audit.holds:
            return replace(row, verdict=Verdict.MATCH, reason=audit.arithmetic)
        return row
    return blank(table, record, Verdict.NOT_TESTABLE, audit.arithmetic if audit else "nothing derives it", audit)


def contradiction(audit: AuditResult) -> str:
    return f"{audit.arithmetic} {audit.assumption}".strip()


def gap(ours: float, record: Record) -> float | None:
    return ours - record.number if math.isfinite(ours) else None


def comparable(record: Record, measured: Measured) -> tuple[dict[int, float], str, tuple[str, ...]]:
    """The record's metric by seed, why it cannot be tested ("" if it can), and notes on seeds left out."""
    runs = [run for run in measured.runs if run.system == record.system]
    if not runs:
        return {}, "not run", ()
    diverged = sorted({run.seed for run in runs if run.status == "diverged"})
    if diverged:
        names = ", ".join(map(str, diverged))
        return {}, f"seed {names} diverged: a mean over the seeds that did not would flatter the result", ()
    missing = {run.seed: run for run in runs if run.status != "finished"}
    notes = tuple(f"seed {seed} left out: {run.error or run.status}" for seed, run in sorted(missing.items()))
    finished = [run for run in runs if run.status == "finished"]
    if not finished:
        return {}, "no seed finished", notes
    for name in ("split", "statistic", "protocol"):
        wanted = getattr(record, name)
        have = sorted({getattr(run, name) for run in finished})
        unrecorded = name == "protocol" and have == [""]
        if wanted and not unrecorded:
            finished = [run for run in finished if getattr(run, name) == wanted]
            if not finished:
                return {}, f"the record's {name} is {wanted}, measured was {', '.join(have) or 'none'}", notes
        elif wanted and unrecorded:
            notes += (f"the run records no protocol; the paper's is: {wanted}",)
    lacking = [run for run in finished if record.metric not in run.metrics]
    if lacking:
        have = sorted({name for run in finished for name in run.metrics})
        return {}, f"evaluation gives no {record.metric}; it gives {', '.join(have) or 'nothing'}", notes
    values = {run.seed: float(run.metrics[record.metric]) / record.multiple for run in finished}
    return dict(sorted(values.items())), "", notes


def prepare_value(
    table: Table, record: Record, measured: Measured, audit: AuditResult | None, confidence: float
) -> Row | tuple[Callable[[int], ValueVerdict], Row]:
    """A value: its seeds against the printed number, and against every other reading of it that the record gives.

    A value whose paper contradicts itself is decided beside each of the statements, and its row stays inconsistent.
    """
    from repro.verdict.methods import Scale
    from repro.verdict.value import decide_value

    assert record.printed is not None and record.tolerance is not None
    values, fault, notes = comparable(record, measured)
    if fault:
        verdict = Verdict.NOT_RUN if fault == "not run" else Verdict.NOT_TESTABLE
        row = blank(table, record, verdict, fault if fault != "not run" else "no seed was trained yet", audit)
        return replace(row, notes=(*row.notes, *notes))
    row = blank(table, record, Verdict.INCONCLUSIVE, "", audit)
    row = replace(row, values=tuple(values.values()), seeds=tuple(values), notes=(*row.notes, *notes))
    spread = paper_sd(record)
    scale = Scale(record.method, *record.bounds)

    def decide(rows: int, printed: float = record.number, samples: Mapping[int, float] = values) -> ValueVerdict:
        assert record.tolerance is not None
        return decide_value(
            list(samples.values()),
            printed,
            record.tolerance.around(printed),
            record.direction,
            confidence,
            scale=scale,
            paper_spread=spread,
            paper_seeds=record.seeds,
            looks=measured.looks_of.get(record.system, measured.looks),
            rows=rows,
        )

    for reading in record.readings:
        # judged alone: it is no row, so it takes no share of the level
        others, why_not, _ = comparable(replace(record, statistic=reading), measured)
        result = None if why_not else decide(1, samples=others)
        judged = why_not or (f"{result.mean:.4g}, {result.verdict} ({result.reason})" if result else "")
        row = replace(row, notes=(*row.notes, f"read as {reading} instead of {record.statistic}: {judged}"))
    if audit is not None and audit.verdict == INCONSISTENT:
        # the run is shown beside each of the paper's statements; none of them is called the right one
        result = decide(1)
        row = with_result(row, record, result)
        said = [f"beside {record.printed.text} ({record.where}): {result.verdict}"]
        for stated in record.also_stated:
            verdict = decide(1, stated.printed.number).verdict
            said.append(f"beside {stated.printed.text} ({stated.where}): {verdict}")
        return replace(row, verdict=Verdict.PAPER_INCONSISTENT, reason=contradiction(audit), notes=(*row.notes, *said))
    return decide, row


def paper_sd(record: Record) -> float | None:
    """Standard deviation between the paper's runs, from the kind of spread it prints; None if it cannot be told."""
    if record.spread is None:
        return None
    if record.spread.kind == "sd":
        return record.spread.value
    if not record.seeds:
        return None
    error = record.spread.value / (1.96 if record.spread.kind == "ci95" else 1.0)
    return error * math.sqrt(record.seeds)


def prepare_claim(
    table: Table, record: Record, measured: Measured, confidence: float
) -> Row | tuple[Callable[[int], ValueVerdict], Row]:
    """A claim: the metric of two ablations, paired by the seeds that both have."""
    from repro.verdict.claim import decide_claim

    claim = record.claim
    assert claim is not None
    if record.setting == "paper":
        unmet = unmet_requirement(record, measured)
        if unmet:
            return blank(table, record, Verdict.NOT_RUN, unmet)
    found = {}
    for name in (claim.ablation, claim.against or FULL):
        by_seed = measured.ablations.get(name)
        if not by_seed:
            return blank(table, record, Verdict.NOT_RUN, f"{name} was not trained in this run")
        found[name] = {seed: float(m[record.metric]) for seed, m in by_seed.items() if record.metric in m}
        if not found[name]:
            have = sorted({key for metrics in by_seed.values() for key in metrics})
            reason = f"{name} was not measured in {record.metric}; it has {', '.join(have) or 'nothing'}"
            return blank(table, record, Verdict.NOT_TESTABLE, reason)
    changed, against = found[claim.ablation], found[claim.against or FULL]
    seeds = sorted(set(changed) & set(against))
    pairs = tuple(changed[seed] - against[seed] for seed in seeds)
    alone = sorted(set(changed) ^ set(against))
    row = blank(table, record, Verdict.INCONCLUSIVE, "")
    notes = (f"seed {', '.join(map(str, alone))} left out: only one of the two variants has it",) if alone else ()
    row = replace(row, values=pairs, seeds=tuple(seeds), notes=(*row.notes, *notes))
    difference = claim.difference.number if claim.difference else None
    tolerance = None
    if record.tolerance is not None:
        tolerance = record.tolerance.around(difference) if difference is not None else record.tolerance.value

    def decide(rows: int) -> ValueVerdict:
        return decide_claim(
            changed, against, claim.expect, record.direction, confidence,
            difference=difference, tolerance=tolerance, rows=rows,
        )  # fmt: skip

    return decide, row


def prepare_curve(
    table: Table, record: Record, measured: Measured, confidence: float
) -> Row | tuple[Callable[[int], CurveVerdict], Row]:
    """A curve: the finished seeds' trajectories at the steps of the reference that all of them recorded."""
    import numpy as np

    from repro.verdict.curve import decide_curve

    assert record.tolerance is not None
    curves = measured.trajectories.get(record.system, {}).get((record.metric, record.split), {})
    if not curves:
        return blank(table, record, Verdict.NOT_RUN, f"no trajectory of {record.metric} on {record.split} was recorded")
    runs = [run for run in measured.runs if run.system == record.system]
    diverged = sorted({run.seed for run in runs if run.status == "diverged"})
    if diverged:
        names = ", ".join(map(str, diverged))
        reason = f"seed {names} diverged: the band of the seeds that did not would flatter the result"
        return blank(table, record, Verdict.NOT_TESTABLE, reason)
    unfinished = {run.seed for run in runs if run.status != "finished"}
    seeds = sorted(set(curves) - unfinished)
    if not seeds:
        return blank(table, record, Verdict.NOT_TESTABLE, "no seed finished")
    common = {step: point for step, point in record.course.items() if all(step in curves[seed] for seed in seeds)}
    steps, values, widths = list(common), [value for value, _ in common.values()], [at for _, at in common.values()]
    ours = np.array([[curves[seed][step] for step in steps] for seed in seeds], dtype=np.float64)
    ours = ours.reshape(len(seeds), -1)  # keeps two axes without any step
    row = replace(blank(table, record, Verdict.INCONCLUSIVE, ""), seeds=tuple(seeds), n=len(seeds))
    left_out = tuple(f"seed {seed} left out: not finished" for seed in sorted(unfinished & set(curves)))
    row = replace(row, notes=(*row.notes, *left_out))
    if len(common) < len(record.points):
        missing = len(record.points) - len(common)
        note = f"{missing} of {len(record.points)} steps of the reference were not recorded by every seed"
        row = replace(row, notes=(*row.notes, note))

    def decide(rows: int) -> CurveVerdict:
        return decide_curve(steps, ours, values, widths, record.direction, confidence, rows)

    return decide, row


def with_result(row: Row, record: Record, result: ValueVerdict | CurveVerdict) -> Row:
    """The row with what was decided."""
    if isinstance(result, CurveVerdict):
        return replace(row, verdict=result.verdict, reason=result.reason, n=result.n)
    notes = (*row.notes, *result.notes)
    if result.stricter:
        notes += ("the tolerance is stricter than the paper's own sampling error",)

    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    ends = tuple(number(end) for end in result.interval)
    low, high = ends
    return replace(
        row,
        verdict=result.verdict,
        reason=result.reason,
        ours=number(result.mean),
        values=row.values or ((result.mean,) if record.kind == "fact" else ()),
        interval=None if low is None or high is None or record.kind == "fact" else (low, high),
        confidence=number(result.confidence) if record.kind != "fact" else None,
        n=result.n,
        difference=number(result.difference),
        p_one_distribution=number(result.p_one_distribution) if record.kind == "value" else None,
        more_seeds=result.more_seeds,
        stricter=result.stricter,
        notes=notes,
    )
