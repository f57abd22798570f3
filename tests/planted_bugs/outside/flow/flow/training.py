import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, *, learning_rate=2e-3, total=500):
        self.model, self.loss, self.backward = model, loss, backward
        self.opt = torch.optim.Adam(model.parameters(), lr=learning_rate)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, T_max=total)

    def update(self, batch):
        self.model.train()
        self.opt.zero_grad()
        terms = self.loss(*self.model(batch["x"]))
        self.backward(terms["total"])
        self.opt.step()
        self.sched.step()
        return {"nll": terms["total"].detach()}

    def state_dict(self):
        return {"opt": self.opt.state_dict(), "sched": self.sched.state_dict()}

    def load_state_dict(self, state):
        self.opt.load_state_dict(state["opt"])
        self.sched.load_state_dict(state["sched"])
