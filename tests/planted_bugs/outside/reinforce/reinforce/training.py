import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, *, learning_rate=0.01):
        self.model, self.loss, self.backward = model, loss, backward
        self.optimizer = torch.optim.Adam(
            [{"params": model.policy.parameters()}, {"params": model.baseline.parameters(), "lr": learning_rate}],
            lr=learning_rate,
        )

    def update(self, batch):
        def closure():
            self.optimizer.zero_grad()
            terms = self.loss(*self.model(batch["observation"]), batch["action"], batch["returns"])
            self.backward(terms["total"])
            self.terms = terms
            return terms["total"]

        self.model.train()
        self.optimizer.step(closure)
        return {k: v.item() for k, v in self.terms.items()}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
