"""Adam, gradients clipped at norm 5."""

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, *, learning_rate=5e-3):
        self.model, self.loss, self.backward = model, loss, backward
        self.optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)

    def update(self, batch):
        self.model.train()
        self.optimizer.zero_grad()
        logits = self.model(batch["source"], batch["target_input"])
        total = self.loss(logits, batch["target"])["total"]
        self.backward(total)
        norm = clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        return {"loss": total.detach(), "norm": norm}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
