"""From what a run measured to its verdict: judge every record, and say it in one wording."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from repro.errors import ExitCode
from repro.phases.causes import gaps_of, main_sentence
from repro.phases.measured import Judgeable, measured
from repro.verdict.outcome import TESTED, Verdict
from repro.verdict.rows import Row, judge

if TYPE_CHECKING:
    from repro.phases.looks import Looks


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
