"""Adam; only the first layer decays."""

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, *, learning_rate=0.01, weight_decay=5e-4):
        self.model, self.loss, self.backward = model, loss, backward
        self.optimizer = torch.optim.Adam(
            [
                {"params": model.gc1.parameters(), "weight_decay": weight_decay},
                {"params": model.gc2.parameters(), "weight_decay": 0},
            ],
            lr=learning_rate,
        )

    def update(self, batch):
        self.model.train()
        self.optimizer.zero_grad()
        out = self.model(batch["x"], batch["adjacency"])
        total = self.loss(out, batch["y"], batch["train_mask"])["total"]
        self.backward(total)
        self.optimizer.step()
        return {"loss": total.item()}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
