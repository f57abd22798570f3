"""What the evidence of a phase depends on: read from the config and from source text alone."""

from __future__ import annotations

import pytest

from repro.configuration import compose
from repro.contract.paper import Paper
from repro.phases.fingerprints import acts, phase_fingerprint


def paper_of(*words: str) -> Paper:
    return Paper.from_config(compose([*words, "scale=smoke"]).config)


@pytest.mark.parametrize(("paper", "acting"), [("ppo", True), ("mnist1d", False), ("transformer", False)])
def test_whether_data_come_from_acting_is_read_from_the_signature(paper: str, acting: bool) -> None:
    assert acts(paper_of(f"paper={paper}")) is acting


@pytest.mark.parametrize(
    ("paper", "word", "redone"), [("ppo", "model.hidden=8", True), ("resnet", "model.filters=4", False)]
)
def test_the_data_of_a_model_that_acts_are_checked_anew_with_the_model(paper: str, word: str, redone: bool) -> None:
    before, after = paper_of(f"paper={paper}"), paper_of(f"paper={paper}", word)
    assert (phase_fingerprint("data", before) != phase_fingerprint("data", after)) is redone


def test_a_property_that_is_declared_reaches_the_checks_of_the_data() -> None:
    before = paper_of("paper=resnet")
    settings = {**before.settings, "properties": before.settings["properties"][1:]}
    assert phase_fingerprint("data", before) != phase_fingerprint("data", Paper.from_config(settings))
