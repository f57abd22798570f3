"""From a table and measurements to rows, sentences and an exit code: every outcome a row can have."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from repro.errors import ConfigError, ExitCode
from repro.reference import audit, load_table, parse_table
from repro.reference.schema import Spread
from repro.verdict import Measured, Measurement, Row, Verdict, exit_code, first_sentence, judge, sentences
from repro.verdict.rows import paper_sd

TABLE = """\
paper: mine
records:
  score: &score
    kind: value
    label: "score <b>ü</b>"
    group: Table 1
    value: "10.0"
    direction: higher
    metric: score
    split: test
    where: Table 1
    confirmed: confirmed
    requires: {scale: paper, data: real, overrides: [model.layers=2]}
    compute: 3 hours
    tolerance: {value: 0.5, reason: one run}
  other: {<<: *score, label: other, metric: other}
  deep:
    <<: *score
    label: deep
    requires: {scale: paper, data: real, overrides: [model.layers=4, "model.sizes=[1,2]"]}
  rival: {<<: *score, label: rival, own: false}
  size:
    kind: fact
    label: size
    group: Table 1
    value: "2"
    unit: million parameters
    where: Table 1
    confirmed: confirmed
    fact: {name: parameters}
  hours:
    kind: fact
    label: hours
    group: Table 1
    value: "12"
    where: section 5
    confirmed: confirmed
    derivation: {expression: days * 24, names: {days: 0.5}}
  twice: {<<: *score, label: twice, also_stated: [{value: "12.0", where: section 6}]}
  part:
    kind: claim
    setting: analogue
    label: without the part it is worse
    group: toy
    metric: loss
    direction: lower
    where: section 3
    confirmed: confirmed
    claim: {ablation: no_part, expect: hurts}
"""
PARSED = parse_table(TABLE)
CONFIG = {"model": {"layers": 2}}


def runs(*scores: float, **changes: object) -> tuple[Measurement, ...]:
    made = (Measurement(seed, metrics={"score": score, "other": score}) for seed, score in enumerate(scores))
    return tuple(replace(run, **changes) for run in made)  # type: ignore[arg-type]


def rows_of(measured: Measured) -> dict[str, Row]:
    return {row.id: row for row in judge(PARSED, measured, audit(PARSED))}


def paper_run(*scores: float, **changes: object) -> Measured:
    return Measured("paper", "real", CONFIG, runs(*scores, **changes), facts={"size": 2_100_000})


def test_another_scale_is_not_run_and_says_the_command() -> None:
    rows = rows_of(Measured("laptop", "toy", CONFIG, runs(10, 10.1, 9.9)))
    assert rows["score"].verdict is Verdict.NOT_RUN
    assert rows["score"].command == "python -m repro run paper=mine scale=paper data=real model.layers=2"
    assert rows["deep"].command.endswith("model.layers=4 'model.sizes=[1,2]'")
    assert rows["score"].compute == "3 hours"
    assert "needs scale=paper, this run has scale=laptop" in rows["score"].reason
    assert first_sentence(list(rows.values())) == "None of 4 printed results tested."


def test_the_required_run_is_judged() -> None:
    rows = rows_of(paper_run(10.0, 10.1, 9.9))
    assert rows["score"].verdict is Verdict.MATCH
    assert rows["score"].values == (10.0, 10.1, 9.9)
    assert rows["deep"].verdict is Verdict.NOT_RUN
    assert "needs model.layers=4, this run has 2" in rows["deep"].reason
    assert rows["rival"].verdict is Verdict.NOT_RUN
    assert (rows["size"].verdict, rows["size"].ours) == (Verdict.MATCH, pytest.approx(2.1))
    assert (rows["hours"].verdict, rows["hours"].ours) == (Verdict.MATCH, 12.0)
    assert first_sentence(list(rows.values())) == "2 of 4 printed results tested: 2 match."
    assert exit_code(list(rows.values())) is ExitCode.OK


def test_twice_printed_is_the_papers_fault_whatever_we_measure() -> None:
    rows = rows_of(paper_run(10.0, 10.1, 9.9))
    twice = rows["twice"]
    assert twice.verdict is Verdict.PAPER_INCONSISTENT
    assert "beside 10.0 (Table 1): match" in twice.notes
    assert "beside 12.0 (section 6): mismatch_worse" in twice.notes


@pytest.mark.parametrize(
    ("measured", "verdict", "says"),
    [
        (paper_run(12.0, 12.1, 11.9), Verdict.MISMATCH_BETTER, "wholly above"),
        (paper_run(8.0, 8.1, 7.9), Verdict.MISMATCH_WORSE, "wholly below"),
        (paper_run(10.0, 10.9, 9.5), Verdict.INCONCLUSIVE, "should decide"),
        (paper_run(10.0), Verdict.INCONCLUSIVE, "one seed"),
        (paper_run(10.0, float("nan")), Verdict.NOT_TESTABLE, "not finite"),
        (paper_run(10.0, 10.0, split="validation"), Verdict.NOT_TESTABLE, "split is test, measured was validation"),
        (paper_run(10.0, 10.0, statistic="best"), Verdict.NOT_TESTABLE, "statistic is last, measured was best"),
        (paper_run(10.0, 10.0, metrics={"x": 1.0}), Verdict.NOT_TESTABLE, "gives no score; it gives x"),
        (paper_run(), Verdict.NOT_RUN, "no seed was trained"),
        (
            Measured("paper", "real", CONFIG, (*runs(10, 10.1), Measurement(7, status="diverged"))),
            Verdict.NOT_TESTABLE,
            "seed 7 diverged",
        ),
    ],
)
def test_each_outcome(measured: Measured, verdict: Verdict, says: str) -> None:
    row = rows_of(measured)["score"]
    assert row.verdict is verdict
    assert says in row.reason


def test_missing_seeds_are_named() -> None:
    found = (*runs(10.0, 10.1, 9.9), Measurement(3, status="failed", error="node died"))
    row = rows_of(Measured("paper", "real", CONFIG, found))["score"]
    assert (row.verdict, row.n) == (Verdict.MATCH, 3)
    assert "seed 3 left out: node died" in row.notes


def test_rows_share_the_level() -> None:
    # alone the row would match: ± 2.92 · 0.25 / √3 = 0.4215 < 0.5; with two rows t(.975, 2) = 4.30 gives ± 0.62
    scores = (9.75, 10.0, 10.25)
    rows = rows_of(paper_run(*scores))
    assert rows["score"].verdict is rows["other"].verdict is Verdict.INCONCLUSIVE
    # Holm: once the other row is decided, the full level is left for this one
    found = tuple(Measurement(i, metrics={"score": s, "other": 10 + i / 100}) for i, s in enumerate(scores))
    rows = rows_of(Measured("paper", "real", CONFIG, found))
    assert rows["score"].verdict is rows["other"].verdict is Verdict.MATCH
    # and a row that cannot be tested at all takes no share
    found = tuple(Measurement(i, metrics={"score": s, "other": math.nan}) for i, s in enumerate(scores))
    rows = rows_of(Measured("paper", "real", CONFIG, found))
    assert (rows["score"].verdict, rows["other"].verdict) == (Verdict.MATCH, Verdict.NOT_TESTABLE)


@pytest.mark.parametrize(
    ("spread", "seeds", "sd"),
    [
        (Spread(0.5, "sd"), None, 0.5),
        (Spread(0.5, "se"), 4, 0.5 * 2),  # a standard error is sd / √n
        (Spread(0.98, "ci95"), 16, 0.98 / 1.96 * 4),
        (Spread(0.5, "se"), None, None),  # of how many runs is not printed
        (None, 4, None),
    ],
)
def test_the_papers_deviation_is_read_from_whatever_spread_it_prints(
    spread: Spread | None, seeds: int | None, sd: float | None
) -> None:
    found = paper_sd(replace(PARSED.record("score"), spread=spread, seeds=seeds))
    assert found == (None if sd is None else pytest.approx(sd))


def test_claims_never_count() -> None:
    ablations = {"full": {s: {"loss": 1.0 + s} for s in range(3)}, "no_part": {s: {"loss": 2.0 + s} for s in range(3)}}
    measured = Measured("laptop", "toy", CONFIG, runs(1.0, 2.0), ablations)
    rows = rows_of(measured)
    assert rows["part"].verdict is Verdict.MATCH
    assert "All" not in first_sentence(list(rows.values()))
    assert sentences(list(rows.values()), "toys")[-1] == "1 claim tried on toys: 1 holds here."
    reverse = rows_of(replace(measured, ablations={"full": ablations["no_part"], "no_part": ablations["full"]}))
    assert reverse["part"].verdict is Verdict.MISMATCH_WORSE
    assert exit_code(list(reverse.values())) is ExitCode.OK  # the derived fact is decided, the claim is elsewhere
    nothing = rows_of(Measured("laptop", "toy", CONFIG))
    assert nothing["part"].verdict is Verdict.NOT_RUN
    assert nothing["part"].command == "python -m repro sweep ablation paper=mine 'sweep.names=[no_part]'"


def test_rows_survive_json() -> None:
    for row in rows_of(paper_run(10.0, float("nan"), float("inf"))).values():
        text = json.dumps(row.to_json(), allow_nan=False)
        again = Row.from_json(json.loads(text))
        assert again.to_json() == row.to_json()


def row(id: str, verdict: Verdict, **changes: object) -> Row:
    made = replace(rows_of(Measured())["score"], id=id, verdict=verdict)
    return replace(made, **changes)  # type: ignore[arg-type]


MATCH, WORSE, BETTER, OPEN = Verdict.MATCH, Verdict.MISMATCH_WORSE, Verdict.MISMATCH_BETTER, Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("verdicts", "sentence", "code"),
    [
        ([], "The reference table holds no printed result to test.", 4),
        ([Verdict.NOT_RUN], "The only printed result was not tested.", 4),
        (
            [MATCH, OPEN, WORSE, BETTER],
            "4 of 4 printed results tested: 1 match, 1 is worse, 1 is better, 1 is undecided.",
            3,
        ),
        ([MATCH, MATCH, OPEN, OPEN], "4 of 4 printed results tested: 2 match, 2 are undecided.", 0),
        ([MATCH, BETTER, BETTER], "3 of 3 printed results tested: 1 match, 2 are better.", 3),
        ([OPEN, Verdict.NOT_TESTABLE], "1 of 2 printed results tested: 1 is undecided.", 4),
        ([Verdict.PAPER_INCONSISTENT], "The only printed result was not tested.", 4),
    ],
)
def test_sentence_and_exit_code(verdicts: list[Verdict], sentence: str, code: int) -> None:
    rows = [row(f"r{i}", verdict) for i, verdict in enumerate(verdicts)]
    assert first_sentence(rows).replace("matches", "match") == sentence
    assert exit_code(rows) == code


def test_one_row_matches() -> None:
    assert first_sentence([row("r", MATCH)]) == "1 of 1 printed result tested: 1 matches."


def test_required_rows_and_kinds_that_do_or_do_not_count() -> None:
    rows = [row("a", MATCH), row("b", OPEN)]
    assert exit_code(rows, ["a"]) is ExitCode.OK
    assert exit_code(rows, ["a", "b"]) is ExitCode.UNDECIDED
    with pytest.raises(ConfigError, match="'c'"):
        exit_code(rows, ["c"])
    assert exit_code([row("f", MATCH, kind="fact")]) is ExitCode.OK
    assert exit_code([row("f", WORSE, kind="fact"), *rows]) is ExitCode.MISMATCH
    assert exit_code([row("c", WORSE, setting="analogue")]) is ExitCode.UNDECIDED
    assert exit_code([row("c", WORSE, own=False), *rows]) is ExitCode.OK


def test_transformer_on_a_laptop() -> None:
    table = load_table(Path(__file__).parents[2] / "reference_numbers" / "transformer.yaml")
    facts = {"parameters_base": 63_045_632.0, "parameters_big": 400e6, "learning_rate_peak_base": 6.98771e-4}
    rows = judge(table, Measured("laptop", "numbers", {}, runs(0.99, 1.0, 0.99), facts=facts), audit(table))
    assert first_sentence(rows) == "None of 46 printed results tested."
    by_id = {row.id: row for row in rows}
    assert by_id["bleu_en_de_base"].command == "python -m repro run paper=transformer scale=paper data=wmt14"
    assert by_id["parameters_base"].verdict is Verdict.PAPER_INCONSISTENT
    assert by_id["parameters_base"].ours == pytest.approx(63.045632)
    # a model that is not what the text describes is blamed although the paper contradicts itself
    assert by_id["parameters_big"].verdict is Verdict.MISMATCH_WORSE
    assert by_id["training_flops_base"].verdict is Verdict.MATCH
    assert by_id["learning_rate_peak_base"].verdict is Verdict.MATCH
