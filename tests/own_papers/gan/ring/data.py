"""Points around (2, -1) with a standard deviation of 0.5 in each direction."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

SIZES = {"train": 512, "validation": 128, "test": 128}


def cloud(n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.tensor([2.0, -1.0]) + 0.5 * torch.randn(n, 2, generator=generator)


class Points:
    def __init__(self, batch_size: int = 64, seed: int = 0) -> None:
        self.batch_size = batch_size
        self.splits = {name: cloud(n, 200 + place) for place, (name, n) in enumerate(SIZES.items())}
        self.order = torch.Generator().manual_seed(seed)
        self.waiting: list[int] = []

    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        points = self.splits[split]
        if split != "train":
            yield {"points": points}
            return
        if not self.waiting:
            self.waiting = torch.randperm(len(points), generator=self.order).tolist()
        while self.waiting:
            chosen, self.waiting = self.waiting[: self.batch_size], self.waiting[self.batch_size :]
            yield {"points": points[chosen]}

    def synthetic(self, n: int, seed: int) -> dict[str, Tensor]:
        return {"points": cloud(n, seed)}

    def state_dict(self) -> dict[str, object]:
        return {"order": self.order.get_state(), "waiting": list(self.waiting)}

    def load_state_dict(self, state: dict) -> None:
        self.order.set_state(state["order"])
        self.waiting = list(state["waiting"])
