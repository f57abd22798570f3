"""SGD with momentum and weight decay, cosine without restarts."""

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, *, learning_rate=0.1):
        self.model, self.criterion, self.backward = model, loss, backward
        self.optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9, weight_decay=1e-4)

    def update(self, batch):
        self.model.train()
        z1, z2 = self.model(batch["view1"], batch["view2"])
        total = self.criterion(z1, z2)["total"]
        self.optimizer.zero_grad()
        self.backward(total)
        self.optimizer.step()
        return {"loss": total.detach()}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
