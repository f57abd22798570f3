"""Adam on the whole graph."""

from __future__ import annotations

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, learning_rate: float = 0.01) -> None:
        self.model, self.loss, self.backward = model, loss, backward
        self.optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)

    def update(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self.model.train()
        self.optimiser.zero_grad()
        logits = self.model(batch["features"], batch["edges"])
        total = self.loss(logits, batch["labels"], batch["train_mask"])["total"]
        self.backward(total)
        self.optimiser.step()
        return {"total": total.detach()}

    def state_dict(self) -> dict[str, object]:
        return {"optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.optimiser.load_state_dict(state["optimiser"])
