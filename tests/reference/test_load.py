"""A wrong table tells all its faults at once, each with line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.errors import ExitCode, TableError
from repro.reference import load_table, parse_table
from repro.reference.schema import changed_fields, record_json

GOOD = """\
paper: mine
records:
  bleu_base:
    kind: value
    label: BLEU, base
    group: Table 2
    value: 27.30
    unit: BLEU
    direction: higher
    metric: bleu
    split: test
    where: Table 2
    confirmed: confirmed
    tolerance: {value: 0.5, reason: one run without a spread}
  parameters:
    kind: fact
    label: parameters
    group: Table 3
    value: 65
    unit: million parameters
    where: Table 3
    confirmed: confirmed
    fact: {name: parameters, overrides: [model.layers=6]}
"""


def faults_of(text: str) -> list[str]:
    with pytest.raises(TableError) as error:
        parse_table(text, "reference_numbers/mine.yaml")
    assert error.value.exit_code is ExitCode.USAGE
    return str(error.value).splitlines()


def test_a_good_table() -> None:
    table = parse_table(GOOD)
    bleu = table.record("bleu_base")
    assert bleu.printed is not None
    assert (bleu.printed.text, bleu.printed.half_width, bleu.line) == ("27.30", 0.005, 4)
    assert bleu.counts
    assert table.record("parameters").multiple == 1e6
    assert not table.record("parameters").counts
    assert "parameters" in table
    assert "nothing" not in table


def test_message_as_a_user_meets_it() -> None:
    text = GOOD.replace("tolerance: {value: 0.5, reason: one run without a spread}", "tolerance: about 1")
    text = text.replace("    direction: higher\n", "")
    assert faults_of(text) == [
        "reference_numbers/mine.yaml has 1 fault:",
        "  line 13  bleu_base.tolerance: got 'about 1', need a number and its reason, "
        "for example {value: 0.5, reason: …}",
    ]
    text = GOOD.replace("    direction: higher\n", "")
    text = text.replace("confirmed: confirmed\n    fact", "confirmed: yes\n    fact")
    assert faults_of(text) == [
        "reference_numbers/mine.yaml has 2 faults:",
        "  line 4  bleu_base.direction: missing; say higher or lower (which is better), or none",
        "  line 21  parameters.confirmed: got 'yes', need confirmed or secondary copy or unconfirmed or computed",
    ]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("kind: value", "kind: number", "bleu_base.kind: got 'number', need fact or value or curve or claim"),
        ("value: 27.30", "value: about 27", "need the number as the paper prints it"),
        ("value: 27.30", "value: [27]", "got a list"),
        ("value: 27.30", "value: .nan", "got '.nan'"),
        ("reason: one run without a spread", "why: x", "tolerance.reason: missing"),
        ("value: 0.5", "value: -0.5", "need a number above 0"),
        ("value: 0.5", "value: 0", "need a number above 0"),
        ("    split: test\n", "", "bleu_base.split: missing"),
        ("    metric: bleu\n", "    metrics: bleu\n", "did you mean metric?"),
        ("overrides: [model.layers=6]", "overrides: [model.layers]", "need key=value"),
        ("    fact: {name: parameters, overrides: [model.layers=6]}\n", "", "parameters.fact: missing"),
        ("label: BLEU, base", "label: {a: 1}", "need text"),
        ("  bleu_base:", "  BLEU-base:", "an id is lower-case letters"),
        ("split: test", "split: test\n    statistic: final", "mean_of_last_<k>"),
        ("split: test", "split: test\n    seeds: 2.5", "need a whole number"),
        ("split: test", "split: test\n    method: logit", "method logit needs [lowest, highest]"),
        ("split: test", "split: test\n    method: cube_root", "cube_root needs the bound"),
        ("split: test", "split: test\n    bounds: [0, 1]", "27.3 lies outside bounds"),
        ("split: test", "split: test\n    bounds: [9, 1]", "lowest 9 is not below highest 1"),
        ("split: test", "split: test\n    spread: {value: 1, kind: var}", "need sd or se or ci95"),
        ("split: test", "split: test\n    points: [[1, 2]]", "belongs to a curve, and this is a value"),
        ("split: test", "split: test\n    derivation: {expression: a + b, names: {a: 1}}", "expression uses b"),
        ("split: test", "split: test\n    derivation: {formula: missing}", "derivations has none"),
        ("split: test", "split: test\n    derivation: {expression: import os}", "not an arithmetic expression"),
        ("paper: mine", "papers: mine", "paper: missing"),
        ("records:", "record:", "did you mean records?"),
        ("paper: mine", "paper: mine\nconsistency: {g: {records: [x], assumption: {name: v}}}", "'x' is no record"),
    ],
)
def test_each_fault(old: str, new: str, says: str) -> None:
    assert old in GOOD
    assert any(says in line for line in faults_of(GOOD.replace(old, new, 1))), faults_of(GOOD.replace(old, new, 1))


def test_claims_need_what_their_expectation_needs() -> None:
    claim = """\
paper: mine
records:
  c:
    kind: claim
    label: x
    group: g
    where: w
    confirmed: confirmed
    metric: loss
    direction: none
    claim: {ablation: no_x, expect: hurts}
"""
    assert "got 'none'" in faults_of(claim)[1]
    assert "c.tolerance: missing" in faults_of(claim.replace("expect: hurts", "expect: same"))[1]


def test_hash_ignores_layout_only() -> None:
    table = parse_table(GOOD)
    assert parse_table("# comment\n\n" + GOOD.replace("label: BLEU, base", "label:   'BLEU, base'")).hash == table.hash
    assert parse_table(GOOD.replace("27.30", "27.3")).hash != table.hash
    edited = parse_table(GOOD.replace("value: 0.5", "value: 0.6")).record("bleu_base")
    changed = changed_fields(record_json(table.record("bleu_base")), record_json(edited))
    assert list(changed) == ["tolerance"]
    assert changed["tolerance"][0]["value"] == 0.5


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="cannot be read"):
        load_table(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(TableError, match="not UTF-8"):
        load_table(tmp_path / "bytes.yaml")


TASKS = """
tasks:
  metric: bleu
  split: test
  direction: higher
  scores:
    news: {low: {value: "1.5", source: a random policy}, high: {record: bleu_base}}
"""


def test_a_scale_takes_its_ends_from_a_measurement_or_a_record() -> None:
    table = parse_table(GOOD + TASKS)
    assert table.tasks is not None and table.tasks.of("weather") is None
    scale = table.tasks.of("news")
    assert scale is not None
    assert (scale.low.printed.number, scale.low.source) == (1.5, "a random policy")
    assert (scale.high.printed.text, scale.high.source, scale.high.record) == ("27.30", "Table 2, Table 2", "bleu_base")
    # the ends are part of what is registered; a table without tasks keeps its hash
    assert table.hash != parse_table(GOOD + TASKS.replace("1.5", "1.6")).hash
    assert '"tasks"' not in parse_table(GOOD).canonical()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("low: {value: '1.5'}, high: {record: bleu_base}", "tasks.scores.news.low.source: missing; say where"),
        (
            "low: {value: x, source: y}, high: {record: bleu_base}",
            "low.value: got 'x', need the number as the paper",
        ),
        ("low: {value: 1, source: y}, high: {record: bleu}", "high.record: 'bleu' is no record with a value"),
        ("low: {value: 1, source: y}, high: {record: parameters}", "parameters is of no metric, the tasks are of bleu"),
        ("low: {value: 1, source: y}, high: {record: bleu_base, value: 3}", "give nothing else"),
        ("high: {record: bleu_base}", "low: missing; give the score that becomes 0"),
    ],
)
def test_a_faulty_scale_is_told_with_its_line(wrong: str, said: str) -> None:
    good = 'low: {value: "1.5", source: a random policy}, high: {record: bleu_base}'
    faults = faults_of(GOOD + TASKS.replace(good, wrong))
    assert len(faults) == 2 and "line 30" in faults[1] and said in faults[1]
