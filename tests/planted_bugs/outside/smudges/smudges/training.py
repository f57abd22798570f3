"""Adam on the bound."""

from __future__ import annotations

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, *, learning_rate=2e-3):
        self.model, self.loss, self.backward = model, loss, backward
        self.optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)

    def update(self, batch):
        self.model.train()
        x = batch["x"]
        self.optimizer.zero_grad()
        logits, mean, log_variance = self.model(x)
        terms = self.loss(logits, mean, log_variance, x)
        self.backward(terms["total"])
        self.optimizer.step()
        return {k: v.detach() for k, v in terms.items()}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
