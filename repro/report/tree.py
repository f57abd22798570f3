"""What a report holds: frozen records, read from a run folder by `collect`, drawn by html, markdown and terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from repro.findings import outcomes_of_checks
from repro.session.page import Page

#: The seven verdicts in the order in which tallies and legends show them, with the word a reader sees.
VERDICTS = {
    "match": "match",
    "mismatch_worse": "worse",
    "mismatch_better": "better",
    "inconclusive": "undecided",
    "not_run": "not run",
    "not_testable": "not testable",
    "paper_inconsistent": "paper inconsistent",
}
#: A claim is not worse or better: it holds, or it does not.
CLAIM_WORDS = VERDICTS | {"match": "holds", "mismatch_worse": "does not hold", "mismatch_better": "exceeds the claim"}
#: A fact has no better or worse side.
FACT_WORDS = VERDICTS | {"mismatch_worse": "differs", "mismatch_better": "differs"}
DECIDED = ("match", "mismatch_worse", "mismatch_better")


@dataclass(frozen=True)
class Row:
    """A reference record with its verdict; numbers are in the unit of the record, None where there is none.

    `values` holds one number a seed and may hold NaN; `kind` is fact, value, curve or claim; `edits` lists what was
    changed in the record after results were seen, as (field, registered, now).
    """

    id: str
    label: str
    verdict: str
    kind: str = "value"
    setting: str = "paper"
    own: bool = True
    group: str = ""
    unit: str = ""
    direction: str = "none"
    printed: str = ""
    paper: float | None = None
    tolerance: float | None = None
    tolerance_reason: str = ""
    ours: float | None = None
    values: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None
    confidence: float | None = None
    n: int = 0
    difference: float | None = None
    reason: str = ""
    p_one_distribution: float | None = None
    more_seeds: int | None = None
    stricter: bool = False  # the tolerance is smaller than the paper's own sampling error
    command: str = ""
    compute: str = ""
    estimate: str = ""
    where: str = ""
    quote: str = ""
    arithmetic: str = ""
    confirmed: str = ""
    assumption: str = ""
    metric: str = ""
    system: str = ""
    split: str = ""
    points: tuple[tuple[float, float, float], ...] = ()  # of a curve: step, reference, tolerance there
    notes: tuple[str, ...] = ()
    edits: tuple[tuple[str, str, str], ...] = ()

    @property
    def counted(self) -> bool:
        """Whether the row is one of the n printed results of the first sentence."""
        return self.own and self.setting == "paper" and self.kind != "fact"

    @property
    def word(self) -> str:
        words = {"claim": CLAIM_WORDS, "fact": FACT_WORDS}.get(self.kind, VERDICTS)
        return words.get(self.verdict, self.verdict)


@dataclass(frozen=True)
class Cause:
    """A candidate for a gap: what was changed alone, its effect in the unit of the row, the share of the gap."""

    label: str
    detail: str = ""
    effect: float | None = None
    interval: tuple[float, float] | None = None
    values: tuple[float, ...] = ()
    share: str = ""
    note: str = ""


@dataclass(frozen=True)
class Gap:
    """A mismatch and what was measured to explain it; an empty `causes` reads "unexplained"."""

    row: str
    gap: float | None
    interval: tuple[float, float] | None
    sentence: str
    causes: tuple[Cause, ...] = ()
    next: str = ""  # the cheapest command that could still find the cause


@dataclass(frozen=True)
class Curve:
    """One seed's trajectory of one metric, thinned; `points` are (update, value) with NaN where it was not finite."""

    seed: int
    points: tuple[tuple[int, float], ...]
    recorded: int
    status: str = "finished"


@dataclass(frozen=True)
class Panel:
    """All seeds of one metric of one system on one split; `mean` holds the updates that every seed recorded."""

    metric: str
    split: str
    curves: tuple[Curve, ...]
    mean: tuple[tuple[int, float], ...]
    printed: tuple[tuple[str, float, float | None], ...] = ()  # (label, value, tolerance) of the paper's rows of it
    system: str = ""
    reference: tuple[tuple[float, float, float], ...] = ()  # (step, value, tolerance) of a curve that it must follow
    reference_of: str = ""  # who recorded that curve
    unit: str = "updates"  # what the trajectory is drawn over
    per_update: float = 1.0  # how many of these an update is
    reported: bool = False  # whether the paper prints a result of this metric on this split
    direction: str = ""  # which of its values are better, where a row says so


@dataclass(frozen=True)
class Final:
    """A metric of the trained models, one value a finished seed, whether or not the paper prints it.

    `statistic` says which value of the course it is, `signature` how it was computed, where evaluation says so.
    """

    metric: str
    split: str
    statistic: str
    values: tuple[float, ...]
    seeds: tuple[int, ...]
    system: str = ""
    signature: str = ""


@dataclass(frozen=True)
class Task:
    """One task of several side by side: the metric of each seed, as measured and normalised by `low` and `high`.

    `verdict` is that of the documented result that gives `high`, "" where it was not tested; `why_not` says why the
    aggregate does not count the task.
    """

    name: str
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float | None
    interval: tuple[float, float] | None
    normalised: tuple[float, ...] = ()
    low: float | None = None
    low_source: str = ""
    high: float | None = None
    high_source: str = ""
    verdict: str = ""
    why_not: str = ""
    panel: Panel | None = None


@dataclass(frozen=True)
class Tasks:
    """Several tasks side by side, and the interquartile mean of the normalised scores of those that have a scale."""

    metric: str
    split: str
    direction: str
    tasks: tuple[Task, ...]
    value: float | None = None
    interval: tuple[float, float] | None = None
    confidence: float | None = None
    seeds: int = 0
    counted: int = 0  # tasks in the aggregate
    notes: tuple[str, ...] = ()
    why_none: str = ""


@dataclass(frozen=True)
class Trial:
    number: int
    rate: float
    value: float | None
    state: str
    error: str = ""


@dataclass(frozen=True)
class RateStudy:
    """The learning-rate sweep: usable range as (low, high), the paper's choice, what was minimised.

    `updates` of each trial, and of the full training that the rate is for; None where a study does not say.
    """

    objective: str
    direction: str
    trials: tuple[Trial, ...]
    usable: tuple[float, float] | None
    paper: float | None
    updates: int | None = None
    full_updates: int | None = None


@dataclass(frozen=True)
class Effect:
    """The effect of one ablation: paired differences (ablated − complete) over seeds, t interval of their mean."""

    name: str
    metric: str
    changes: str
    says: str
    differences: tuple[float, ...]
    mean: float | None
    interval: tuple[float, float] | None
    baseline: float | None
    confidence: float | None = None
    missing: str = ""


@dataclass(frozen=True)
class AuditLine:
    """One re-derivation of the paper's own numbers."""

    record: str
    label: str
    printed: str
    derived: str
    verdict: str
    arithmetic: str
    assumption: str = ""
    needs: str = ""  # the assumption under which the printed number would hold: "vocabulary = 41,004 … 42,957"


@dataclass(frozen=True)
class Check:
    """A finding as the report shows it."""

    check: str
    component: str
    outcome: str
    summary: str
    family: str = ""
    expected: str = ""
    observed: str = ""
    threshold: str = ""
    location: str = ""
    likely: tuple[str, ...] = ()
    alone: str = ""
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Phase:
    name: str
    outcome: str
    summary: str
    checks: tuple[Check, ...]
    seconds: float
    created: str
    answered: int = 0
    questions: int = 0

    def count(self, *outcomes: str) -> int:
        """Checks that ended so; without an outcome all of them."""
        ended = outcomes_of_checks(self.checks)
        return sum(one in outcomes for one in ended) if outcomes else len(ended)


@dataclass(frozen=True)
class Table:
    """A table that a phase left in its evidence, for example the stages of the model with their parameters."""

    phase: str
    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Picture:
    """What a paper's `pictures` gave: kind is image, frames, lines, points or missing.

    `values` holds the numbers of lines and points; of a missing one `note` says why it was not drawn.

    `data` and `still` are the bytes as data URIs, "" where the page had no room; report.json leaves them out, and
    `file` says where they lie.
    """

    name: str
    kind: str
    caption: str = ""
    note: str = ""
    system: str = ""
    seed: int = 0
    width: int = 0  # pixels
    height: int = 0
    frames: int = 0
    seconds: float = 0.0
    file: str = ""
    data: str = ""
    still: str = ""  # a few frames side by side
    values: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A run, or part of one, that no number on the page uses, and why."""

    what: str
    contains: str
    why: str


@dataclass(frozen=True)
class Command:
    """A command that can be copied, and what it gives."""

    command: str
    gives: str


@dataclass(frozen=True)
class Header:
    run: str
    paper: str
    title: str
    arxiv: str
    scale: str
    data: str
    created: str
    command: str
    version: str
    overrides: tuple[str, ...]
    exit_code: int | None
    seconds: float
    threads: int | None
    licence: str = ""
    stripped_away: tuple[str, ...] = ()
    reported_compute: str = ""


@dataclass(frozen=True)
class Report:
    """The whole report; every output is drawn from this and from nothing else."""

    header: Header
    sentences: tuple[str, ...]
    rows: tuple[Row, ...]
    gaps: tuple[Gap, ...] = ()
    finals: tuple[Final, ...] = ()
    panels: tuple[Panel, ...] = ()
    pictures: tuple[Picture, ...] = ()
    picture_faults: tuple[str, ...] = ()  # why a process left none, or not all
    rates: RateStudy | None = None
    effects: tuple[Effect, ...] = ()
    audit: tuple[AuditLine, ...] = ()
    phases: tuple[Phase, ...] = ()
    tables: tuple[Table, ...] = ()
    tricky: tuple[tuple[str, str, str], ...] = ()  # (part, where the paper hides it, what guards it)
    environment: tuple[tuple[str, str], ...] = ()
    packages: tuple[tuple[str, str], ...] = ()
    seeds: tuple[int, ...] = ()
    commands: tuple[Command, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    edits: tuple[tuple[str, str, str], ...] = ()  # of the seed budget after results: (key, registered, now)
    registered: dict[str, str] = field(default_factory=dict)  # hash, time and source of the registered table
    source: str = ""
    tasks: Tasks | None = None  # where runs of several tasks were put together
    sessions: tuple[Page, ...] = ()  # the page of each step, where the run kept them

    @property
    def results(self) -> tuple[Row, ...]:
        """The n printed results: the paper's own systems, in the paper's setting."""
        return tuple(row for row in self.rows if row.counted)

    @property
    def tested(self) -> int:
        """How many printed results were compared with a measurement."""
        counts = tally(self.results)
        return sum(counts[verdict] for verdict in (*DECIDED, "inconclusive"))

    @property
    def newest(self) -> Phase | None:
        """The phase whose evidence is youngest: where the last run ended, whatever older runs left of later ones."""
        places = range(len(self.phases))
        return self.phases[max(places, key=lambda n: (self.phases[n].created, n))] if self.phases else None

    @property
    def facts(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.kind == "fact" and row.setting == "paper")

    @property
    def analogues(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.setting == "analogue")

    @property
    def context(self) -> tuple[Row, ...]:
        """Numbers of other systems that the paper prints for comparison; they are never in k or n."""
        return tuple(row for row in self.rows if not row.own and row.setting == "paper" and row.kind != "fact")


def tally(rows: tuple[Row, ...]) -> dict[str, int]:
    """How many rows have each verdict; all seven verdicts, zero included, in the order of `VERDICTS`."""
    counts = dict.fromkeys(VERDICTS, 0)
    for row in rows:
        counts[row.verdict] = counts.get(row.verdict, 0) + 1
    return counts
