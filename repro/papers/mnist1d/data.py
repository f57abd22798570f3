"""MNIST-1D as batches: 4,000 signals to train on, 1,000 to test, and 1,000 more for what the paper has no split for.

A batch is a dict of two tensors:

    signal [batch, length]  float32, 40 points, standardised
    digit  [batch]          int64, 0 to 9
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.papers.mnist1d.signals import Generation, Split, further, published

ORDERS = ("fixed", "shuffled")


class MNIST1D:
    """Batches of the published data set, generated and never downloaded.

    Args:
        positions: "fixed" as generated, or "shuffled": one permutation of the 40 points, the same for every signal
            (Table 1, "shuffled").
        order: of the training examples in a pass, "fixed" (the authors' code cuts the same batches each time) or
            "shuffled" anew each pass.
        batch_size: examples of a training batch.
        evaluation_batch: examples of a validation or test batch.
        permutation_seed: of the permutation of positions (the authors' notebook: 42).
        validation, validation_seed: how many further signals, and of which seed.
        generation: what differs from `Generation`'s defaults.
        seed: decides the order of the training examples where that is shuffled, nothing else: every seed of training
            sees the same data set, as in the paper.

    Raises:
        ValueError: an unknown order.
    """

    def __init__(
        self,
        positions: str = "fixed",
        order: str = "fixed",
        batch_size: int = 100,
        evaluation_batch: int = 1000,
        permutation_seed: int = 42,
        validation: int = 1000,
        validation_seed: int = 43,
        generation: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        for name, value in (("positions", positions), ("order", order)):
            if value not in ORDERS:
                raise ValueError(f"data.{name} is {value!r}, needed {' or '.join(ORDERS)}")
        given: dict[str, Any] = dict(generation or {})
        if "padding" in given:
            given["padding"] = tuple(given["padding"])
        how = Generation(**given)
        train, test, self.mean, self.std = published(how)
        self.how = how
        self.permutation = np.arange(how.length)
        if positions == "shuffled":
            self.permutation = np.random.RandomState(permutation_seed).permutation(how.length)
        splits = {"train": train, "validation": further(how, validation, validation_seed), "test": test}
        self.splits = {name: self.tensors(split) for name, split in splits.items()}
        self.order = order
        self.batch_size = batch_size
        self.evaluation_batch = evaluation_batch
        self.seed(seed)

    def tensors(self, split: Split) -> tuple[Tensor, Tensor]:
        """float32 [n, length] with positions permuted, int64 [n]."""
        return torch.from_numpy(split.signals[:, self.permutation]).float(), torch.from_numpy(split.labels)

    def seed(self, seed: int) -> None:
        """Start the training stream afresh."""
        self.generator = torch.Generator().manual_seed(seed)
        self.epoch = self.generator.get_state()  # state of the generator at the start of the current pass
        self.position = 0  # batches of the current pass already handed out

    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        """Train: from the current position to the end of the pass. Validation and test: everything, in one order."""
        signals, digits = self.splits[split]
        if split != "train":
            for start in range(0, len(digits), self.evaluation_batch):
                end = start + self.evaluation_batch
                yield {"signal": signals[start:end], "digit": digits[start:end]}
            return
        if self.order == "shuffled":
            self.generator.set_state(self.epoch)
            rows = torch.randperm(len(digits), generator=self.generator)
            signals, digits = signals[rows], digits[rows]
        while (start := self.position * self.batch_size) < len(digits):
            self.position += 1
            end = start + self.batch_size
            yield {"signal": signals[start:end], "digit": digits[start:end]}
        self.epoch = self.generator.get_state()
        self.position = 0

    def synthetic(self, n: int, seed: int) -> dict[str, Tensor]:
        """A batch of n signals made for the occasion, digits in random order."""
        signals, digits = self.tensors(further(self.how, n, seed))
        return {"signal": signals, "digit": digits}

    def state_dict(self) -> dict[str, Any]:
        """Where the training stream stands: it continues with the batch after the last one handed out."""
        return {"epoch": self.epoch.clone(), "position": self.position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self.epoch = state["epoch"].clone()
        self.position = state["position"]
