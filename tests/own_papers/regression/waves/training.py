"""Gradient descent with momentum."""

from __future__ import annotations

import torch
from torch import Tensor


class Training:
    def __init__(
        self, model, loss, backward=Tensor.backward, learning_rate: float = 0.1, momentum: float = 0.9
    ) -> None:
        self.model, self.loss, self.backward = model, loss, backward
        self.optimiser = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=momentum)

    def update(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self.model.train()
        self.optimiser.zero_grad()
        total = self.loss(self.model(batch["x"]), batch["y"])["total"]
        self.backward(total)
        self.optimiser.step()
        return {"total": total.detach()}

    def state_dict(self) -> dict[str, object]:
        return {"optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.optimiser.load_state_dict(state["optimiser"])
