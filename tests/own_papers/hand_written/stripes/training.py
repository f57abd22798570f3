"""Momentum written by hand: no torch.optim, no `.grad`."""

from __future__ import annotations

import torch
from torch import Tensor


class Training:
    def __init__(
        self, model, loss, backward=Tensor.backward, learning_rate: float = 0.3, momentum: float = 0.9
    ) -> None:
        self.model, self.loss, self.backward = model, loss, backward
        self.learning_rate, self.momentum = learning_rate, momentum
        self.velocity = {name: torch.zeros_like(p) for name, p in model.named_parameters()}

    def update(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self.model.train()
        for parameter in self.model.parameters():
            parameter.grad = None
        total = self.loss(self.model(batch["points"]), batch["stripe"])["total"]
        self.backward(total)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                self.velocity[name].mul_(self.momentum).add_(parameter.grad)
                parameter -= self.learning_rate * self.velocity[name]
        return {"total": total.detach(), "learning_rate": self.learning_rate}

    def state_dict(self) -> dict[str, object]:
        return {"velocity": self.velocity}

    def load_state_dict(self, state: dict) -> None:
        for name, value in state["velocity"].items():
            self.velocity[name].copy_(value)
