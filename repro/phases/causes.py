"""Candidates for the causes of a run's gaps: what was measured, switched alone, and what could still be.

Measured effects come from the ablation studies of this run (parts left out, deviations undone) and from other runs of
the same code whose configuration differs in few settings, such as the paper's learning rate or an override taken back.
Nothing is imported or trained: only the files of run folders are read.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from repro.findings import Outcome
from repro.phases.measured import FromFiles, Judgeable, seeds_of
from repro.sweeps.deviations import declared, edited_since, spoken
from repro.sweeps.effects import BASELINE, measurements
from repro.tracking.files import plain
from repro.tracking.run_folder import RunFolder, list_runs
from repro.verdict.attribution import Attribution, Switch, attribute
from repro.verdict.outcome import MISMATCHES, Verdict
from repro.verdict.rows import Measured, Row, comparable, lookup

if TYPE_CHECKING:
    from repro.reference.schema import Record

ALL_REMOVED = "all_removed"
ONLY = "only_"
#: Sections in which a setting of another run counts as a switch; the rest follows from them or shows no effect.
SWITCHED = ("data", "dataset", "model", "loss", "training", "evaluation", "precision")
#: A run that differs in more settings than this is another experiment, not one switch.
MOST_SETTINGS = 3
MOST_RUNS = 50
MOST_CHECKS = 6


@dataclass(frozen=True)
class Gap:
    """One row with what may explain its difference from the printed number."""

    row: str
    found: Attribution
    unchecked: str = ""

    def to_json(self) -> dict[str, Any]:
        causes = [asdict(cause) for cause in self.found.causes]
        if self.unchecked:
            causes.append({"label": "Not checked", "detail": "", "note": self.unchecked, "stands": "unmeasured"})
        return {
            "row": self.row,
            "gap": self.found.gap,
            "interval": self.found.interval,
            "sentence": self.found.sentence,
            "explained": self.found.explained,
            "next": self.found.next_command,
            "causes": causes,
        }


def gaps_of(context: Judgeable, rows: Sequence[Row]) -> list[Gap]:
    """One entry for each row of our own that lies outside its tolerance, decided or not."""
    assert context.table is not None
    open_rows = [row for row in rows if has_gap(row)]
    if not open_rows:
        return []
    found = Candidates(context)
    unchecked = unchecked_text(context)
    gaps = []
    for row in open_rows:
        switches = found.of(context.table.record(row.id), row)
        confidence = float(context.settings["reproduction"]["confidence"])
        assert row.paper is not None
        gaps.append(
            Gap(row.id, attribute(row.values, row.paper, row.tolerance or 0.0, switches, confidence), unchecked)
        )
    return gaps


def has_gap(row: Row) -> bool:
    """A value of our own that mismatches, or that is undecided with its mean outside the tolerance."""
    if row.kind != "value" or not row.own or row.paper is None or row.difference is None or not row.values:
        return False
    outside = abs(row.difference) > (row.tolerance or 0.0)
    return row.verdict in MISMATCHES or (row.verdict is Verdict.INCONCLUSIVE and outside)


def main_sentence(gaps: Sequence[Gap], rows: Sequence[Row]) -> str:
    """The gap that is largest in tolerances, and what explains it; "" where no row mismatches.

    Of a row that is undecided it is not known whether there is a gap: its candidates stand in the report only.
    """
    by_id = {row.id: row for row in rows}
    decided = [gap for gap in gaps if by_id[gap.row].verdict in MISMATCHES]
    if not decided:
        return ""
    largest = max(decided, key=lambda gap: abs(gap.found.gap) / (by_id[gap.row].tolerance or 1.0))
    row = by_id[largest.row]
    label = f"{row.label}, {row.group}" if row.group else row.label
    side = "below" if largest.found.gap > 0 else "above"
    distance = f"{abs(largest.found.gap):.3g} {row.unit}".rstrip()
    said = largest.found.sentence.partition(". Cheapest next")[0].rstrip(".")
    return f"{label} lies {distance} {side} the paper: {said}."


def refresh(context: Judgeable) -> None:
    """Look for causes again after a study or another run; in verdict.json rows stay as they were."""
    verdict = context.folder.verdict
    if context.table is None or not verdict.get("rows"):
        return
    rows = [Row.from_json(row) for row in verdict["rows"] if row["id"] in context.table]
    gaps = gaps_of(context, rows)
    before, now = verdict.get("gap_sentence", ""), main_sentence(gaps, rows)
    first, *rest = verdict["sentences"]
    sentences = [first, *([now] if now else []), *(one for one in rest if one != before)]
    changed = {**verdict, "sentences": sentences, "gap_sentence": now, "gaps": [gap.to_json() for gap in gaps]}
    if plain(changed) != plain(verdict):
        context.folder.write_verdict(changed)


def unchecked_text(context: Judgeable) -> str:
    """Checks that did not run or only warned: where a cause could hide unseen. What many systems share is said once."""
    silent, warned = [], []
    for evidence in context.evidence.values():
        for finding in evidence.findings:
            component = finding.component.removesuffix(f" ({finding.details.get('system')})")
            name = f"{component}/{finding.check}" if component else finding.check
            if finding.outcome is Outcome.NOT_RUN:
                silent.append(f"{name} ({finding.reason or finding.summary})" if finding.reason else name)
            elif finding.outcome is Outcome.WARNED:
                warned.append(f"{name} ({finding.summary})")
    told = (("did not run", silent), ("only warned", warned))
    return "; ".join(f"{word}: {clipped(list(dict.fromkeys(found)))}" for word, found in told if found)


def clipped(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_CHECKS])
    return shown + (f" and {len(names) - MOST_CHECKS} more" if len(names) > MOST_CHECKS else "")


class Candidates:
    """The switches of one run, read once and asked for each row."""

    def __init__(self, context: Judgeable) -> None:
        self.context = context
        self.settings = context.settings
        self.typed = [f"paper={context.folder.paper}", *context.folder.typed]
        self.seeds = int(self.settings["reproduction"]["seeds"])
        self.updates = int(self.settings["reproduction"]["updates"])
        self.studies = [one for one in context.folder.studies().values() if one.get("kind") == "ablation"]
        self.rate = context.folder.studies().get("learning_rate")
        self.siblings = list(siblings(context))

    def command(self, name: str, *more: str, without: str = "") -> str:
        """A command line for the same configuration; `without` leaves one override out."""
        kept = [word for word in self.typed if not without or word.lstrip("+").partition("=")[0] != without]
        replaced = {word.lstrip("+").partition("=")[0] for word in more}
        kept = [word for word in kept if word.lstrip("+").partition("=")[0] not in replaced]
        return shlex.join(["python", "-m", "repro", *name.split(), *kept, *more])

    def of(self, record: Record, row: Row) -> list[Switch]:
        """Every switch for one row: parts, deviations, settings of other runs, overrides, the learning rate."""
        found = [*self.parts(record), *self.deviations(record), *self.of_siblings(record, row)]
        have = {key for sibling in self.siblings for key in sibling.differs}
        return [*found, *self.overrides(have), *self.learning_rate(have)]

    # parts and deviations that the ablation studies switched

    def parts(self, record: Record) -> Iterable[Switch]:
        """The declared ablations, but for those that would make another of the paper's systems of the record's own."""
        systems = self.settings.get("systems") or {}
        own = set((systems.get(record.system) or {}).get("changes") or ())
        for name, entry in (self.settings.get("ablations") or {}).items():
            if own & set(entry.get("changes") or ()):
                continue
            yield self.studied(name, "part", name.replace("_", " "), detail(entry.get("changes") or {}), record)

    def studied(self, name: str, kind: str, label: str, details: str, record: Record, note: str = "") -> Switch:
        """A switch as the ablation studies measured it, or as they could."""
        budget = self.settings["gauntlet"]["ablations"]
        values, alone, identical, updates, seeds = self.pairs(name, record)
        notes = [note] if note else []
        if values and updates != self.updates:
            notes.append(f"measured after {updates:,} updates, the row after {self.updates:,}")
        if values and record.split not in ("", "test"):
            notes.append(f"measured on test, the row on {record.split}")
        if values and record.system:
            notes.append(f"measured without what {record.system} changes")
        more = max(int(budget["seeds"]), 2 * seeds if seeds else 0)
        command = self.command("sweep ablation", f"sweep.names=[{name}]", f"sweep.seeds={more}")
        return Switch(
            label, kind, details, values, alone, identical, self.claimed(name, record), "; ".join(notes), command,
            cost=2.0 * more * int(budget["updates"]),
        )  # fmt: skip

    def pairs(self, name: str, record: Record) -> tuple[tuple[float, ...], tuple[float, ...], bool, int, int]:
        """Effects by pair (left out, and alone), whether all metrics are identical, updates and seeds, of the study
        with most seeds."""
        best: tuple[tuple[float, ...], tuple[float, ...], bool, int, int] = ((), (), False, 0, 0)
        for study in self.studies:
            edited = edited_since(study, self.settings)
            runs = {run: seeds for run, seeds in measurements(study).items() if run not in edited}
            values, identical = paired(runs.get(name) or {}, runs.get(BASELINE) or {}, record)
            alone, _ = paired(runs.get(ONLY + name) or {}, runs.get(ALL_REMOVED) or {}, record)
            if len(values) > best[4]:
                best = values, alone, identical, int(study.get("updates") or 0), len(values)
        return best

    def claimed(self, name: str, record: Record) -> float | None:
        """What the paper prints for leaving this part out, in the metric of the row."""
        assert self.context.table is not None
        for other in self.context.table.records:
            claim = other.claim
            if claim is None or claim.difference is None or (claim.ablation, claim.against) != (name, None):
                continue
            if (other.metric, other.setting) == (record.metric, record.setting):
                return claim.difference.number
        return None

    def deviations(self, record: Record) -> Iterable[Switch]:
        """Differences from the paper that its file declares; those with `changes` can be undone."""
        named = declared(self.settings)
        for name, entry in named.items():
            if any(sibling.differs.items() == dict(entry["changes"]).items() for sibling in self.siblings):
                continue  # measured at full length by a run of its own
            yield self.studied(name, "deviation", entry["label"], detail(entry["changes"]), record, entry["note"])
        for entry in (self.settings.get("paper") or {}).get("deviations") or ():
            if not entry.get("changes"):
                yield Switch(
                    str(entry.get("what", "")), "deviation", spoken(entry), note="declares no changes to undo it"
                )

    # other runs of the same code

    def of_siblings(self, record: Record, row: Row) -> Iterable[Switch]:
        ours = dict(zip(row.seeds, row.values, strict=False))
        for sibling in self.siblings:
            details = ", ".join(f"{key}: {old} → {new}" for key, (old, new) in sibling.differences.items())
            label = f"{details}"
            if sibling.why_not:
                yield Switch(label, "setting", f"run {sibling.folder.run_id}", note=sibling.why_not)
                continue
            theirs, fault = sibling.values(record, self.context)
            values = tuple(theirs[seed] - ours[seed] for seed in sorted(set(ours) & set(theirs)))
            note = fault or ("" if values else "no seed of it is ours too")
            yield Switch(label, "setting", f"run {sibling.folder.run_id}", values, note=note)

    def overrides(self, have: set[str]) -> Iterable[Switch]:
        """What was typed besides the paper's own configuration: without it, the run is nearer to the paper."""
        for word in self.typed:
            key, _, value = word.lstrip("+").partition("=")
            if key in have or "." not in key or key.partition(".")[0] not in SWITCHED:
                continue
            command = self.command("run", without=key)
            yield Switch(f"without {key}={value}", "deviation", "typed for this run", command=command, cost=self.cost())

    def learning_rate(self, have: set[str]) -> Iterable[Switch]:
        """The best rate of the sweep, where the paper's is not it; it is measured by a run of its own."""
        options = self.settings["gauntlet"]["learning_rate"]
        parameter = options.get("parameter")
        if not parameter or parameter in have:
            return
        if self.rate is None:
            sweep = (int(options["trials"]) + 1) * int(options["updates"])
            command = self.command("sweep learning_rate")
            yield Switch(
                "learning rate",
                "setting",
                str(parameter),
                command=command,
                cost=sweep + self.cost(),
            )
            return
        best, paper = self.rate.get("best_rate"), self.rate.get("paper_value")
        if best is None or paper is None or 0.5 < best / paper < 2:
            return
        where = {True: ", inside the usable range", False: ", outside the usable range"}
        inside = where.get(bool(self.rate["paper_inside"]), "") if self.rate.get("paper_inside") is not None else ""
        command = self.command("run", f"{parameter}={best:.3g}")
        yield Switch(
            f"learning rate {best:.3g}, the sweep’s best", "setting", f"ours: {paper:.3g}{inside}",
            command=command, cost=self.cost(),
        )  # fmt: skip

    def cost(self) -> float:
        return float(self.seeds * self.updates)


def detail(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in changes.items())


def paired(
    changed: Mapping[int, Mapping[str, float]], against: Mapping[int, Mapping[str, float]], record: Record
) -> tuple[tuple[float, ...], bool]:
    """changed − against by seed in the record's unit, and whether every metric is the same in every pair."""
    seeds = sorted(set(changed) & set(against))
    values = tuple(
        (changed[seed][record.metric] - against[seed][record.metric]) / record.multiple
        for seed in seeds
        if record.metric in changed[seed] and record.metric in against[seed]
    )
    return values, bool(values) and all(dict(changed[seed]) == dict(against[seed]) for seed in seeds)


# ---- other runs -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sibling:
    """Another run of the paper that differs from ours in few settings. `differences`: key → (ours, theirs)."""

    folder: RunFolder
    differences: Mapping[str, tuple[Any, Any]]
    why_not: str = ""

    @property
    def differs(self) -> dict[str, Any]:
        return {key: theirs for key, (_, theirs) in self.differences.items()}

    def values(self, record: Record, context: Judgeable) -> tuple[dict[int, float], str]:
        """The record's metric by seed in that run, and why there is none."""
        runs, _ = seeds_of(FromFiles(context.settings, self.folder, context.table, {}))
        found, fault, _ = comparable(record, Measured(runs=runs))
        return found, fault


def siblings(context: Judgeable) -> Iterable[Sibling]:
    """Runs beside ours that differ in one to MOST_SETTINGS settings; those of other code are named, not used."""
    own = switched(context.settings)
    source = context.folder.newest_code
    runs = list_runs(context.folder.root.parent.parent, context.folder.paper)[:MOST_RUNS]
    for folder in runs:
        if folder.root.resolve() == context.folder.root.resolve() or not folder.processes(kind="reproduction"):
            continue
        settings = folder.settings
        theirs = switched(settings)
        keys = sorted(key for key in {*own, *theirs} if own.get(key) != theirs.get(key))
        if not keys or len(keys) > MOST_SETTINGS or longer(context.settings, settings):
            continue
        differences = {key: (own.get(key), theirs.get(key)) for key in keys}
        why_not = "" if folder.newest_code == source else "it ran another version of the code, so it is not used"
        yield Sibling(folder, differences, why_not)


def longer(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether the two were trained for different numbers of updates: then more than the settings differs."""
    return lookup(ours, "reproduction.updates") != lookup(theirs, "reproduction.updates")


def switched(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that count as switches, by dotted key; data.folder says only where data lie."""
    found: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                walk(f"{prefix}.{key}", inner)
        elif prefix != "data.folder":
            found[prefix] = value

    for name in SWITCHED:
        if name in settings:
            walk(name, settings[name])
    return found
