"""AdamW in two groups, four micro-batches an update, warm-up and cosine set by hand."""

import math

import torch
from torch import Tensor


class Training:
    def __init__(
        self,
        model,
        loss,
        backward=Tensor.backward,
        *,
        learning_rate=5e-3,
        min_lr=5e-4,
        warmup=20,
        decay_steps=400,
        weight_decay=0.1,
        grad_clip=1.0,
        accumulate=4,
    ):
        self.model, self.loss, self.backward = model, loss, backward
        self.lr, self.min_lr, self.warmup, self.decay_steps = learning_rate, min_lr, warmup, decay_steps
        self.grad_clip, self.accumulate = grad_clip, accumulate
        params = [p for p in model.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in params if p.dim() >= 2], "weight_decay": weight_decay},
            {"params": [p for p in params if p.dim() < 2], "weight_decay": 0.0},
        ]
        self.opt = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.95))
        self.it = 0

    def get_lr(self, it):
        if it < self.warmup:
            return self.lr * (it + 1) / self.warmup
        if it >= self.decay_steps:
            return self.min_lr
        ratio = (it - self.warmup) / (self.decay_steps - self.warmup)
        return self.min_lr + 0.5 * (1 + math.cos(math.pi * ratio)) * (self.lr - self.min_lr)

    def update(self, batch):
        self.model.train()
        lr = self.get_lr(self.it)
        for group in self.opt.param_groups:
            group["lr"] = lr
        total = 0.0
        n = batch["tokens"].size(0)
        for x, y in zip(*(batch[k].chunk(self.accumulate) for k in ("tokens", "targets")), strict=True):
            part = self.loss(self.model(x), y)["total"] * (x.size(0) / n)
            self.backward(part)
            total += part.item()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.grad_clip)
        self.opt.step()
        self.opt.zero_grad(set_to_none=True)
        self.it += 1
        return {"loss": total, "lr": lr, "grad_norm": float(norm)}

    def state_dict(self):
        return {"opt": self.opt.state_dict(), "it": self.it}

    def load_state_dict(self, state):
        self.opt.load_state_dict(state["opt"])
        self.it = state["it"]
