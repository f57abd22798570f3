"""Eight correlated numbers made from two hidden ones: 400 examples to train on, 100 to validate, 100 to test."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

SIZES = {"train": 400, "validation": 100, "test": 100}
MIXING = torch.randn(2, 8, generator=torch.Generator().manual_seed(5))


def numbers(n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 2, generator=generator) @ MIXING + 0.1 * torch.randn(n, 8, generator=generator)


class Numbers:
    def __init__(self, batch_size: int = 50, seed: int = 0) -> None:
        self.batch_size = batch_size
        self.splits = {name: numbers(n, 500 + place) for place, (name, n) in enumerate(SIZES.items())}
        self.order = torch.Generator().manual_seed(seed)
        self.waiting: list[int] = []

    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        x = self.splits[split]
        if split != "train":
            yield {"x": x}
            return
        if not self.waiting:
            self.waiting = torch.randperm(len(x), generator=self.order).tolist()
        while self.waiting:
            chosen, self.waiting = self.waiting[: self.batch_size], self.waiting[self.batch_size :]
            yield {"x": x[chosen]}

    def synthetic(self, n: int, seed: int) -> dict[str, Tensor]:
        return {"x": numbers(n, seed)}

    def state_dict(self) -> dict[str, object]:
        return {"order": self.order.get_state(), "waiting": list(self.waiting)}

    def load_state_dict(self, state: dict) -> None:
        self.order.set_state(state["order"])
        self.waiting = list(state["waiting"])
