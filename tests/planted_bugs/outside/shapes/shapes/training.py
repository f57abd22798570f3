"""SGD with momentum and weight decay; the rate falls to a tenth after 30 and after 45 epochs of 10 updates."""

from __future__ import annotations

import torch
from torch import Tensor


class Training:
    def __init__(
        self,
        model,
        loss,
        backward=Tensor.backward,
        *,
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=5e-4,
        milestones=(300, 450),
    ):
        self.model, self.loss, self.backward = model, loss, backward
        self.optimizer = torch.optim.SGD(
            model.parameters(), lr=learning_rate, momentum=momentum, weight_decay=weight_decay
        )
        self.scheduler = torch.optim.lr_scheduler.MultiStepLR(self.optimizer, list(milestones), gamma=0.1)

    def update(self, batch):
        self.model.train()
        out = self.model(batch["image"])
        terms = self.loss(out, batch["label"])
        self.optimizer.zero_grad()
        self.backward(terms["total"])
        self.optimizer.step()
        self.scheduler.step()
        return {"loss": terms["total"].detach(), "accuracy": (out.argmax(1) == batch["label"]).float().mean()}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict(), "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
