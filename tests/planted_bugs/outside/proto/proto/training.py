"""Adam, the rate halved every 200 updates."""

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, *, learning_rate=5e-3, halve_every=200):
        self.model, self.loss, self.backward = model, loss, backward
        self.optim = torch.optim.Adam(model.parameters(), lr=learning_rate)
        self.sched = torch.optim.lr_scheduler.StepLR(self.optim, step_size=halve_every, gamma=0.5)

    def update(self, batch):
        self.model.train()
        self.optim.zero_grad()
        log_probs = self.model(batch["support"], batch["query"])
        total = self.loss(log_probs, batch["label"])["total"]
        self.backward(total)
        self.optim.step()
        self.sched.step()
        accuracy = (log_probs.argmax(-1) == batch["label"]).float().mean()
        return {"loss": total.detach(), "accuracy": accuracy.detach()}

    def state_dict(self):
        return {"optim": self.optim.state_dict(), "sched": self.sched.state_dict()}

    def load_state_dict(self, state):
        self.optim.load_state_dict(state["optim"])
        self.sched.load_state_dict(state["sched"])
