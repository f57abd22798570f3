"""JSON against its schema, Markdown for a pull request, and the terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

import repro.report
from repro.report import html, json_report, markdown, terminal, tree, words
from repro.report.collect import collect
from tests.report.page import read
from tests.report.test_html import HOSTILE, measured, report_of

SCHEMA = json.loads((Path(repro.report.__file__).parent / "schema.json").read_text("utf-8"))


def test_the_published_schema_is_the_one_of_the_records() -> None:
    assert json_report.schema() == SCHEMA
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", ["transformer", "gallery"])
def test_json_keeps_the_schema(name: str, request: pytest.FixtureRequest) -> None:
    report = collect(request.getfixturevalue(name))
    document = json.loads(json_report.render(report))
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document["sentence"] == report.sentences[0]
    assert sum(document["tally"]["results"].values()) == len(report.results)


def test_the_schema_refuses_another_verdict(gallery: Path) -> None:
    document = json.loads(json_report.render(collect(gallery)))
    document["rows"][0]["verdict"] = "almost"
    with pytest.raises(jsonschema.ValidationError, match="almost"):
        jsonschema.Draft202012Validator(SCHEMA).validate(document)


def test_a_tolerance_stricter_than_the_papers_error_is_said_beside_the_verdict() -> None:
    said = "tolerance stricter than the paper’s own error"
    report = report_of(measured((90.0, 90.4), stricter=True))
    assert said in html.render(report) and said in markdown.render(report)
    assert said not in html.render(report_of(measured((90.0, 90.4))))


def test_what_all_rows_of_a_group_share_is_said_once_in_html() -> None:
    said = "tolerance stricter than the paper’s own error"
    rows = [measured((90.0, 90.4), id=f"r{n}", stricter=True) for n in range(3)]
    page = html.render(report_of(*rows))
    assert page.count(said) == 1 and f"each {said}" in page
    page = html.render(report_of(*rows, measured((90.0, 90.4), id="other")))
    assert page.count(said) == 3 and f"each {said}" not in page


def test_an_undecided_row_says_beside_its_interval_only_what_would_decide() -> None:
    reason = "our interval 89 … 91 crosses an edge of 88 … 90; not even 1000 seeds are expected to decide"
    row = measured((90.0, 90.4), verdict="inconclusive", kind="value", reason=reason)
    assert words.reason(row) == "not even 1000 seeds are expected to decide"
    assert reason in html.render(report_of(row))  # in its fold
    assert words.reason(replace(row, interval=None)) == reason


@pytest.mark.parametrize(
    ("updates", "full", "says"),
    [
        (60, 2000, "Each trial trained 60 updates, 3 % of the full training’s 2,000. So short a sweep favours high"),
        (80, 6000, "80 updates, 1.3 % of the full training’s 6,000."),
        (400, 400, "Each trial trained 400 updates, the full training 400."),
        (60, None, "Each trial trained 60 updates."),
    ],
)
def test_a_sweep_says_how_short_it_was(updates: int, full: int | None, says: str, transformer: Path) -> None:
    report = collect(transformer)
    assert report.rates is not None
    report = replace(report, rates=replace(report.rates, updates=updates, full_updates=full))
    assert says in read(html.render(report)).text() and says in markdown.render(report)
    assert ("favours high rates" in markdown.render(report)) == (full is not None and updates < full)


def test_markdown_says_the_sentence_first_and_every_row(gallery: Path) -> None:
    report = collect(gallery)
    text = markdown.render(report)
    assert text.splitlines()[0] == f"### {report.sentences[0]}"
    assert (
        "| ▼ worse |" in text and "◐ undecided: 12 more seeds expected to decide; edited: seed budget 10 → 15" in text
    )
    assert text.count("<details>") == text.count("</details>")
    assert all(markdown.text(row.label) in text for row in report.results)


def test_markdown_says_once_why_rows_were_not_run() -> None:
    reason = "not built here: " + "scores are normalised by a scale that is not printed, " * 4
    blank = measured((), verdict="not_run", reason=reason)
    rows = [replace(blank, id=f"r{n}", label=f"row {n}", printed=f"0.{n}") for n in range(9)]
    text = markdown.render(replace(report_of(*rows), commands=tuple(tree.Command(f"c{n}", "x") for n in range(9))))
    assert text.count("not built here") == 1 and all(f"row {n} (0.{n})" in text for n in range(9))
    assert "| row |" not in text  # nothing was measured
    assert "\nc5\n" in text and "\nc6" not in text and "3 further commands in report.html" in text


def test_markdown_calls_nobody_and_shortens_what_failed() -> None:
    failed = tree.Check("causal", "decoder", "error", "@someone wrote " + "a long trace " * 90)
    report = replace(report_of(), phases=(tree.Phase("model", "failed", "", (failed,), 1.0, ""),))
    [line] = [line for line in markdown.render(report).splitlines() if line.startswith("- **model, causal**")]
    assert "@<!-- -->someone" in line and len(line) < 500 and line.endswith("…")


def test_markdown_keeps_user_text_in_its_cell() -> None:
    row = measured((90.0,), label=f"a | b\n# c `d` {HOSTILE} [x](y)", command="```\n# boo")
    text = markdown.render(replace(report_of(row), commands=()))
    [line] = [line for line in text.splitlines() if "a \\| b" in line]
    assert line.replace("\\|", "").count("|") == 8
    assert "<script" not in text and "\\[x\\](y)" in text
    assert markdown.code("```").startswith("````sh\n")


def test_terminal_of_the_laptop_run(transformer: Path) -> None:
    text = terminal.render(collect(transformer), Path("runs/transformer/3f9a1c"))
    lines = text.splitlines()
    assert lines[0] == "None of 24 printed results tested."
    assert "… 23 not run: all rows are in the report" in text
    assert "3.28e18" in text and "match (fact)" in text and "paper inconsistent: its text has 63.0 M" in text
    # one line a row: the command that would run it stands in the last line
    assert "not run: " in text and max(map(len, lines[3:-2])) <= 100
    assert "holds (other setting)" in text
    assert "Report: runs/transformer/3f9a1c/report.html" in text
    assert lines[-2:] == ["Next: python -m repro run paper=transformer scale=paper", "  gives 24 rows"], "said once"
    assert "\x1b" not in text and "\x1b[34m" in terminal.render(collect(transformer), colour=True)


def test_terminal_shows_what_is_wrong_before_what_is_right(gallery: Path) -> None:
    text = terminal.render(collect(gallery), most=3)
    hidden = next(line for line in text.splitlines() if line.startswith("  …"))
    assert "worse" in text and "better" in text and "undecided" in text and "match" in hidden


@pytest.mark.parametrize(
    ("failed", "next_command"),
    [
        ("causal", "python -m repro session paper=mine model.width=8 step=training"),
        (
            "overfit_one_batch",
            "python -m repro debug paper=mine model.width=8",
        ),  # what fails says nothing of the culprit
    ],
)
def test_a_shut_gate_shows_no_rows_but_what_to_do_about_it(failed: str, next_command: str) -> None:
    shut = tree.Phase(
        "training", "failed", "1 of 2 checks", (tree.Check(failed, "model", "failed", "It leaks."),), 1, ""
    )
    report = report_of(measured((90.0,)), phases=(shut,))
    overrides = ("paper=mine", "phases=[training]", "model.width=8")  # a step is one phase already
    report = replace(report, header=replace(report.header, overrides=overrides))
    stopped = "Stopped at the gate of training: 1 of 2 checks."
    assert terminal.render(report).splitlines() == ["One sentence.", stopped, f"Next: {next_command}"]
    assert terminal.render(report, told=True).splitlines() == ["One sentence.", f"Next: {next_command}"]
    # a page of numbers would hide it
    assert stopped in html.render(report) and stopped in markdown.render(report)


def test_a_printed_minus_is_written_as_ours() -> None:
    report = report_of(measured((-2.404, -2.41), printed="-2.414", paper=-2.414))
    for text in (terminal.render(report), markdown.render(report), html.render(report)):
        assert "−2.414" in text and "-2.414" not in text


def test_a_step_to_do_was_told_where_the_run_stopped() -> None:
    to_do = tree.Phase("data", "to_do", "to do: load the examples", (), 0, "")
    report = report_of(measured((90.0,), verdict="not_run", command="python -m repro run paper=mine"), phases=(to_do,))
    assert terminal.render(report, told=True).splitlines() == ["One sentence."]
    ended = terminal.render(report, Path("runs/mine/1")).splitlines()[1:]
    assert ended == ["The run came as far as data: to do: load the examples.", "Report: runs/mine/1/report.html"]


def test_what_is_undecided_asks_for_seeds_and_what_is_worse_for_its_cause() -> None:
    rate = "python -m repro run paper=mine training.learning_rate=0.01"
    gaps = (tree.Gap("value", None, None, "", next=rate),)

    def next_of(verdict: str, **row: Any) -> str:
        report = replace(report_of(measured((90.0, 91.0), verdict=verdict, id="value", n=2, **row)), gaps=gaps)
        header = replace(report.header, overrides=("paper=mine", "scale=smoke", "reproduction.max_seeds=2"))
        return words.next_command(replace(report, header=header))

    more = "python -m repro run paper=mine scale=smoke reproduction.max_seeds=9"
    assert next_of("inconclusive", more_seeds=7) == more
    # where no number of seeds decides, another experiment would not either
    assert next_of("inconclusive", more_seeds=None) == "python -m repro status"
    assert next_of("mismatch_worse") == rate


def test_what_an_older_run_left_of_another_phase_is_not_where_this_one_ended() -> None:
    older = tree.Phase(
        "data", "failed", "", (tree.Check("splits_disjoint", "data", "failed", ""),), 1, "2026-01-01T10:00"
    )
    newer = tree.Phase("loss", "failed", "", (tree.Check("loss_terms", "loss", "failed", ""),), 1, "2026-01-01T11:00")
    row = measured((), verdict="not_run", command="")
    assert words.next_command(report_of(row, phases=(older, newer))).endswith("step=loss")
    assert words.next_command(report_of(row, phases=(older, replace(newer, outcome="passed")))).endswith("step=data")


def test_after_the_gates_alone_the_training_comes_next() -> None:
    gate = tree.Phase("evaluation", "passed", "9 checks", (), 1, "")
    row = measured((), verdict="not_run", command="python -m repro run paper=mine scale=paper")
    report = report_of(row, phases=(gate,))
    report = replace(report, header=replace(report.header, overrides=("paper=mine", "phases=[evaluation]", "a.b=1")))
    assert words.next_command(report) == "python -m repro run paper=mine a.b=1"


def test_a_long_reason_is_cut_beside_the_verdict_and_whole_in_the_fold() -> None:
    reason = "one matrix for both embeddings, " * 20
    row = measured((), ours=None, interval=None, verdict="paper_inconsistent", reason=reason)
    assert len(max(terminal.render(report_of(row)).splitlines(), key=len)) < 200
    page = read(html.render(report_of(row)))
    assert page.all("td", "c-strip")[0].text().endswith("for both…")
    assert reason.strip() in page.all("dl", "prov")[0].text()


def test_a_contradiction_of_many_numbers_is_told_once() -> None:
    against = tuple(
        tree.AuditLine(
            f"p{place}", f"parameters {place}", "65", "63.05", "paper_inconsistent", "512 V + …", "No V serves all."
        )
        for place in range(11)
    )
    page = read(html.render(report_of(audit=against)))
    [cluster] = page.all("div", "cluster")
    assert "11 numbers that cannot hold together" in cluster.text() and cluster.text().count("No V serves all.") == 1
    assert len(cluster.all("tbody")[0].all("tr")) == 11


def test_what_was_not_run_says_what_it_would_take() -> None:
    row = tree.Row(
        "bleu", "BLEU", "not_run", kind="value", command="python -m repro run scale=paper", estimate="460 hours"
    )
    report = SimpleNamespace(results=(row, row))
    command, lines = terminal.to_run(report, 100)  # type: ignore[arg-type]
    assert command == "python -m repro run scale=paper" and lines == ["  gives 2 rows", "  takes 460 hours"]
    silent = SimpleNamespace(results=(replace(row, estimate=""),))
    assert terminal.to_run(silent, 100)[1] == ["  gives 1 row"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("printed", "paper", "tolerance", "says"),
    [
        ("8977.94", 8977.94, 1346.691, "±1,347"),
        ("27.3", 27.3, 0.5, "±0.5"),
        ("65 M", 65e6, 0.5e6, "±0.5"),
        ("1", 1.0, 0.0, "exact"),
    ],
)
def test_a_tolerance_has_at_most_four_digits(printed: str, paper: float, tolerance: float, says: str) -> None:
    row = tree.Row("a", "a", "match", printed=printed, paper=paper, tolerance=tolerance)
    assert words.tolerance(row) == says


def test_counted_verdicts_agree_in_number() -> None:
    one = measured((1.0,), kind="claim", verdict="match", id="a")
    assert words.counted((one,)) == "1 holds"
    assert words.counted((one, replace(one, id="b"), replace(one, id="c", verdict="not_run"))) == "2 hold, 1 not run"
