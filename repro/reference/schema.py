"""What a reference number is: a record with its provenance, its tolerance and the reason for the tolerance.

A table is one YAML file per paper. A record's `value` is kept as printed. Kinds:

- fact: exact (parameter counts, schedule peak, FLOPs); agrees when it rounds to the printed digits
- value: a measured metric; agrees within a registered tolerance
- curve: points of a trajectory; agrees within a tolerance at every step
- claim: removing X hurts, A beats B by d; decided from runs paired by seed

`setting: analogue` marks a claim tried elsewhere than in the paper; it never counts for a printed result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from repro.reference.printed import Printed

KINDS = ("fact", "value", "curve", "claim")
SETTINGS = ("paper", "analogue")
DIRECTIONS = ("higher", "lower", "none")
CONFIRMATIONS = ("confirmed", "secondary copy", "unconfirmed", "computed")
SPREADS = ("sd", "se", "ci95")  # standard deviation over seeds, standard error, half-width of a 95 % interval
TOLERANCES = ("absolute", "relative")
EXPECTATIONS = ("hurts", "helps", "same")
#: How the distribution of the metric over seeds is treated; see repro/verdict/methods.py.
METHODS = ("normal", "log", "logit", "cube_root")
#: A unit that begins with one of these is printed in multiples: 65 "million parameters" are 65e6.
MULTIPLES = {"thousand": 1e3, "million": 1e6, "billion": 1e9}


@dataclass(frozen=True)
class Tolerance:
    """How far from the printed number still counts as reproduced, and why."""

    value: float
    reason: str
    kind: str = "absolute"

    def around(self, number: float) -> float:
        """The tolerance in the unit of `number`."""
        return self.value * abs(number) if self.kind == "relative" else self.value


@dataclass(frozen=True)
class Spread:
    """What the paper says about the spread of a number: `kind` is one of SPREADS."""

    value: float
    kind: str


@dataclass(frozen=True)
class Requires:
    """What a run must be to decide a record. `overrides` are Hydra overrides (model.layers=2).

    `overrides` are part of the command. `settings`, key=value too, are what scale and data set give without a word, and
    what a run must still have to be this row's and not another variant's; an override of the same key goes before.
    `not_built` names what it takes and this harness does not have: no command decides the record then.
    """

    scale: str = ""
    data: str = ""
    overrides: tuple[str, ...] = ()
    not_built: str = ""
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Assumption:
    """A quantity that a derivation needs: as the paper states it (or not: `printed` None), and where."""

    name: str
    printed: Printed | None = None
    where: str = ""
    quote: str = ""
    low: float = 0.0
    high: float = 1e12
    whole: bool = False


@dataclass(frozen=True)
class Sensitivity:
    """A counting choice that the text leaves open: the derivation is repeated with `name` = `value`."""

    name: str
    value: float
    text: str


@dataclass(frozen=True)
class Derivation:
    """How a printed number follows from others.

    `let` defines intermediate names in order, `expression` the number in its plain unit (parameters, not millions).
    `names` are the inputs; a printed input brings its rounding with it, a plain number is exact.
    """

    expression: str
    names: Mapping[str, float | Printed] = field(default_factory=dict)
    let: tuple[tuple[str, str], ...] = ()
    text: str = ""
    assumptions: tuple[Assumption, ...] = ()
    sensitivities: tuple[Sensitivity, ...] = ()


@dataclass(frozen=True)
class Fact:
    """A fact of the person's code: its name and the overrides under which it is measured."""

    name: str
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A statement on two variants of the model.

    `ablation` is the changed variant, `against` what it is compared with (None: the full model), `expect` what the
    paper says the change does to the record's metric. `difference` (as printed, ablation minus against) is tested
    where the record gives a tolerance; else only the sign is.
    """

    ablation: str
    expect: str
    against: str | None = None
    difference: Printed | None = None


@dataclass(frozen=True)
class Statement:
    """Another place where the paper prints the same number."""

    printed: Printed
    where: str
    quote: str = ""


@dataclass(frozen=True)
class Record:
    """One reference number.

    `system` names the model it is of, where one run trains several (conf key `systems`). `readings` are other
    statistics that the paper's words could mean: what they would give is shown beside the verdict and changes nothing.
    `points` of a curve are (step, value), or (step, value, tolerance) where a step has a tolerance of its own; a table
    writes them out or names a CSV file beside it (repro/reference/points.py).
    `line` is where it stands in the file; it is not part of the table's hash.
    """

    id: str
    kind: str
    label: str
    group: str
    setting: str = "paper"
    own: bool = True
    printed: Printed | None = None
    unit: str = ""
    direction: str = "none"
    metric: str = ""
    split: str = ""
    statistic: str = "last"
    readings: tuple[str, ...] = ()
    protocol: str = ""
    method: str = "normal"
    bounds: tuple[float | None, float | None] = (None, None)
    spread: Spread | None = None
    seeds: int | None = None
    version: str = ""
    where: str = ""
    quote: str = ""
    confirmed: str = "unconfirmed"
    system: str = ""
    requires: Requires = Requires()
    tolerance: Tolerance | None = None
    fact: Fact | None = None
    claim: Claim | None = None
    derivation: Derivation | None = None
    alternatives: tuple[Derivation, ...] = ()
    also_stated: tuple[Statement, ...] = ()
    points: tuple[tuple[float, ...], ...] = ()
    compute: str = ""
    note: str = ""
    line: int = field(default=0, compare=False)

    @property
    def number(self) -> float:
        """The printed number; NaN for a claim or curve without one."""
        return self.printed.number if self.printed else float("nan")

    @property
    def course(self) -> dict[float, tuple[float, float]]:
        """Of a curve: step → (value, tolerance): the point's own, or the record's."""
        common = self.tolerance.value if self.tolerance else float("nan")
        return {step: (value, own[0] if own else common) for step, value, *own in self.points}

    @property
    def multiple(self) -> float:
        """How many plain units one printed unit is: 1e6 for "million parameters"."""
        return MULTIPLES.get(self.unit.split(" ")[0], 1.0)

    @property
    def counts(self) -> bool:
        """Whether the record is one of the n printed results: the paper's own, measured, in the paper's setting."""
        return self.own and self.setting == "paper" and self.kind != "fact"


@dataclass(frozen=True)
class Group:
    """Records that must hold together under one value of a shared assumption."""

    id: str
    records: tuple[str, ...]
    assumption: Assumption
    text: str = ""


@dataclass(frozen=True)
class Anchor:
    """One end of a task's scale: a score as printed and where it comes from; `record` where it is a record's number."""

    printed: Printed
    source: str
    record: str = ""


@dataclass(frozen=True)
class Task:
    """Between which scores a task is measured: `low` becomes 0 (a random policy), `high` 1 (a documented result)."""

    name: str
    low: Anchor
    high: Anchor


@dataclass(frozen=True)
class Tasks:
    """What runs of different tasks are compared in: one metric on one split, and a scale for each task."""

    metric: str
    split: str
    direction: str
    scores: tuple[Task, ...] = ()

    def of(self, name: str) -> Task | None:
        """The scale of the task called `name`; None where the table has none."""
        return next((task for task in self.scores if task.name == name), None)


@dataclass(frozen=True)
class Table:
    """All reference numbers of one paper. `hash` is the registered identity: it ignores layout, comments and lines."""

    paper: str
    records: tuple[Record, ...]
    groups: tuple[Group, ...] = ()
    version: str = ""
    path: str = ""
    tasks: Tasks | None = None

    @property
    def hash(self) -> str:
        """12 hexadecimal digits of the SHA-256 of the canonical content."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:12]

    def canonical(self) -> str:
        """The content as JSON with sorted keys; records in order of their id."""
        content: dict[str, Any] = {
            "paper": self.paper,
            "version": self.version,
            "records": [record_json(record) for record in sorted(self.records, key=lambda r: r.id)],
            "groups": [asdict(group) for group in sorted(self.groups, key=lambda g: g.id)],
        }
        if self.tasks is not None:
            content["tasks"] = asdict(self.tasks)
        return json.dumps(content, sort_keys=True, ensure_ascii=False)

    def record(self, id: str) -> Record:
        """The record called `id`; KeyError if there is none."""
        for record in self.records:
            if record.id == id:
                return record
        raise KeyError(id)

    def __contains__(self, id: object) -> bool:
        return any(record.id == id for record in self.records)


def record_json(record: Record) -> dict[str, Any]:
    """A record as plain JSON, without its line: what the registered table stores and compares."""
    content = asdict(record)
    del content["line"]
    plain: dict[str, Any] = json.loads(json.dumps(content, ensure_ascii=False))
    return plain


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Fields of a record's JSON that differ: name → (before, after); an absent field counts as None."""
    names = sorted(set(before) | set(after))
    return {n: (before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)}
