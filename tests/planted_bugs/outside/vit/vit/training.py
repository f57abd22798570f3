"""AdamW with warm-up and cosine; each batch in two halves whose gradients are added."""

import math

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR


class Training:
    def __init__(
        self, model, loss, backward=Tensor.backward, *, learning_rate=3e-3, weight_decay=0.05, warmup=20, total=400
    ):
        self.model, self.loss, self.backward = model, loss, backward
        decay, no_decay = [], []
        for p in model.parameters():
            (no_decay if p.ndim <= 1 else decay).append(p)
        self.optim = torch.optim.AdamW(
            [{"params": decay, "weight_decay": weight_decay}, {"params": no_decay, "weight_decay": 0.0}],
            lr=learning_rate,
            betas=(0.9, 0.95),
        )

        def factor(n):
            step = n + 1
            if step <= warmup:
                return step / warmup
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / (total - warmup))))

        self.sched = LambdaLR(self.optim, factor)

    def update(self, batch):
        self.model.train()
        self.optim.zero_grad()
        n = len(batch["image"])
        total = 0.0
        for part in torch.arange(n, device=batch["image"].device).chunk(2):
            terms = self.loss(self.model(batch["image"][part]), batch["label"][part])
            loss = terms["total"] * (len(part) / n)
            self.backward(loss)
            total += loss.detach()
        self.optim.step()
        lr = self.sched.get_last_lr()[0]
        self.sched.step()
        return {"loss": total, "lr": lr}

    def state_dict(self):
        return {"optim": self.optim.state_dict(), "sched": self.sched.state_dict()}

    def load_state_dict(self, state):
        self.optim.load_state_dict(state["optim"])
        self.sched.load_state_dict(state["sched"])
