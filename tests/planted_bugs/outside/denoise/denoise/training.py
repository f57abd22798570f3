"""Algorithm 1: a random step for each example, then Adam; and the moving average of the weights."""

import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, *, learning_rate=2e-3, ema_decay=0.99):
        self.model, self.loss, self.backward = model, loss, backward
        self.ema_decay = ema_decay
        self.opt = torch.optim.Adam(model.net.parameters(), lr=learning_rate)

    def update(self, batch):
        self.model.train()
        x = batch["image"]
        t = torch.randint(0, self.model.T, (x.shape[0],), device=x.device)
        noise = torch.randn_like(x)
        predicted = self.model(x, t, noise)
        loss = self.loss(predicted, noise)["total"]
        self.opt.zero_grad()
        self.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.model.net.parameters(), 1.0)
        self.opt.step()
        self.model.update_ema(self.ema_decay)
        return {"loss": loss.item(), "grad_norm": norm.item()}

    def state_dict(self):
        return {"opt": self.opt.state_dict()}

    def load_state_dict(self, state):
        self.opt.load_state_dict(state["opt"])
