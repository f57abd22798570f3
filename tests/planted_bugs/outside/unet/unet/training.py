"""SGD with Nesterov momentum and a polynomial schedule."""

import torch
from torch import Tensor
from torch.optim.lr_scheduler import PolynomialLR


class Trainer:
    def __init__(
        self,
        model,
        loss,
        backward=Tensor.backward,
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=1e-4,
        total_iters=200,
    ):
        self.model = model
        self.criterion = loss
        self.backward = backward
        self.optimizer = torch.optim.SGD(
            model.parameters(), lr=learning_rate, momentum=momentum, weight_decay=weight_decay, nesterov=True
        )
        self.scheduler = PolynomialLR(self.optimizer, total_iters=total_iters, power=0.9)

    def update(self, batch):
        self.model.train()
        self.optimizer.zero_grad()
        losses = self.criterion(self.model(batch["image"]), batch["mask"])
        self.backward(losses["total"])
        self.optimizer.step()
        self.scheduler.step()
        return {k: v.detach() for k, v in losses.items()}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict(), "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, s):
        self.optimizer.load_state_dict(s["optimizer"])
        self.scheduler.load_state_dict(s["scheduler"])
