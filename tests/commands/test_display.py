from __future__ import annotations

import io
import os

import pytest

from repro.commands import words
from repro.commands.display import JsonDisplay, LiveDisplay, PlainDisplay, choose, coloured
from repro.findings import UNFINISHED, Evidence, Finding, Gate, Outcome

FAILED = Finding(
    check="causal",
    component="decoder",
    outcome=Outcome.FAILED,
    summary="logits at position 3 change when target_input at position 4 changes",
    expected="no change",
    observed="max |Δ| 0.42",
    threshold="0 in float64",
    location="repro/papers/mine/model.py:88 in DecoderLayer.forward",
    likely=("mask off by one", "mask applied after the softmax"),
    alone="from repro.checks import causal\ncausal.show('mine')",
)
PASSED = Evidence(
    "data", Gate.PASSED, "9 checks · 7 tensors declared", seconds=4.2, questions={"answered": 1, "total": 3}
)
SHUT = Evidence("model", Gate.FAILED, "14 checks, 1 failed", findings=(FAILED,), seconds=6.0)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_plain_lines() -> None:
    stream = io.StringIO()
    display = PlainDisplay(stream, every=0)
    display.phase_started("data")
    display.progress("data", "leakage", 3, 9, 65)
    display.phase_finished(PASSED)
    display.phase_finished(SHUT)
    display.close()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "   data          leakage · 3 of 9 · 65 s left"
    assert lines[1].startswith(" ✓ data          9 checks · 7 tensors declared") and lines[1].endswith("  4 s")
    assert lines[2].startswith(" ✗ model         14 checks, 1 failed")
    assert lines[3:] == [
        "   decoder/causal: logits at position 3 change when target_input at position 4 changes",
        "   expected no change; observed max |Δ| 0.42; allowed 0 in float64",
        "   repro/papers/mine/model.py:88 in DecoderLayer.forward",
        "   Likely: 1. mask off by one",
        "           2. mask applied after the softmax",
        "   Alone:  from repro.checks import causal",
        "           causal.show('mine')",
        "Time: data 4 s (41 %) · model 6 s (59 %) · together 10 s",
    ]


def test_open_questions_are_said_once_with_what_asks_them() -> None:
    done = Evidence("model", Gate.PASSED, "", questions={"answered": 4, "total": 4})
    other = Evidence("loss", Gate.PASSED, "", questions={"answered": 0, "total": 7})
    one = words.open_questions([PASSED, done], ["paper=mine", "scale=smoke"])
    assert one == "2 of 7 checkpoint questions open: python -m repro quiz paper=mine scale=smoke step=data"
    both = words.open_questions([PASSED, done, other], ["paper=mine"])
    assert both == "9 of 14 checkpoint questions open: python -m repro quiz paper=mine"
    assert words.open_questions([done], ["paper=mine"]) == ""


@pytest.mark.parametrize("name", ["NO_COLOR", "CI"])
def test_no_colour_where_plain_text_is_wanted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in ("NO_COLOR", "CI"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert coloured(Terminal()) and not coloured(io.StringIO())
    monkeypatch.setenv(name, "1")
    assert not coloured(Terminal())


def test_evidence_that_still_holds_costs_no_time() -> None:
    stream = io.StringIO()
    display = PlainDisplay(stream)
    display.phase_finished(PASSED, reused=True)
    display.close()
    assert "unchanged" in stream.getvalue() and "Time" not in stream.getvalue()


def test_plain_progress_is_rare() -> None:
    stream = io.StringIO()
    display = PlainDisplay(stream, every=1000)
    display.phase_started("data")
    for done in range(50):
        display.progress("data", "check", done, 50)
    assert stream.getvalue() == ""


def test_a_reader_who_leaves_does_not_end_the_run() -> None:
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w", encoding="utf-8")
    display = PlainDisplay(stream)
    os.close(reading)
    display.note("one")
    display.note("two")
    stream.close()


def test_a_terminal_without_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    PlainDisplay(stream).phase_finished(PASSED)
    stream.flush()
    assert raw.getvalue().startswith(b" + data          9 checks - 7 tensors")


def test_which_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(choose(True, Terminal()), JsonDisplay)
    assert isinstance(choose(False, io.StringIO()), PlainDisplay)
    live = choose(False, Terminal())
    assert isinstance(live, LiveDisplay)
    live.close()
    monkeypatch.setenv("NO_COLOR", "1")
    assert isinstance(choose(False, Terminal()), PlainDisplay)


def test_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    display = LiveDisplay(stream)
    display.phase_started("reproduction")
    display.progress("reproduction", "seed 2 of 3", 1210, 2000, 65)
    assert display._render().plain.startswith(
        " ◐ reproduction  ━━━━━━━━━━━━━━━━ seed 2 of 3 · 1,210 of 2,000 · 65 s left"
    )
    display.finding(FAILED)
    assert "1 failed" in display._render().plain
    display.phase_finished(SHUT)
    display.close()
    assert "✗ model" in stream.getvalue() and "DecoderLayer.forward" in stream.getvalue()
    assert "Time: model 6 s (100 %)" in stream.getvalue()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.04, "0.0 s"), (0.94, "0.9 s"), (2.4, "2 s"), (99.4, "99 s"), (148.2, "2:28"), (3725.0, "1:02:05")],
)
def test_seconds(value: float, shown: str) -> None:
    assert words.seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(3.0, "just now"), (61.0, "1 min ago"), (7200.0, "2 h ago"), (86400.0, "1 day ago"), (5e5, "5 days ago")],
)
def test_ago(value: float, shown: str) -> None:
    assert words.ago(value) == shown


def test_many_failures_are_counted() -> None:
    many = Evidence("model", Gate.FAILED, "", findings=(FAILED,) * 7)
    assert words.finding_lines(many)[-1] == "   and 2 more: decoder/causal, decoder/causal"


def test_code_that_looks_like_a_piece_says_what_to_declare_where() -> None:
    seen = {"location": "dqn/loss.py:11 in Loss.__call__", "config": "conf/paper/dqn.yaml"}
    reason = "declare `pieces: {td_target: <dotted path>}` to get it; its signature is (rewards, …) → [N]"
    asked = Finding("td_target_oracle_agrees", "td_target", Outcome.NOT_RUN, "not run", reason=reason)
    silent = Evidence("loss", Gate.PASSED, "", findings=(asked,))
    assert words.finding_lines(silent) == []
    text = words.finding_lines(
        Evidence("loss", Gate.PASSED, "", findings=(asked.with_changes(details={"seen": seen}),))
    )
    assert text == [
        "   ? dqn/loss.py:11 in Loss.__call__ looks like td_target, which is not checked.",
        f"     In conf/paper/dqn.yaml {reason}",
    ]


def test_what_fails_alike_elsewhere_takes_a_line() -> None:
    train = FAILED.with_changes(summary="train: not as declared")
    elsewhere = FAILED.with_changes(
        summary="another line", location="repro/papers/mine/model.py:90 in DecoderLayer.forward"
    )
    text = words.finding_lines(Evidence("model", Gate.FAILED, "", findings=(FAILED, train, elsewhere)))
    assert text[7] == "   decoder/causal: train: not as declared" and text[8] == "   decoder/causal: another line"
    assert sum("mask off by one" in line for line in text) == 2


def test_one_fault_that_ends_many_checks_is_told_once() -> None:
    raised = FAILED.with_changes(
        outcome=Outcome.ERROR,
        summary="the check raised:\nmodel.py:9\nRuntimeError: odd",
        likely=("it raises", "a mask"),
    )
    other = raised.with_changes(check="deterministic", summary="model raised:\nRuntimeError: odd")
    elsewhere = other.with_changes(check="stages", location="model.py:10")
    text = words.finding_lines(
        Evidence(
            "model", Gate.FAILED, "", findings=(raised, other.with_changes(likely=("it raises", "a seed")), elsewhere)
        )
    )
    assert [line.partition("\n")[0] for line in text if "decoder/" in line] == [
        "   decoder/causal: the check raised:",
        "   The same ends 1 more: decoder/deterministic",
        "   decoder/stages: model raised:",
    ]
    assert "   Likely: 1. it raises" in text and not any("a seed" in line for line in text)
    first = text[: text.index("   The same ends 1 more: decoder/deterministic")]
    assert not any("a mask" in line for line in first)


def test_long_lines_go_on_under_their_beginning_and_commands_stay_whole() -> None:
    text = "\n".join(
        [
            "   Likely: 1. the target is shifted twice as far as it must be",
            "- [ ] a box that is longer than the terminal is wide",
            "Next: python -m repro run paper=mine training.learning_rate=0.01",
            "```python",
            "x = 1  # a listing stays as it was typed, however long",
            "```",
        ]
    )
    assert words.fitted(text, 40).split("\n") == [
        "   Likely: 1. the target is shifted",
        "              twice as far as it must be",
        "- [ ] a box that is longer than the",
        "      terminal is wide",
        "Next: python -m repro run paper=mine training.learning_rate=0.01",
        "```python",
        "x = 1  # a listing stays as it was typed, however long",
        "```",
    ]
    assert words.fitted(text, 100) == text


def test_only_a_terminal_is_wrapped_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert words.printable("one two three four five", Terminal()) == "one two three four\nfive"
    assert words.printable("one two three four five", io.StringIO()) == "one two three four five"


def test_what_was_raised_is_not_repeated() -> None:
    raised = FAILED.with_changes(
        outcome=Outcome.ERROR,
        summary="model raised:\n  mine/model.py:9 in forward\n  RuntimeError: odd",
        location="mine/model.py:9 in forward",
        reason=UNFINISHED,
        threshold="exact",
    )
    text = "\n".join(words.finding_lines(Evidence("model", Gate.FAILED, "", findings=(raised,))))
    assert text.count("mine/model.py:9") == 1 and UNFINISHED not in text and "allowed" not in text


def test_an_ascii_terminal_reads_the_signs_of_a_table() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert words.printable("✓ −0.10 ± 0.02 ≤ 1/√d", stream) == "+ -0.10 +/- 0.02 <= 1/sqrt d"


def test_a_narrow_terminal_has_no_column_for_the_time() -> None:
    line = words.phase_line(PASSED, reused=False, width=40)
    assert line == " ✓ data          9 checks · 7 tensors\n   declared · 4 s"
    assert max(map(len, line.splitlines())) <= 40
