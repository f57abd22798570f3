"""A session page as Markdown, for the terminal, a file, and wherever a person keeps notes."""

from __future__ import annotations

from repro.report.markup import UNPRINTABLE
from repro.session.page import Box, Page


def render(page: Page, answers: bool = True) -> str:
    """The page as text; folded answers are `<details>`, which Markdown viewers open on a click.

    Without `answers` they are left out: a terminal cannot fold them.
    """
    parts = [
        f"# Session: {page.title}, step {page.number} of {page.of}: {page.step}",
        "## Today's implementation goal",
        *page.goal,
        "## Prerequisites check",
        boxes(page.prerequisites) or "None: this is the first step.",
        "## Implementation",
    ]
    if page.shapes:
        parts += ["Declared tensors; the same name of an axis is the same size everywhere.", table(page.shapes)]
    if page.stages:
        parts.append(table(page.stages))
    for listing in page.code:
        parts += [f"`{listing.path}`", fence(listing.text, listing.language)]
    if not page.code:
        parts.append("Nothing is written yet.")
    parts.append("## Checkpoint questions")
    after = "" if answers else ", and shows each answer after yours"
    right = sum(asked.state == "right" for asked in page.questions)
    counted = f"{right} of {len(page.questions)} judged right. `{quiz(page)}` asks them{after}."
    parts.append(counted if page.questions else "None is asked at this step.")
    for asked in page.questions:
        mark = {"right": "x", "wrong": " ", "open": " "}[asked.state]
        again = " (judged wrong; try again)" if asked.state == "wrong" else ""
        parts.append(f"- [{mark}] **{asked.kind}**, `{asked.id}`: {plain(asked.question)}{again}")
        if not answers:
            continue
        yours = f"Yours: {plain(asked.yours)}\n\n" if asked.yours else ""
        source = f"\n\nSource: {plain(asked.source)}" if asked.source else ""
        parts.append(f"<details><summary>Answer</summary>\n\n{yours}{plain(asked.answer)}{source}\n\n</details>")
    parts += ["## Verification steps", boxes(page.verification) or "No check gates this step."]
    parts.append(f"Run them: `python -m repro check paper={page.paper} 'phases=[{page.step}]'`")
    parts.append("## Common bugs at this stage")
    for bug in page.bugs:
        lines = [f"- `{bug.check}`: {plain(bug.broken)}", *(f"    - {plain(text)}" for text in bug.likely)]
        if bug.options:
            lines.append(f"    - options of the property: {', '.join(f'`{name}`' for name in bug.options)}")
        parts.append("\n".join(lines))
    if not page.bugs:
        parts.append("No check of its own: what can go wrong here was guarded before.")
    parts += ["## What's next and how it connects", *page.next]
    return UNPRINTABLE.sub("\ufffd", "\n\n".join(parts)) + "\n"


def quiz(page: Page) -> str:
    return f"python -m repro quiz paper={page.paper} step={page.step}"


def boxes(found: tuple[Box, ...]) -> str:
    return "\n".join(
        f"- [{'x' if box.ticked else ' '}] {box.text}{f' — {box.note}' if box.note else ''}" for box in found
    )


def table(rows: tuple[tuple[str, ...], ...]) -> str:
    head, *body = rows
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in body]
    return "\n".join(lines)


def fence(text: str, language: str) -> str:
    marks = "```"
    while marks in text:
        marks += "`"
    return f"{marks}{language}\n{text}\n{marks}"


def plain(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")
