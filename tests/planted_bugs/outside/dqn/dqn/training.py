"""Adam on the online network; the target network is a copy, made anew every `sync_every` updates."""

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, *, learning_rate=1e-3, sync_every=20):
        self.online, self.target = model["online"], model["target"]
        self.loss, self.backward, self.sync_every = loss, backward, sync_every
        self.target.load_state_dict(self.online.state_dict())
        self.target.requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.online.parameters(), lr=learning_rate)
        self.updates = 0

    def update(self, batch):
        self.online.train()
        q = self.online(batch["observation"])
        with torch.no_grad():
            next_q = self.target(batch["next_observation"])
        total = self.loss(q, batch["action"], batch["reward"], batch["done"], next_q)["total"]
        self.optimizer.zero_grad()
        self.backward(total)
        self.optimizer.step()
        self.updates += 1
        if self.updates % self.sync_every == 0:
            self.target.load_state_dict(self.online.state_dict())
        return {"loss": total.detach()}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict(), "updates": self.updates}

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
        self.updates = state["updates"]
