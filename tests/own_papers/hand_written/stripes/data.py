"""Points of a square in four stripes: 400 to train on, 100 to validate, 100 to test."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

SIZES = {"train": 400, "validation": 100, "test": 100}
STRIPES = 4


def square(n: int, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(n, 2, generator=generator)
    stripe = (points.sum(1) / 2 * STRIPES).long().clamp(0, STRIPES - 1)
    return {"points": 2 * points - 1, "stripe": stripe}


class Stripes:
    def __init__(self, batch_size: int = 40, seed: int = 0) -> None:
        self.batch_size = batch_size
        self.splits = {name: square(n, 400 + place) for place, (name, n) in enumerate(SIZES.items())}
        self.order = torch.Generator().manual_seed(seed)
        self.waiting: list[int] = []

    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        whole = self.splits[split]
        if split != "train":
            yield dict(whole)
            return
        if not self.waiting:
            self.waiting = torch.randperm(len(whole["stripe"]), generator=self.order).tolist()
        while self.waiting:
            chosen, self.waiting = self.waiting[: self.batch_size], self.waiting[self.batch_size :]
            yield {name: value[chosen] for name, value in whole.items()}

    def synthetic(self, n: int, seed: int) -> dict[str, Tensor]:
        return square(n, seed)

    def state_dict(self) -> dict[str, object]:
        return {"order": self.order.get_state(), "waiting": list(self.waiting)}

    def load_state_dict(self, state: dict) -> None:
        self.order.set_state(state["order"])
        self.waiting = list(state["waiting"])
