"""Plain stochastic gradient descent, written out, with a rate that falls in a straight line to a ten-thousandth."""

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, learning_rate=5.0, total=600):
        self.model, self.loss, self.backward = model, loss, backward
        self.learning_rate, self.total, self.n = learning_rate, total, 0

    def update(self, batch):
        self.model.train()
        self.model.zero_grad()
        terms = self.loss(*self.model(batch["center"], batch["context"], batch["negative"]))
        self.backward(terms["total"])
        rate = self.learning_rate * max(1e-4, 1 - self.n / self.total)
        with torch.no_grad():
            for p in self.model.parameters():
                p -= rate * p.grad
        self.n += 1
        return {"loss": terms["total"].detach(), "learning_rate": rate}

    def state_dict(self):
        return {"n": self.n}

    def load_state_dict(self, state):
        self.n = state["n"]
