"""What rows that were not run would take: operations by hand, the pace of logged updates, and the words for both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from repro.configuration.compose import compose
from repro.contract.paper import Paper
from repro.errors import ConfigError
from repro.findings import Evidence, Gate
from repro.phases import compute
from repro.phases.fingerprints import phase_fingerprint
from repro.reference.load import load_table
from repro.tracking.run_folder import RunFolder
from repro.tracking.store import ProcessStore
from repro.verdict.rows import command

TABLES = Path(__file__).parents[2] / "reference_numbers"


def context_of(*overrides: str, folder: Any = None) -> Any:
    """As much of a phase's context as an estimate reads."""
    from repro.contract.bench import Bench

    composed = compose(list(overrides))
    paper = Paper.from_config(composed.config)
    return SimpleNamespace(
        composed=composed,
        paper=paper,
        settings=paper.settings,
        table=load_table(TABLES / f"{paper.name}.yaml"),
        progress=lambda *a, **k: None,
        bench=lambda: Bench(paper),
        folder=folder,
    )


@pytest.fixture(scope="module")
def transformer() -> Any:
    return context_of("paper=transformer")


def record(context: Any, name: str) -> Any:
    return next(one for one in context.table.records if one.id == name)


def by_hand(tokens: int, n: int, d: int, d_ff: int, layers: int, vocabulary: int) -> float:
    """Products of one update of a Transformer on as many source as target tokens, in rows of n pieces, padded."""
    projections = 4 * d * d  # of one attention, a token
    scores = 2 * n * d  # Q K^T and the weighted sum of V
    encoder = projections + scores + 2 * d * d_ff
    decoder = 2 * (projections + scores) + 2 * d * d_ff
    forward = 2 * tokens * (layers * (encoder + decoder) + d * vocabulary)  # a product and a sum each
    return 3.0 * forward


@pytest.mark.parametrize(
    ("name", "d", "d_ff"), [("bleu_en_de_base", 512, 2048), ("bleu_en_de_big", 1024, 4096)], ids=["base", "big"]
)
def test_operations_of_the_paper_s_models_are_those_counted_by_hand(
    transformer: Any, name: str, d: int, d_ff: int
) -> None:
    paper = compute.paper_of_record(transformer, record(transformer, name))
    tokens = round(25_000 / 32) * 32
    expected = by_hand(tokens, 32, d, d_ff, 6, 37_000)
    assert compute.update_operations(paper, transformer) == pytest.approx(expected, rel=1e-12)


def test_the_sizes_of_this_run_s_batch_serve_where_none_are_declared() -> None:
    context = context_of("paper=mnist1d", "architecture=mlp")
    batch = 100
    expected = 3 * 2 * batch * (40 * 100 + 100 * 100 + 100 * 10)
    assert compute.update_operations(context.paper, context) == expected


def test_other_data_without_declared_sizes_gives_no_estimate() -> None:
    context = context_of("paper=mnist1d", "architecture=mlp")
    other = Paper.from_config(context.composed.with_changes({"data.batch_size": 50}).config)
    with pytest.raises(ConfigError, match=r"are not declared"):
        compute.update_operations(other, context)


def test_the_pace_is_the_median_between_logged_updates(tmp_path: Path) -> None:
    store = ProcessStore(tmp_path)
    store.begin({"process": "seed-0", "kind": "reproduction", "seed": 0})
    for update, time in ((10, 1.0), (20, 2.0), (30, 3.0), (40, 64.0), (50, 65.0)):  # an evaluation before update 40
        store.append(update, "train", {"loss": 1.0}, time)
        store.append(update, "validation", {"loss": 1.0}, time + 0.5)
    assert compute.seconds_per_update(store) == pytest.approx(0.1)


def test_one_logged_update_shows_no_pace(tmp_path: Path) -> None:
    store = ProcessStore(tmp_path)
    store.begin({"process": "seed-0", "kind": "reproduction", "seed": 0})
    store.append(10, "train", {"loss": 1.0}, 1.0)
    assert compute.seconds_per_update(store) is None


def test_a_row_s_estimate_follows_from_its_operations_and_both_paces(transformer: Any) -> None:
    small, big = (record(transformer, f"bleu_en_de_{size}") for size in ("base", "big"))
    texts = {command(transformer.table, one): one for one in (small, big)}
    found = dict(compute.estimates(transformer, texts, pace=1e11))
    of_small, of_big = (found[text] for text in texts)
    assert of_small["seconds"] == pytest.approx(100_000 * of_small["operations"] / 1e11)
    assert of_big["updates"] == 300_000
    # the paper's own 0.4 s an update: 100,000 of them are 11 hours, on 8 P100
    assert of_small["printed"] == "11 hours on 8 P100"
    ratio = 3 * of_big["operations"] / of_small["operations"]
    assert of_big["printed"] == f"{compute.spell(ratio * 40_000)} on 8 P100"
    words = compute.in_words({"on": "these 2 cores", "commands": found}, next(iter(texts)))
    assert words == (
        f"about {compute.spell(of_small['seconds'])} a seed on these 2 cores, from a measured update; "
        "11 hours on 8 P100, from the paper's 0.4 s an update, section 5.2"
    )
    assert compute.in_words({"on": "", "commands": found}, "another command") == ""


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        ({"record": "bleu_en_de_base"}, "seconds_per_update, devices, where missing"),
        ({"record": "none", "seconds_per_update": 1, "devices": "x", "where": "y"}, "no reference number .*'none'"),
    ],
    ids=["keys missing", "unknown record"],
)
def test_a_wrong_declaration_of_the_paper_s_pace_is_named(
    transformer: Any, printed: dict[str, Any], message: str
) -> None:
    settings = {**transformer.settings, "paper": {**transformer.settings["paper"], "compute": {"printed": printed}}}
    with pytest.raises(ConfigError, match=message):
        compute.printed_pace(SimpleNamespace(**{**vars(transformer), "settings": settings}))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.54, "0.54 seconds"),
        (1, "1 second"),
        (99, "99 seconds"),
        (400, "6.7 minutes"),
        (3600, "60 minutes"),
        (7300, "2 hours"),
        (3600 * 1234, "1,200 hours"),
        (3600 * 99.6, "100 hours"),
    ],
)
def test_estimates_are_spelled_with_two_digits(seconds: float, text: str) -> None:
    assert compute.spell(seconds) == text


def test_a_residual_network_takes_the_operations_of_its_convolutions() -> None:
    context = context_of("paper=resnet")
    paper = compute.paper_of_record(context, record(context, "error_20"))
    assert paper.settings["model"]["layers"] == 20
    # section 4.2: three stages of 2n convolutions of 3 × 3 with 16, 32, 64 filters on 32², 16², 8² places
    places, filters = (32 * 32, 16 * 16, 8 * 8), (16, 32, 64)
    products = 9 * 3 * filters[0] * places[0] + filters[2] * 10
    before = filters[0]
    for at, f in zip(places, filters, strict=True):
        products += 9 * at * f * (before + 5 * f)
        before = f
    assert compute.update_operations(paper, context) == pytest.approx(3 * 2 * 128 * products, rel=1e-3)


def test_what_an_earlier_pass_estimated_is_not_counted_again(
    transformer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same code, configuration, table and pace; of any other, operations are counted anew."""
    run = RunFolder.create(tmp_path, "transformer", "abc", {"title": "T"}, "model: {}\n")
    context = SimpleNamespace(**{**vars(transformer), "folder": run})
    counted: list[int] = []

    def estimates(*_: Any) -> Any:
        counted.append(1)
        return iter([("python -m repro run", {"seconds": 1.0})])

    monkeypatch.setattr(compute, "pace", lambda _: (1e9, 1, "cpu"))
    monkeypatch.setattr(compute, "estimates", estimates)
    first = compute.measure(context)
    fingerprint = phase_fingerprint("reproduction", context.paper, context.table.hash)
    kept = Evidence("reproduction", Gate.PASSED, "", data={"compute": first}, fingerprint=fingerprint)
    run.write_evidence(kept)
    assert compute.measure(context) == first and len(counted) == 1
    monkeypatch.setattr(compute, "pace", lambda _: (2e9, 1, "cpu"))
    assert compute.measure(context)["pace"] == 2 * first["pace"] and len(counted) == 2
    run.write_evidence(replace(kept, fingerprint="of other code"))
    monkeypatch.setattr(compute, "pace", lambda _: (1e9, 1, "cpu"))
    compute.measure(context)
    assert len(counted) == 3
