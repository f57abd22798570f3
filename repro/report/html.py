"""One self-contained HTML page without script or request, from phone to print; one report gives one text."""

from __future__ import annotations

import re
from importlib import resources

from repro.report import (
    finals,
    html_evidence,
    html_figures,
    html_finals,
    html_pictures,
    html_results,
    html_session,
    html_tasks,
    strips,
    tree,
    words,
)
from repro.report.markup import Content, Markup, Names, fragment, tag
from repro.report.numbers import duration, plural

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
#: Beyond this many rows of one verdict a tally shows one shape and the number.
MOST_MARKS = 48


def render(report: tree.Report) -> str:
    """The page as text."""
    names = Names()
    results = html_results.results(report, names)
    measured = [
        html_tasks.tasks(report, names),
        html_finals.final_metrics(report, names),
        html_results.facts(report, names),
        html_figures.gaps(report, names),
        html_figures.trajectories(report, names),
        html_pictures.pictures(report, names),
        html_figures.rates(report, names),
        html_figures.ablations(report, names),
        html_results.analogues(report, names),
    ]
    sections = [
        # a table of rows that were not run would hide what was
        *([results, *measured] if report.tested else [*measured, results]),
        html_evidence.audit(report, names),
        html_evidence.phases(report, names),
        html_session.sessions(report, names),
        html_evidence.repeat(report, names),
    ]
    shown = [section for section in sections if section is not None]
    contents = [tag("li", tag("a", section.title, href=f"#{section.id}")) for section in shown]
    page = tag(
        "div",
        tag("nav", tag("ol", contents), aria_label="Sections"),
        tag("main", head(report), [section.markup for section in shown], html_evidence.footer(report, names)),
        class_="page",
    )
    body = tag("body", strips.symbols(), tag("a", "Skip to the results", class_="skip", href=f"#{shown[0].id}"), page)
    style = resources.files("repro.report").joinpath("style.css").read_text("utf-8")
    top = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title(report)),
        tag("style", Markup(squeeze(style))),
    )
    return f"<!DOCTYPE html>\n{tag('html', top, body, lang='en')}\n"


def squeeze(style: str) -> str:
    """The style sheet without its comments and line breaks."""
    return re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", style, flags=re.S)).strip()


def title(report: tree.Report) -> str:
    return f"{report.tested} of {len(report.results)} tested · {report.header.title} · discrepancy report"


def head(report: tree.Report) -> Markup:
    top = report.header
    paper: list[Content] = [tag("cite", top.title)]
    if re.fullmatch(r"[\w.-]+(/\d+)?", top.arxiv):
        paper += [", ", tag("a", f"arXiv:{top.arxiv}", href=f"https://arxiv.org/abs/{top.arxiv}", rel="noreferrer")]
    facts: list[tuple[str, Content]] = [
        ("Date", top.created[:10]),
        ("Run", tag("code", top.run)),
        ("Scale", top.scale),
        ("Data", top.data),
        (
            "Time",
            duration(top.seconds) + (f", {plural(top.threads, 'thread')} a process" if top.threads else "")
            if top.seconds
            else "",
        ),
        (
            "Exit code",
            f"{top.exit_code}, {words.EXIT_CODES.get(top.exit_code, 'unknown')}" if top.exit_code is not None else "",
        ),
    ]
    items = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts if value]
    stopped = [words.stopped(report)] if report.sentences else []  # without a verdict it is the first sentence
    said = [*filter(None, stopped), *finals.told(report), *report.sentences[1:]]
    return tag(
        "header",
        tag("p", "Discrepancy report", class_="over"),
        tag("h1", coloured(words.first_sentence(report))),
        tag("p", " ".join(said), class_="standfirst") if said else None,
        tallies(report),
        tag("dl", tag("div", tag("dt", "Paper"), tag("dd", paper), class_="wide"), items, class_="meta"),
    )


def coloured(sentence: str) -> Markup:
    """The parts of the sentence that name a verdict, in its colour."""
    parts: list[Content] = []
    kinds = {"worse": "mismatch_worse", "better": "mismatch_better", "undecided": "inconclusive"}
    rest = 0
    for found in re.finditer(r"[\d,]+ (?:is|are) (worse|better|undecided)", sentence):
        parts += [sentence[rest : found.start()], tag("span", found.group(), class_=f"v-{kinds[found.group(1)]}")]
        rest = found.end()
    return fragment(parts, sentence[rest:])


def tallies(report: tree.Report) -> Markup | None:
    """One tally each for printed results, facts and other settings: three counts that are never added."""
    blocks = []
    for name, rows in (
        (plural(len(report.results), "printed result"), report.results),
        (plural(len(report.facts), "exact fact") + ", counted apart", report.facts),
        (plural(len(report.analogues), "claim") + " in another setting, counted apart", report.analogues),
    ):
        if not rows:
            continue
        items = []
        for verdict, number, word in words.verdict_counts(rows):
            marks = [strips.shape(verdict, 17)] * (number if number <= MOST_MARKS else 1)
            told = tag("span", tag("b", f"{number:,}"), " ", word, class_="words")
            items.append(tag("li", tag("span", marks, class_="marks", aria_hidden="true"), told))
        blocks.append(tag("div", tag("h2", name), tag("ul", items, class_="tally")))
    return tag("div", blocks, class_="tallies") if blocks else None
