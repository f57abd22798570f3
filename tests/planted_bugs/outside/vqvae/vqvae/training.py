"""Adam."""

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, learning_rate: float = 3e-3):
        self.model, self.loss, self.backward = model, loss, backward
        self.adam = torch.optim.Adam(model.parameters(), lr=learning_rate)

    def update(self, batch):
        self.model.train()
        out = self.model(batch["image"])
        terms = self.loss(*out, batch["image"])
        self.adam.zero_grad()
        self.backward(terms["total"])
        self.adam.step()
        return {name: value.item() for name, value in terms.items()}

    def state_dict(self):
        return self.adam.state_dict()

    def load_state_dict(self, state):
        self.adam.load_state_dict(state)
