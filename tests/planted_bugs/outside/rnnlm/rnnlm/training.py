"""Truncated back-propagation: the state goes on into the next stretch, its gradient does not."""

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, *, learning_rate=1.0, clip=0.25):
        self.model, self.loss, self.backward, self.clip = model, loss, backward, clip
        self.optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
        self.hidden = None

    def update(self, batch):
        self.model.train()
        if self.hidden is not None and self.hidden[0].size(1) != batch["tokens"].size(0):
            self.hidden = None
        logits, h, c = self.model(batch["tokens"], self.hidden)
        self.hidden = (h.detach(), c.detach())
        total = self.loss(logits, batch["targets"])["total"]
        self.optimizer.zero_grad()
        self.backward(total)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        return {"loss": total.detach()}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict(), "hidden": self.hidden}

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
        self.hidden = state["hidden"]
