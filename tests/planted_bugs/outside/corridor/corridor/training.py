"""Adam, gradients clipped at norm 0.5, a rate that falls in a straight line; advantages normalised in the batch."""

from __future__ import annotations

import torch
from torch import Tensor


def normalise(advantages):
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, *, learning_rate=5e-3, total=200, clip=0.5, eps=1e-5):
        self.model, self.loss, self.backward = model, loss, backward
        self.clip = clip
        self.optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, eps=eps)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda n: max(0.0, 1 - n / total))

    def update(self, batch):
        self.model.train()
        logits, value = self.model(batch["observation"])
        terms = self.loss(logits, value, batch["action"], normalise(batch["advantage"]), batch["returns"])
        self.optimizer.zero_grad()
        self.backward(terms["total"])
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        self.scheduler.step()
        return {k: v.detach() for k, v in terms.items()}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict(), "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
