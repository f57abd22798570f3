"""What stands behind the numbers: audit, gates with every finding, how to repeat, environment, what was left out."""

from __future__ import annotations

from repro.report import strips, tree, words
from repro.report.html_parts import Section, command, fold, lines, pairs, plain_table, section
from repro.report.markup import Content, Markup, Names, fragment, tag
from repro.report.numbers import count, duration, plural, significant

LONG = 12  # rows of a table that are shown without a fold
FIRST_COMMANDS = 6


# ---- audit ------------------------------------------------------------------------------------------------------


def audit(report: tree.Report, names: Names) -> Section | None:
    if not report.audit:
        return None
    against = [line for line in report.audit if line.verdict == "paper_inconsistent"]
    holding = [line for line in report.audit if line.verdict != "paper_inconsistent"]
    groups: dict[str, list[tree.AuditLine]] = {}
    for line in against:
        groups.setdefault(line.assumption or line.record, []).append(line)
    rows = {row.id: row for row in report.rows}
    cards = [card(lines_[0], rows) for lines_ in groups.values() if len(lines_) == 1]
    together = [cluster(lines_) for lines_ in groups.values() if len(lines_) > 1]
    agree = sum(line.verdict in ("agrees", "match") for line in report.audit)
    if against:
        lede = (
            f"{plural(len(against), 'printed number')} cannot hold together with the rest; "
            f"{agree} of {len(report.audit)} re-derived numbers agree."
        )
    else:
        lede = (
            "The paper does not contradict itself where it can be re-derived: "
            f"{agree} of {plural(len(report.audit), 'number')} agree."
        )
    table = plain_table(
        ("Number", "Printed", "Derived again", "Arithmetic", ""),
        [
            (
                line.label,
                line.printed,
                line.derived or "–",
                tag("code", line.arithmetic),
                " · ".join(filter(None, (line.verdict.replace("_", " "), line.assumption))),
            )
            for line in holding
        ],
    )
    return section(
        names,
        "Audit of the paper",
        lede,
        tag("ul", cards, class_="cards") if cards else None,
        together,
        fold(
            fragment("what was derived again and does not contradict ", tag("b", str(len(holding)))), table, paper=False
        )
        if holding
        else None,
    )


def card(line: tree.AuditLine, rows: dict[str, tree.Row]) -> Markup:
    """A contradiction of one number: what is printed, the arithmetic, the reading under which it would hold."""
    row = rows.get(line.record)
    said = row.reason if row and row.reason else ""
    if line.arithmetic and said.startswith(line.arithmetic):
        said = line.assumption
    quote = f"The paper prints “{line.printed}”" + (f" ({row.where})." if row and row.where else ".")
    return tag(
        "li",
        tag("h3", strips.shape("paper_inconsistent"), line.label),
        tag("p", quote),
        lines(line.arithmetic) if line.arithmetic else None,
        tag("p", capital(said)) if said else None,
    )


def cluster(against: list[tree.AuditLine]) -> Markup:
    """Numbers that contradict each other under one assumption: what would have to hold, a table, the arithmetic."""
    heads = ("Printed number", "Printed", "The paper’s text gives", "The printed one needs")
    table = plain_table(
        heads if any(line.needs for line in against) else heads[:3],
        [(line.label, line.printed, line.derived, line.needs)[: 4 if line.needs else 3] for line in against],
        numeric=(1, 2),
        stack=False,
    )
    arithmetic = plain_table(("Number", "Arithmetic"), [(line.label, tag("code", line.arithmetic)) for line in against])
    return tag(
        "div",
        tag("h3", strips.shape("paper_inconsistent"), f"{len(against)} numbers that cannot hold together"),
        tag("p", against[0].assumption, class_="note"),
        tag("div", table, fold("the arithmetic of each", arithmetic)),
        class_="cluster",
    )


def capital(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


# ---- gates ------------------------------------------------------------------------------------------------------


def phases(report: tree.Report, names: Names) -> Section | None:
    if not report.phases:
        return None
    longest = max(phase.seconds for phase in report.phases) or 1.0
    gates = [gate(phase, longest) for phase in report.phases]
    lint = [
        check
        for phase in report.phases
        for check in phase.checks
        if check.family == "lint" and check.outcome in ("warned", "failed")
    ]
    parts: list[Content] = [tag("ol", gates, class_="gates")]
    if lint:
        parts.append(tag("h3", "Used ready-made, or deviating on purpose"))
        parts += [finding(check) for check in lint]
    parts += [evidence_table(table) for table in report.tables if table.rows]
    if report.tricky:
        parts.append(
            plain_table(("Tricky part", "The paper hides it in", "Guarded by"), report.tricky, caption="Tricky parts")
        )
    return section(names, "Phases and gates", words.gates_sentence(report), parts)


def gate(phase: tree.Phase, longest: float) -> Markup:
    marks = [tag("i", class_=None if check.outcome == "passed" else check.outcome) for check in phase.checks]
    told = [f"{phase.count('passed')} passed"]
    for outcome, word in (("failed", "failed"), ("error", "raised"), ("warned", "warned"), ("not_run", "not run")):
        if phase.count(outcome):
            told.append(f"{phase.count(outcome)} {word}")
    bar = tag("i", style=f"width:{max(1, round(64 * phase.seconds / longest))}px")
    state = {"failed": " ✗", "to_do": " to do", "not_run": " not run"}.get(phase.outcome, "")
    summary = tag(
        "summary",
        tag("b", phase.name, tag("span", state, class_="v-mismatch_worse") if state else None),
        tag("span", marks, class_="checks", aria_hidden="true"),
        tag("span", ", ".join(told), class_="told"),
        tag("span", bar, duration(phase.seconds), class_="share"),
    )
    loud = [check for check in phase.checks if check.outcome in ("failed", "error", "warned")]
    quiet = [check for check in phase.checks if check not in loud]
    # pieces that are not declared are one piece of advice, not one a check
    lacking = [check for check in quiet if check.outcome == "not_run" and check.reason.startswith(LACKS_A_PIECE)]
    listed = [undeclared_pieces(lacking)] if len(lacking) > 1 else []
    for check in quiet:
        if listed and check in lacking:
            continue
        why = f"not run: {check.reason or check.summary}" if check.outcome == "not_run" else check.summary
        listed.append(tag("li", tag("b", check.check), f" ({check.component}) " if check.component else " ", why))
    asked = f"{phase.answered} of {plural(phase.questions, 'checkpoint question')} answered." if phase.questions else ""
    body = tag(
        "div",
        tag("p", phase.summary),
        [finding(check) for check in loud],
        tag("ul", listed) if listed else None,
        tag("p", asked) if asked else None,
        class_="body",
    )
    return tag("li", tag("details", summary, body, open=phase.outcome == "failed"))


#: How a check begins to say that its piece is not declared.
LACKS_A_PIECE = "declare `pieces: {"


def undeclared_pieces(checks: list[tree.Check]) -> Markup:
    """One line for all checks of pieces that the config does not name, with the signature of each folded away."""
    names = list(dict.fromkeys(check.component for check in checks))
    signatures = {check.component: check.reason.partition("its signature is ")[2] for check in checks}
    told = [tag("li", tag("b", name), f" {signatures[name]}") for name in names]
    words = f" not run: under pieces, name the functions of yours that are one of {', '.join(names)}"
    return tag(
        "li",
        tag("b", plural(len(checks), "check of a piece", "checks of pieces")),
        words,
        fold("their signatures", tag("ul", told)),
    )


def finding(check: tree.Check) -> Markup:
    """A finding that somebody must read: expected and observed, where, the likeliest bugs, how to test it alone."""
    facts = [
        ("Expected", check.expected),
        ("Observed", check.observed),
        ("Allowed", check.threshold),
        ("Where", command(check.location) if check.location else ""),
        ("Because", check.reason),
    ]
    return tag(
        "div",
        tag(
            "p",
            tag("b", f"{check.check}, {check.component}" if check.component else check.check),
            f" {check.outcome}: {check.summary}",
        ),
        pairs(facts, class_="") if any(text for _, text in facts) else None,
        tag("p", "Likely:") if check.likely else None,
        tag("ol", [tag("li", bug) for bug in check.likely]) if check.likely else None,
        lines(check.alone) if check.alone else None,
        class_="finding" if check.outcome in ("failed", "error") else "finding warned",
    )


def evidence_table(table: tree.Table) -> Markup:
    numeric = [
        place
        for place in range(1, len(table.columns))
        if all(isinstance(row[place], (int, float)) or row[place] is None for row in table.rows)
    ]
    rows = [[cell(value) for value in row] for row in table.rows]
    heads = [name.replace("_", " ").capitalize() for name in table.columns]
    caption = f"{table.phase.capitalize()}: {table.name.replace('_', ' ')}"
    drawn = plain_table(heads, rows, caption="" if len(rows) > LONG else caption, numeric=numeric)
    return fold(fragment(tag("b", caption), f", {plural(len(rows), 'line')}"), drawn) if len(rows) > LONG else drawn


def cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return significant(value, 4)
    if isinstance(value, (list, tuple)):
        return " × ".join(map(str, value))
    return str(value)


# ---- repeat -----------------------------------------------------------------------------------------------------


def repeat(report: tree.Report, names: Names) -> Section:
    top = report.header
    blocks = [
        fragment(tag("span", f"# {one.gives}\n", class_="remark"), one.command, "\n\n") for one in report.commands
    ]
    shown, more = blocks[:FIRST_COMMANDS], blocks[FIRST_COMMANDS:]
    registered = report.registered
    ran: list[tuple[str, Content]] = [
        (
            "Paper’s code",
            fragment(command(report.source), ", fingerprint of its source files") if report.source else "",
        ),
        ("Run", fragment(command(top.run), ", hash of the resolved configuration")),
        ("Overrides", command(" ".join(top.overrides)) if top.overrides else ""),
        ("Harness", top.version),
        *((name.replace("_", " ").capitalize(), value) for name, value in report.environment),
        ("Seeds", ", ".join(map(str, report.seeds))),
        ("Data", f"{top.data}; {top.licence}" if top.licence else top.data),
        ("Time", duration(top.seconds) if top.seconds else ""),
        ("The paper’s compute", top.reported_compute),
        (
            "Table registered",
            fragment(command(registered["hash"][:12]), f", {registered.get('registered', '')[:10]}")
            if registered.get("hash")
            else "",
        ),
    ]
    spent = [(phase.name, duration(phase.seconds)) for phase in report.phases]
    side: list[Content] = [tag("h3", "Time of each phase"), pairs(spent)] if spent else []
    if top.stripped_away:
        side += [tag("h3", "Left out on purpose"), tag("ul", [tag("li", text) for text in top.stripped_away])]
    listed = plain_table(("Package", "Version"), report.packages)
    packages = fold(fragment(tag("b", plural(len(report.packages), "package"))), listed) if report.packages else None
    return section(
        names,
        "How to repeat",
        None,
        tag("pre", shown, class_="command") if shown else None,
        fold(fragment(tag("b", plural(len(more), "further command"))), tag("pre", more, class_="command"), paper=False)
        if more
        else None,
        tag(
            "div", tag("div", tag("h3", "What it ran on"), pairs(ran), packages), tag("div", side), class_="halves even"
        ),
    )


def footer(report: tree.Report, names: Names) -> Markup:
    parts: list[Content] = []
    if report.left_out:
        rows = [(command(one.what), one.contains, one.why) for one in report.left_out]
        parts += [
            tag("h2", "Left out of this report"),
            plain_table(("What", "How far", "Why"), rows),
            tag("p", "Nothing was left out because of its result.", class_="note"),
        ]
    made = fragment(
        "Rebuilt at any time by ",
        command("python -m repro report"),
        " from the files of the run; nothing on this page is loaded from elsewhere.",
    )
    spared = (
        "Not on paper: further commands, the numbers of figures, and the details of rows that were not run or whose "
        "arithmetic the audit prints. report.html and report.json hold them."
    )
    ends = [tag("p", made, class_="note"), tag("p", spared, class_="note onpaper")]
    return tag("footer", parts, ends, id=names("section", "end"))
