"""The tables of rows: printed results, exact facts, and what was tried in another setting than the paper's."""

from __future__ import annotations

import math
from collections import Counter
from itertools import groupby

from repro.report import strips, tree, words
from repro.report.axes import Symmetric
from repro.report.html_parts import (
    Section,
    command,
    key,
    key_band,
    key_mean,
    key_seeds,
    lines,
    pairs,
    plain_table,
    section,
)
from repro.report.html_parts import fold as folded
from repro.report.markup import Content, Markup, Names, fragment, tag
from repro.report.numbers import p_value, plural

SIDES = {"higher": ("worse", "better"), "lower": ("better", "worse")}
HEADS = (("c-paper", "paper"), ("c-ours", "ours"), ("c-diff", "diff."), ("c-tol", "tol."), ("c-n", "n"))


def drawable(row: tree.Row) -> bool:
    """Whether the row has something to draw: a mean or seeds, and a number to compare with (a claim's may be zero)."""
    return (row.paper is not None or row.kind == "claim") and (row.ours is not None or bool(row.values))


def unit_of(row: tree.Row) -> tuple[str, str]:
    """Rows of one unit share an axis; "65 M" and "3.3e18" are different units even where none is named."""
    style = words.style(row)
    return row.unit, style.suffix if style.scale != 1.0 else ""


def shift(row: tree.Row, value: float) -> float:
    """A measured value as its difference from the printed number, in the unit in which that is printed."""
    return (value - (row.paper or 0.0)) / words.style(row).scale


def axis_of(rows: list[tree.Row]) -> Symmetric:
    extents = []
    for row in rows:
        extents += [
            shift(row, value)
            for value in (*row.values, *(row.interval or ()), *([row.ours] if row.ours is not None else []))
        ]
    bands = [row.tolerance / words.style(row).scale for row in rows if row.tolerance is not None]
    return Symmetric.holding(extents, max(bands, default=0.0))


def strip(row: tree.Row, axis: Symmetric) -> Markup:
    style = words.style(row)
    band = row.tolerance / style.scale if row.tolerance else None
    return fragment(
        strips.back(axis, band),
        strips.paper_line(axis),
        strips.strip(
            axis,
            words.shape_of(row),
            row.verdict,
            None if row.ours is None else shift(row, row.ours),
            None if row.interval is None else (shift(row, row.interval[0]), shift(row, row.interval[1])),
            [shift(row, value) for value in row.values],
            style.decimals + 1,
        ),
    )


def verdict_cell(row: tree.Row, why: str, flagged: bool = True) -> Markup:
    """The verdict, and what a reader must know beside it; `flagged` is False where its group says that once for all."""
    remarks: list[Content] = [tag("small", why) if why else None]
    remarks += [tag("small", words.flag(row)) if flagged and words.flag(row) else None]
    remarks += [tag("small", f"edited: {name} {before} → {now}") for name, before, now in row.edits]
    word = tag("span", strips.shape(row.verdict), tag("span", row.word), class_=f"verdict v-{row.verdict}")
    return fragment(word, remarks)


def provenance(row: tree.Row) -> Markup:
    """All that is known about a row, for its fold."""
    quote = f"“{row.quote}”" if row.quote else ""
    facts = [part for part in (quote, row.unit, f"{row.direction} is better" if row.direction in SIDES else "") if part]
    said = "" if row.arithmetic and row.reason.startswith(row.arithmetic) else row.reason
    why = {
        "not_run": "Not run",
        "not_testable": "Not testable",
        "inconclusive": "Undecided",
        "paper_inconsistent": "Why no verdict",
    }
    more = f"; {plural(row.more_seeds, 'more seed')} expected to decide" if row.more_seeds else ""
    sure = f" ({row.confirmed})" if row.confirmed else ""
    entries: list[tuple[str, Content]] = [
        ("Source", row.where + sure),
        ("Quoted", " · ".join(facts)),
        (f"Why {words.tolerance(row)}" if row.tolerance is not None else "Tolerance", row.tolerance_reason),
        (
            why.get(row.verdict, "Because"),
            (said + more).lstrip("; "),
        ),
        ("Arithmetic", lines(row.arithmetic) if row.arithmetic else ""),
        ("Would need", row.assumption),
        ("One distribution?", p_value(row.p_one_distribution) if row.p_one_distribution is not None else ""),
        ("Seeds", words.seeds_line(row)),
        *(("Changed later", f"{name}: {before} when registered, {now} now") for name, before, now in row.edits),
        *(("Note", note) for note in row.notes),
        ("The paper’s compute", row.compute),
        ("Would take", row.estimate),
        ("Decide it" if row.verdict == "inconclusive" else "Repeat", command(row.command) if row.command else ""),
    ]
    return pairs(entries, class_="prov")


def summary(row: tree.Row) -> str:
    return row.where or row.group or "source"


def table_row(row: tree.Row, axis: Symmetric | None, names: Names, shared_reason: str, flagged: bool) -> Markup:
    quiet = axis is None or not drawable(row)
    why = words.reason(row)
    cells: list[Content] = [tag("th", row.label, scope="row", role="rowheader", class_="c-name")]
    told = "" if why == shared_reason else why
    if axis is not None and not quiet:
        cells.append(tag("td", strip(row, axis), class_="c-strip", role="cell"))
    else:  # no measurement, no ink: the room is for the reason
        cells.append(tag("td", told, class_="c-strip", role="cell"))
    bounds = tag("span", words.interval(row), class_="unit") if row.interval else None
    count = str(row.n) if row.n else "–"
    texts = (
        words.printed(row) or "–",
        fragment(words.ours(row), " " if bounds else "", bounds),
        words.difference(row),
        words.tolerance(row),
        count,
    )
    for (name, head), text in zip(HEADS, texts, strict=True):
        cells.append(tag("td", text, class_=f"n {name}", data_head=head, role="cell"))
    cells.append(tag("td", verdict_cell(row, "" if quiet else told, flagged), class_="c-verdict", role="cell"))
    kind = (" quiet said" if told else " quiet") if quiet else ""
    details = folded(summary(row), provenance(row), paper=row.verdict != "not_run")
    return fragment(
        tag("tr", cells, class_=f"row{kind}", id=names("row", row.id), role="row"),
        tag("tr", tag("td", details, colspan=8, role="cell"), class_=f"fold{kind}", role="row"),
    )


def group_head(name: str, rows: list[tree.Row], axis: Symmetric | None, shared_reason: str, sides: bool) -> Markup:
    directions = {row.direction for row in rows}
    named = SIDES.get(directions.pop()) if sides and len(directions) == 1 else None
    drawn = strips.ticks(axis, sides=named) if axis is not None else None
    told = tag("small", shared_reason) if shared_reason else None
    if drawn is None:  # nothing stands beside the name: the whole width is for what its rows share
        return tag(
            "tr",
            tag("th", name, told, scope="rowgroup", role="rowheader", colspan=8),
            class_="group",
            role="row",
        )
    return tag(
        "tr",
        tag("th", name, scope="rowgroup", role="rowheader"),
        tag("td", drawn, class_="c-strip", role="cell"),
        tag("td", colspan=5, class_="blank", role="cell"),
        tag("td", told, class_="c-verdict", role="cell"),
        class_="group",
        role="row",
    )


def shared(rows: list[tree.Row]) -> str:
    """The reason that most of the rows of a group share that were not run: said once, above them."""
    reasons = Counter(words.reason(row) for row in rows if row.verdict == "not_run")
    reason, times = max(reasons.items(), key=lambda item: item[1], default=("", 0))
    return reason if times > 1 and 2 * times > sum(reasons.values()) else ""


def rows_table(rows: tuple[tree.Row, ...], names: Names, caption: str) -> Markup:
    axes = {}
    for unit in {unit_of(row) for row in rows}:
        drawn = [row for row in rows if unit_of(row) == unit and drawable(row)]
        if drawn:
            axes[unit] = axis_of(drawn)
    unit_names = sorted({unit for unit, _ in axes if unit})
    about = (
        "Difference from the printed number" + (f", {unit_names[0]}" if len(unit_names) == 1 else "") if axes else ""
    )
    heads = [tag("th", "Result", scope="col", class_="c-name"), tag("th", about, scope="col", class_="c-strip")]
    titles = {
        "c-ours": fragment("Ours ", tag("span", "[interval]", class_="unit")),
        "c-diff": "Diff.",
        "c-tol": "Tol.",
        "c-n": "n",
        "c-paper": "Paper",
    }
    heads += [tag("th", titles[name], scope="col", class_=f"n {name}") for name, _ in HEADS]
    heads.append(tag("th", "Verdict", scope="col", class_="c-verdict"))
    body: list[Content] = []
    told: set[str] = set()
    # a table that alternates between two metrics is shown as two blocks, each with its own axis
    order = list(dict.fromkeys((row.group, unit_of(row)) for row in rows))
    groups = list(dict.fromkeys(row.group for row in rows))
    order.sort(key=lambda place: groups.index(place[0]))
    for (group, unit), found in groupby(
        sorted(rows, key=lambda row: order.index((row.group, unit_of(row)))), key=lambda row: (row.group, unit_of(row))
    ):
        members = list(found)
        axis = axes.get(unit) if any(drawable(row) for row in members) else None
        name = group or "Results"
        if unit[0] and len(unit_names) != 1 and unit[0].lower() not in name.lower():
            name = f"{name} · {unit[0]}"
        reason = shared(members)
        directions = " ".join(sorted({row.direction for row in members}))
        flags = [words.flag(row) for row in members if drawable(row)]
        together = f"each {flags[0]}" if len(flags) > 1 and flags[0] and len(set(flags)) == 1 else ""
        spoken = next((row.reason for row in members if words.reason(row) == reason), "") if reason else ""
        body.append(
            group_head(
                name,
                members,
                axis,
                spoken or together,
                sides=axis is not None and f"{unit}{directions}" not in told,
            )
        )
        if axis is not None:
            told.add(f"{unit}{directions}")
        body += [table_row(row, axis, names, reason, flagged=not together or bool(spoken)) for row in members]
    return tag(
        "table",
        tag("caption", caption, class_="unseen"),
        tag("thead", tag("tr", heads, role="row"), role="rowgroup"),
        tag("tbody", body, role="rowgroup"),
        class_="rows",
        role="table",
    )


def results(report: tree.Report, names: Names) -> Section:
    rows = report.results
    if not rows:
        return section(
            names, "Results", "The paper’s table holds no printed result yet, so there is nothing to compare with."
        )
    measured = [row for row in rows if drawable(row)]
    if measured:
        lede = (
            "Does our mean lie within the tolerance of the printed number? A row is decided when its whole interval is "
            "inside the band or outside it."
        )
    else:
        lede = "None was measured in this run. Each row says what would run it; what was tried elsewhere stands apart."
    level = words.level(rows)
    legend = key(
        (key_band(), "printed number and tolerance"),
        (key_mean(), f"our mean (its shape is the verdict), {level}"),
        (key_seeds(), "one seed each"),
    )
    registered = report.registered
    note = "n counts seeds."
    if registered.get("hash"):
        day, code = registered.get("registered", "")[:10], registered["hash"][:12]
        note = f"The table was registered with the first seed ({day}, hash {code}). {note}"
    for name, before, now in report.edits:
        note += f" Edited after results were seen: {name} {before} → {now}."
    context = None
    if report.context:
        listed = rows_context(report.context)
        context = folded(
            fragment(tag("b", plural(len(report.context), "number")), " of other systems that the paper compares with"),
            listed,
        )
    return section(
        names,
        "Results",
        lede,
        legend if measured else None,
        rows_table(rows, names, "Printed and measured results, one row a printed number"),
        tag("p", note, class_="note"),
        context,
    )


def rows_context(rows: tuple[tree.Row, ...]) -> Markup:
    listed = [(row.label, row.group, row.printed, row.unit) for row in rows]
    return plain_table(("System", "Where", "Printed", "Unit"), listed, numeric=(2,))


# ---- facts ------------------------------------------------------------------------------------------------------


def facts(report: tree.Report, names: Names) -> Section | None:
    """Exact numbers: no seeds, no interval, so the strip shows per cent of the printed number and its rounding."""
    rows = report.facts
    if not rows:
        return None
    shares = sorted(abs(relative(row, row.ours)) for row in rows if comparable(row))
    bands = [100 * row.tolerance / abs(row.paper) for row in rows if row.tolerance and row.paper]
    # one fact that is far off must not flatten the others: beyond three times the fourth fifth it gets an arrow
    usual = max(max(bands, default=0.0), shares[int(0.8 * (len(shares) - 1))] if shares else 0.0)
    axis = Symmetric.holding([*shares, *bands], usual)
    holds = sum(row.verdict == "match" for row in rows)
    body = [
        tag(
            "div",
            tag("div", "Fact"),
            tag("div", tag("span", "difference, per cent of the printed number"), strips.ticks(axis), class_="c-strip"),
            tag("div", "paper", class_="n"),
            tag("div", "ours", class_="n"),
            tag("div", "Verdict", class_="why"),
            class_="effect head",
        )
    ]
    for row in rows:
        unit = tag("small", row.unit) if row.unit and row.unit not in row.label else None
        body.append(
            tag(
                "div",
                tag("div", tag("b", row.label), unit),
                tag("div", fact_strip(row, axis) if comparable(row) else None, class_="c-strip"),
                tag("div", words.printed(row), class_="n", data_head="paper"),
                tag("div", words.ours(row), class_="n", data_head="ours"),
                tag(
                    "div",
                    verdict_cell(row, "" if row.verdict == "paper_inconsistent" else words.reason(row)),
                    class_="why",
                ),
                class_="effect folded",
                id=names("row", row.id),
            )
        )
        # the arithmetic of a contradiction stands once on paper, in the audit
        body.append(folded(summary(row), provenance(row), paper=row.verdict not in ("not_run", "paper_inconsistent")))
    lede = (
        f"{holds} of {plural(len(rows), 'fact')} {'holds' if len(rows) == 1 else 'hold'}. Facts follow from the paper "
        "by arithmetic or by counting; they are never among the printed results."
    )
    note = "Band: half a unit of the last printed digit, or the tolerance of the record."
    return section(
        names, "Exact facts", lede, tag("div", body, class_="effects"), tag("p", note, class_="note"), class_="facts"
    )


def comparable(row: tree.Row) -> bool:
    return bool(row.paper) and row.ours is not None and math.isfinite(row.ours)


def relative(row: tree.Row, value: float | None) -> float:
    assert row.paper and value is not None  # `comparable` was asked
    return 100 * (value - row.paper) / abs(row.paper)


def fact_strip(row: tree.Row, axis: Symmetric) -> Markup:
    band = 100 * row.tolerance / abs(row.paper) if row.tolerance and row.paper else None
    return fragment(
        strips.back(axis, band),
        strips.paper_line(axis),
        strips.strip(axis, words.shape_of(row), row.verdict, relative(row, row.ours), None, (), 1),
    )


# ---- other settings ---------------------------------------------------------------------------------------------


def analogues(report: tree.Report, names: Names) -> Section | None:
    rows = report.analogues
    if not rows:
        return None
    level = words.level(rows)
    body: list[Content] = []
    for row in rows:
        axis = axis_of([row]) if drawable(row) else None
        zero = "0" if row.kind == "claim" and not row.paper else "paper"
        drawn = (
            fragment(tag("div", strip(row, axis), class_="own"), strips.ticks(axis, zero, below=True)) if axis else None
        )
        said = tag("small", f"“{row.quote}”") if row.quote else None
        value = tag("div", words.ours(row), tag("span", words.interval(row), class_="unit"), class_="n")
        body.append(
            tag(
                "div",
                tag("div", tag("b", row.label), said),
                tag("div", drawn, class_="c-strip"),
                value,
                tag("div", verdict_cell(row, words.reason(row)), class_="why"),
                class_="effect folded",
                id=names("row", row.id),
            )
        )
        body.append(folded(summary(row), provenance(row), paper=row.verdict != "not_run"))
    head = tag(
        "div",
        tag("div", "The paper claims"),
        tag("div", f"Ours: dots are seeds, bar is the {level}", class_="c-strip"),
        tag("div", "measured", class_="n"),
        tag("div", "Here", class_="why"),
        class_="effect head",
    )
    smaller = (
        f"the data set {report.header.data} at scale {report.header.scale}"
        if report.header.data
        else "something smaller"
    )
    lede = (
        f"These claims were tried on {smaller}, not on what the paper used. They are decided here and count for no "
        "printed result above."
    )
    if all(row.verdict == "not_run" for row in rows):
        lede = f"None of these was trained in this run: claims to try on {smaller}, which count for no printed result."
    return section(names, "Tried in another setting", lede, tag("div", head, body, class_="effects"), class_="apart")
