"""The one wording of a run's outcome, and the exit code that says the same to a script."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from repro.errors import ConfigError, ExitCode
from repro.verdict.outcome import DECIDED, MISMATCHES, TESTED, Verdict
from repro.verdict.rows import Row


def first_sentence(rows: Iterable[Row]) -> str:
    """ "k of n printed results tested: m match, a is worse, b is better, c is undecided." Zero counts are dropped.

    n counts what the paper prints of its own systems; facts and analogue settings are in neither k nor n. A table
    without any such row is said to have none.
    """
    own = [row for row in rows if row.counts]
    tested = [row for row in own if row.verdict in TESTED]
    n = len(own)
    if not n:
        return "The reference table holds no printed result to test."
    results = f"{n} printed result{'s' if n != 1 else ''}"
    if not tested:
        return f"None of {results} tested." if n > 1 else "The only printed result was not tested."
    parts = [
        said(count(tested, Verdict.MATCH), "matches", "match"),
        said(count(tested, Verdict.MISMATCH_WORSE), "is worse", "are worse"),
        said(count(tested, Verdict.MISMATCH_BETTER), "is better", "are better"),
        said(count(tested, Verdict.INCONCLUSIVE), "is undecided", "are undecided"),
    ]
    return f"{len(tested)} of {results} tested: {', '.join(part for part in parts if part)}."


def sentences(rows: Sequence[Row], analogue: str = "another setting than the paper's") -> list[str]:
    """The first sentence, then those on what could not be tested, on facts, contradictions and analogue claims."""
    lines = [first_sentence(rows)]
    own = [row for row in rows if row.counts]
    untestable = count(own, Verdict.NOT_TESTABLE)
    if untestable:
        lines.append(f"{said(untestable, 'was run but cannot be compared', 'were run but cannot be compared')}.")
    facts = [row for row in rows if row.kind == "fact" and row.own and row.setting == "paper"]
    decided = [row for row in facts if row.verdict in DECIDED]
    if facts:
        hold = count(decided, Verdict.MATCH)
        lines.append(f"{hold} of {len(facts)} fact{'s hold' if len(facts) != 1 else ' holds'}.")
        differ = len(decided) - hold
        if differ:
            lines.append(f"{said(differ, 'fact differs', 'facts differ')} from what the paper prints.")
    inconsistent = [row for row in rows if row.verdict is Verdict.PAPER_INCONSISTENT]
    if inconsistent:
        rows_say = said(len(inconsistent), "row contradicts", "rows contradict")
        lines.append(f"{rows_say} the paper's own text or each other.")
    analogues = [row for row in rows if row.setting == "analogue" and row.verdict in TESTED]
    claims = [row for row in analogues if row.kind != "curve"]
    curves = [row for row in analogues if row.kind == "curve"]
    if curves:
        parts = [
            said(count(curves, Verdict.MATCH), "is followed", "are followed"),
            said(sum(row.verdict in MISMATCHES for row in curves), "is left", "are left"),
            said(count(curves, Verdict.INCONCLUSIVE), "cannot be told yet", "cannot be told yet"),
        ]
        lines.append(f"{said(len(curves), 'recorded curve', 'recorded curves')}: {', '.join(p for p in parts if p)}.")
    if claims:
        parts = [
            said(count(claims, Verdict.MATCH), "holds here", "hold here"),
            said(sum(row.verdict in MISMATCHES for row in claims), "does not hold here", "do not hold here"),
            undecided(claims),
        ]
        lines.append(f"{said(len(claims), 'claim', 'claims')} tried on {analogue}: {', '.join(p for p in parts if p)}.")
    return lines


def undecided(claims: Sequence[Row]) -> str:
    open_rows = [row for row in claims if row.verdict is Verdict.INCONCLUSIVE]
    text = said(len(open_rows), "cannot be told yet", "cannot be told yet")
    more = [row.more_seeds for row in open_rows if row.more_seeds]
    if more:
        most = max(more)
        text += f" ({most} more seed{'s' if most != 1 else ''})"
    return text


def count(rows: Iterable[Row], verdict: Verdict) -> int:
    return sum(row.verdict is verdict for row in rows)


def said(number: int, one: str, many: str) -> str:
    """ "1 is worse", "2 are worse", or nothing for none."""
    return f"{number} {one if number == 1 else many}" if number else ""


def exit_code(rows: Sequence[Row], require: Sequence[str] = ()) -> ExitCode:
    """0 if no row mismatches and at least one (facts included) is decided; 3 if one mismatches (better too); else 4.

    Rows named in `require` must match, or the code is 4. Analogue rows and context never change the code, and a row
    in which the paper contradicts itself is neither decided nor a mismatch. Raises ConfigError for an unknown name.
    """
    by_id = {row.id: row for row in rows}
    for name in require:
        if name not in by_id:
            near = difflib.get_close_matches(name, by_id, n=3)
            raise ConfigError(
                f"reproduction.require names {name!r}, which is no row of the reference table.",
                f"Near: {', '.join(near)}." if near else "The table's ids are in reference_numbers/.",
            )
    judged = [row for row in rows if row.own and row.setting == "paper"]
    if any(row.verdict in MISMATCHES for row in judged):
        return ExitCode.MISMATCH
    if any(by_id[name].verdict is not Verdict.MATCH for name in require):
        return ExitCode.UNDECIDED
    return ExitCode.OK if any(row.verdict in DECIDED for row in judged) else ExitCode.UNDECIDED
