"""A pass that writes into the examples that its data object keeps is told from one that only draws an order."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from repro.checks.stored import changed_in_place

from .small_papers import REGRESSION, Points, bench_of


class Noisy(Points):
    """Noise is added to the batch, which is a view of what is stored."""

    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        for rows in range(0, 40, 8):
            x = self.x[rows : rows + 8]
            x += 0.1
            yield {"x": x, "y": self.y[rows : rows + 8]}


def test_data_that_change_as_they_are_read_are_named_by_their_attribute() -> None:
    assert changed_in_place(bench_of(REGRESSION)) == ""
    assert changed_in_place(bench_of(REGRESSION, data___target_=f"{__name__}.Noisy")) == "x"
