"""Noisy points of y = sin(3 x): 256 to train on, 64 to validate, 64 to test; each point once."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

SIZES = {"train": 256, "validation": 64, "test": 64}


def points(n: int, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(n, 1, generator=generator) - 1
    return {"x": x, "y": torch.sin(3 * x) + 0.1 * torch.randn(n, 1, generator=generator)}


class Waves:
    def __init__(self, batch_size: int = 32, seed: int = 0) -> None:
        self.batch_size = batch_size
        self.splits = {name: points(n, 100 + place) for place, (name, n) in enumerate(SIZES.items())}
        self.order = torch.Generator().manual_seed(seed)
        self.waiting: list[int] = []

    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        whole = self.splits[split]
        if split != "train":
            yield dict(whole)
            return
        if not self.waiting:
            self.waiting = torch.randperm(len(whole["x"]), generator=self.order).tolist()
        while self.waiting:
            chosen, self.waiting = self.waiting[: self.batch_size], self.waiting[self.batch_size :]
            yield {name: value[chosen] for name, value in whole.items()}

    def synthetic(self, n: int, seed: int) -> dict[str, Tensor]:
        return points(n, seed)

    def state_dict(self) -> dict[str, object]:
        return {"order": self.order.get_state(), "waiting": list(self.waiting)}

    def load_state_dict(self, state: dict) -> None:
        self.order.set_state(state["order"])
        self.waiting = list(state["waiting"])
