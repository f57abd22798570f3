"""Every row of the paper's Tables 2 and 3 as a configuration: what its command composes to, and the model it builds."""

from __future__ import annotations

import math
import shlex
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch

from repro.configuration.compose import compose
from repro.contract.paper import Paper
from repro.papers.transformer.evaluation import signatures, statistic
from repro.phases.facts import parameters
from repro.reference.audit import audit
from repro.reference.load import load_table
from repro.reference.schema import Record
from repro.verdict.rows import Measured, command, lookup, same_setting, unmet_requirement

TABLE = load_table(Path(__file__).parents[2] / "reference_numbers" / "transformer.yaml")
AUDIT = audit(TABLE)
RUNS = [record for record in TABLE.records if record.own and record.kind == "value" and not record.requires.not_built]

#: Table 3, as printed: what differs from the base model.
BASE = {"layers": 6, "width": 512, "d_ff": 2048, "heads": 8, "d_k": 64, "d_v": 64, "dropout": 0.1, "smoothing": 0.1}
PRINTED: dict[str, dict[str, Any]] = {
    "base": {},
    "a1": {"heads": 1, "d_k": 512, "d_v": 512},
    "a2": {"heads": 4, "d_k": 128, "d_v": 128},
    "a3": {"heads": 16, "d_k": 32, "d_v": 32},
    "a4": {"heads": 32, "d_k": 16, "d_v": 16},
    "b1": {"d_k": 16},
    "b2": {"d_k": 32},
    "c1": {"layers": 2},
    "c2": {"layers": 4},
    "c3": {"layers": 8},
    "c4": {"width": 256, "d_k": 32, "d_v": 32},
    "c5": {"width": 1024, "d_k": 128, "d_v": 128},
    "c6": {"d_ff": 1024},
    "c7": {"d_ff": 4096},
    "d1": {"dropout": 0.0},
    "d2": {"dropout": 0.2},
    "d3": {"smoothing": 0.0},
    "d4": {"smoothing": 0.2},
    "e": {"positions": "learned"},
    "big": {"width": 1024, "d_ff": 4096, "heads": 16, "dropout": 0.3, "updates": 300_000},
}


@lru_cache(maxsize=64)
def paper_of(arguments: tuple[str, ...]) -> Paper:
    return Paper.from_config(compose(list(arguments)).config)


def run_of(record: Record) -> Paper:
    """The paper that the record's own printed command composes."""
    words = shlex.split(command(TABLE, record))
    assert words[:4] == ["python", "-m", "repro", "run"]
    return paper_of(tuple(words[4:]))


def heads_of(settings: dict[str, Any]) -> tuple[int, int]:
    model = settings["model"]
    each = model["width"] // model["heads"]
    return model["d_k"] or each, model["d_v"] or each


@pytest.mark.parametrize("record", RUNS, ids=lambda record: record.id)
def test_the_command_of_a_record_is_its_run(record: Record) -> None:
    settings = run_of(record).settings
    assert unmet_requirement(record, Measured(scale="paper", data="wmt14", config=settings)) == ""
    required = {o.partition("=")[0] for o in (*record.requires.overrides, *record.requires.settings)}
    assert required >= {"model.heads", "model.d_k", "loss.smoothing", "reproduction.updates", "evaluation.beam"}
    assert record.metric in {"perplexity", "bleu_tokenised"}
    evaluation = {key: value for key, value in settings["evaluation"].items() if key != "_target_"}
    if record.metric == "bleu_tokenised":
        said = signatures(**evaluation)
        assert said["decoding"] == "beam 4, length penalty 0.6"
        assert said["bleu_tokenised"].endswith(f"moses:{settings['data']['direction'][-2:]}|compounds:split")
    assert statistic(**{**evaluation, "split": record.split}) == record.statistic
    assert settings["reproduction"]["keep_checkpoints"] >= settings["evaluation"]["average"]


@pytest.mark.parametrize("row", PRINTED)
def test_table_3_row_composes_to_what_is_printed(row: str) -> None:
    for kind in ("perplexity", "bleu_dev"):
        record = next(r for r in TABLE.records if r.id == f"{kind}_{row}")
        settings = run_of(record).settings
        model, wanted = settings["model"], {**BASE, "updates": 100_000, "positions": "sinusoidal", **PRINTED[row]}
        d_k, d_v = heads_of(settings)
        got = {name: model[name] for name in ("layers", "width", "d_ff", "heads", "dropout", "positions")}
        got |= {"d_k": d_k, "d_v": d_v, "smoothing": settings["loss"]["smoothing"]}
        got["updates"] = settings["reproduction"]["updates"]
        assert got == wanted
        assert settings["training"]["warmup_steps"] == 4000
        assert settings["data"]["direction"] == "en-de"


@pytest.mark.parametrize("row", PRINTED)
def test_model_of_a_row_has_the_derived_number_of_parameters(row: str) -> None:
    """Built without memory, against the paper's own sections added up by hand, and against the table's derivation."""
    record = next(r for r in TABLE.records if r.id == f"perplexity_{row}")
    paper = run_of(record)
    settings = paper.settings["model"]
    width, layers, heads, d_ff = (settings[name] for name in ("width", "layers", "heads", "d_ff"))
    d_k, d_v = heads_of(paper.settings)
    attention = 2 * width * heads * (d_k + d_v)
    layer_pair = 3 * attention + 2 * (2 * width * d_ff + d_ff + width) + 5 * 2 * width
    learned = 2 * settings["max_length"] * width if row == "e" else 0
    expected = settings["vocabulary"] * width + layers * layer_pair + learned
    assert parameters(paper) == expected
    fact = next((r for r in TABLE.records if r.id == f"parameters_{row}"), None)
    if fact is not None:
        derived = next(result for result in AUDIT if result.record == fact.id).derived  # in millions, as printed
        assert expected == pytest.approx(1e6 * derived, rel=1e-9)
        named = (
            paper_of(("paper=transformer", "scale=paper", "data=wmt14", *fact.fact.overrides)) if fact.fact else None
        )
        assert named is not None and parameters(named) == expected


def test_rows_do_not_stand_for_each_other() -> None:
    """A run of one row satisfies the records of no other row, so that a variant never counts as the base model."""
    rows = {row: run_of(next(r for r in TABLE.records if r.id == f"bleu_dev_{row}")).settings for row in PRINTED}
    for mine, settings in rows.items():
        for theirs in PRINTED:
            record = next(r for r in TABLE.records if r.id == f"bleu_dev_{theirs}")
            unmet = unmet_requirement(record, Measured(scale="paper", data="wmt14", config=settings))
            assert (unmet == "") == (mine == theirs), (mine, theirs, unmet)


def test_fused_and_explicit_are_the_same_row() -> None:
    record = next(r for r in TABLE.records if r.id == "bleu_dev_base")
    assert not any(same.startswith("model.attention=") for same in record.requires.settings)
    settings = run_of(record).settings
    assert lookup(settings, "model.attention") == "fused"
    assert same_setting(lookup(settings, "model.d_k"), "null")
    assert math.isclose(settings["training"]["eps"], 1e-9)
    with torch.device("meta"):
        assert run_of(record).build_model(None) is not None


@pytest.mark.parametrize("choice", ["scale=smoke", "scale=laptop", "data=multi30k"])
def test_every_ablation_builds_a_model_at_every_size(choice: str) -> None:
    composed = compose(["paper=transformer", choice])
    declared = Paper.from_config(composed.config).ablations
    assert len(declared) == 16
    for ablation in declared.values():
        if any(key.startswith("model.") for key in ablation.changes):
            assert parameters(Paper.from_config(composed.with_changes(ablation.changes).config)) > 0
