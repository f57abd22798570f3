"""SGD with momentum and clipping at 5; the rate falls with every pass, lr / (1 + 0.05 passes)."""

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, learning_rate=0.1, decay=0.05, per_pass=18, clip=5.0):
        self.model, self.loss, self.backward = model, loss, backward
        self.learning_rate, self.decay, self.per_pass, self.clip = learning_rate, decay, per_pass, clip
        self.optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
        self.steps = 0

    def update(self, batch):
        self.model.train()
        rate = self.learning_rate / (1 + self.decay * (self.steps // self.per_pass))
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad()
        outputs = self.model(batch["words"], batch["lengths"])
        total = self.loss(*outputs, batch["tags"], batch["lengths"])["total"]
        self.backward(total)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        self.steps += 1
        return {"loss": total.item(), "rate": rate}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict(), "steps": self.steps}

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]
