"""One step of Adam on one rollout."""

from __future__ import annotations

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, learning_rate=0.01):
        self.model, self.loss, self.backward = model, loss, backward
        self.optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)

    def update(self, batch):
        self.model.train()
        self.optimiser.zero_grad()
        logits, value = self.model(batch["observation"])
        terms = self.loss(logits, value, batch["action"], batch["target"])
        self.backward(terms["total"])
        self.optimiser.step()
        return {name: term.detach() for name, term in terms.items()}

    def state_dict(self):
        return {"optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state):
        self.optimiser.load_state_dict(state["optimiser"])
