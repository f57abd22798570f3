"""Which of the values that update returns must stay finite, and the first update at which one did not."""

from __future__ import annotations

import math

import pytest
import torch

from repro.training.divergence import FiniteWatch, diverged, watched


@pytest.mark.parametrize(
    ("returned", "must"),
    [
        (["total", "nll", "learning_rate"], ["total"]),
        (["actor.total", "critic/total", "g_total", "loss"], ["actor.total", "critic/total", "g_total"]),
        (["loss", "value_loss", "accuracy"], ["loss", "value_loss"]),  # nothing is called total
        (["accuracy"], []),
    ],
)
def test_totals_are_watched_and_losses_where_there_are_none(returned: list[str], must: list[str]) -> None:
    assert watched(dict.fromkeys(returned, 0.0)) == must


def test_the_first_update_that_was_not_finite_is_found_with_its_values() -> None:
    watch = FiniteWatch()
    for update, loss in enumerate((1.0, 2.0, math.inf, math.nan), 1):
        watch.note(update, {"loss": torch.tensor(loss, requires_grad=True), "extra": 0.5})
    found = watch.first()
    assert found is not None and found[0] == 3 and not found[1]["loss"].requires_grad
    assert watch.first() is None, "each stretch is looked at once"
    watch.note(5, {"loss": 3.0, "extra": math.nan})
    assert watch.first() is None, "what is not minimised may be what it is"


def test_the_message_names_the_total_and_the_terms_that_spoiled_it() -> None:
    said = diverged("seed-0", 7, 30, {"total": math.nan, "nll": math.inf, "kl": 0.1}).message
    assert said == "seed-0: total became nan at update 7 of 30; not finite too: nll."
