"""The session pages in the report: a fold for each step, with the person's code, questions and boxes as they stood."""

from __future__ import annotations

from repro.report import tree
from repro.report.html_parts import Section, fold, plain_table, section
from repro.report.markup import Content, Markup, Names, fragment, tag
from repro.report.numbers import plural
from repro.session.page import Box, Page


def sessions(report: tree.Report, names: Names) -> Section | None:
    """One fold a step; None for a run that kept no pages."""
    if not report.sessions:
        return None
    right = sum(asked.state == "right" for page in report.sessions for asked in page.questions)
    total = sum(len(page.questions) for page in report.sessions)
    lede = f"{right} of {plural(total, 'checkpoint question')} answered and judged right."
    return section(names, "Sessions", lede, [step(page) for page in report.sessions], class_="sessions")


def step(page: Page) -> Markup:
    ticked = sum(box.ticked for box in page.verification)
    summary = fragment(
        tag("b", page.step), f" · {ticked} of {len(page.verification)} boxes ticked · {plural(len(page.code), 'file')}"
    )
    content: list[Content] = [tag("p", text) for text in page.goal]
    content += [tag("h3", "Prerequisites"), boxes(page.prerequisites)] if page.prerequisites else []
    for table in (page.shapes, page.stages):
        if table:
            content.append(plain_table(table[0], table[1:]))
    for listing in page.code:
        content.append(fold(tag("code", listing.path), tag("pre", listing.text)))
    if page.questions:
        content.append(tag("h3", "Checkpoint questions"))
    for asked in page.questions:
        answer = [tag("p", f"Yours: {asked.yours}")] if asked.yours else []
        answer.append(tag("p", asked.answer))
        answer += [tag("p", f"Source: {asked.source}", class_="note")] if asked.source else []
        content.append(fold(f"{'☑' if asked.state == 'right' else '☐'} {asked.kind}: {asked.question}", answer))
    content += [tag("h3", "Verification"), boxes(page.verification)] if page.verification else []
    if page.bugs:
        bugs = [tag("li", tag("code", bug.check), f": {bug.broken} ", " · ".join(bug.likely)) for bug in page.bugs]
        content += [tag("h3", "Common bugs"), tag("ul", bugs)]
    content += [tag("h3", "What comes next"), *(tag("p", text) for text in page.next)]
    return fold(summary, content)


def boxes(found: tuple[Box, ...]) -> Markup:
    return tag(
        "ul",
        [
            tag("li", f"{'☑' if box.ticked else '☐'} {box.text.replace('`', '')}{': ' + box.note if box.note else ''}")
            for box in found
        ],
        class_="boxes",
    )
