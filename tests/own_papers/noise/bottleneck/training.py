"""Adam on the negative bound, one sample of noise an example."""

from __future__ import annotations

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, learning_rate: float = 3e-3) -> None:
        self.model, self.loss, self.backward = model, loss, backward
        self.optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)

    def update(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self.model.train()
        self.optimiser.zero_grad()
        terms = self.loss(*self.model(batch["x"]), batch["x"])
        self.backward(terms["total"])
        self.optimiser.step()
        return {name: term.detach() for name, term in terms.items()}

    def state_dict(self) -> dict[str, object]:
        return {"optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.optimiser.load_state_dict(state["optimiser"])
