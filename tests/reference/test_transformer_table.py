"""The table of "Attention Is All You Need": counts worked by hand, and where the paper contradicts itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.reference import Table, audit, load_table
from repro.reference.audit import AuditResult

PATH = Path(__file__).parents[2] / "reference_numbers" / "transformer.yaml"


@pytest.fixture(scope="module")
def table() -> Table:
    return load_table(PATH)


@pytest.fixture(scope="module")
def audited(table: Table) -> dict[str, AuditResult]:
    return {result.record: result for result in audit(table)}


def test_what_counts(table: Table) -> None:
    # Table 2: 2 models × 2 languages; Table 3: 20 rows × (perplexity, BLEU); Table 4: 2
    assert sum(record.counts for record in table.records) == 4 + 20 * 2 + 2
    # 11 parameter counts, 2 × FLOPs, 2 × peak of the schedule
    assert sum(record.kind == "fact" for record in table.records) == 11 + 2 + 2
    assert all(record.tolerance and record.tolerance.reason for record in table.records if record.counts)
    assert all(record.requires.scale == "paper" for record in table.records if record.counts)


def test_base_parameters_by_hand(audited: dict[str, AuditResult]) -> None:
    attention = 4 * 512 * 512
    feed_forward = 2 * 512 * 2048 + 2048 + 512
    layer_pair = 3 * attention + 2 * feed_forward + 5 * 2 * 512
    assert layer_pair == 7_350_272
    assert audited["parameters_base"].derived == pytest.approx((37000 * 512 + 6 * layer_pair) / 1e6)
    # printed 65 ± 0.5 million
    low, high = ((64.5e6 - 6 * layer_pair) / 512, (65.5e6 - 6 * layer_pair) / 512)
    assert audited["parameters_base"].allowed == pytest.approx((low, high))


def test_no_one_vocabulary_serves_all_rows(audited: dict[str, AuditResult]) -> None:
    counts = [result for id, result in audited.items() if id.startswith("parameters_")]
    assert len(counts) == 11
    assert {result.verdict for result in counts} == {"paper_inconsistent"}
    said = counts[0].assumption
    assert "0 of 11 rows agree with it" in said
    assert "vocabulary = 41,004 … 41,208 makes 10 of 11 rows agree (all but “parameters, big”)" in said
    assert "No single vocabulary reconciles “parameters, big” with the rest." in said
    needs = {result.record: result.needs for result in counts}
    assert needs["parameters_c6"] == "vocabulary = 41,004 … 42,956" and needs["parameters_big"].endswith("… 36,344")
    for result in counts:
        assert result.allowed is not None
        assert (result.allowed[0] <= 41_100 <= result.allowed[1]) == (result.record != "parameters_big")


def test_flops_and_schedule_agree(audited: dict[str, AuditResult]) -> None:
    assert audited["training_flops_base"].derived == pytest.approx(12 * 3600 * 8 * 9.5e12)
    assert audited["training_flops_big"].derived == pytest.approx(3.5 * 86400 * 8 * 9.5e12)
    # 100,000 updates of 0.4 s would print 3.0e18; the rounding of 0.4 leaves room for 3.3e18
    assert "3.040e18 FLOPs, which does not round to the printed 3.3e18" in audited["training_flops_base"].arithmetic
    for id in ("training_flops_base", "training_flops_big", "learning_rate_peak_base", "learning_rate_peak_big"):
        assert audited[id].verdict == "agrees"


def test_en_fr_is_printed_twice(audited: dict[str, AuditResult]) -> None:
    assert audited["bleu_en_fr_big"].verdict == "paper_inconsistent"
    assert "41.0 in section 6.1" in audited["bleu_en_fr_big"].arithmetic
