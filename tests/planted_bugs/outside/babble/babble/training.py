"""AdamW on matrices, no decay on vectors; warm-up, then a cosine to a tenth; gradients clipped at norm 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Training:
    def __init__(
        self, model, loss, backward=Tensor.backward, *, learning_rate=3e-3, warmup=20, total=400, decay=0.1, clip=1.0
    ):
        self.model, self.loss, self.backward = model, loss, backward
        self.learning_rate, self.warmup, self.total, self.clip = learning_rate, warmup, total, clip
        matrices = [p for p in model.parameters() if p.dim() >= 2]
        vectors = [p for p in model.parameters() if p.dim() < 2]
        groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.95), eps=1e-8)
        self.it = 0

    def get_lr(self, it):
        if it <= self.warmup:
            return self.learning_rate * it / self.warmup
        if it > self.total:
            return self.learning_rate / 10
        ratio = (it - self.warmup) / (self.total - self.warmup)
        low = self.learning_rate / 10
        return low + 0.5 * (1.0 + math.cos(math.pi * ratio)) * (self.learning_rate - low)

    def update(self, batch):
        self.model.train()
        self.it += 1
        lr = self.get_lr(self.it)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.model(batch["tokens"])
        terms = self.loss(logits, batch["targets"])
        self.backward(terms["total"])
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        return {"loss": terms["total"].detach(), "lr": lr}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict(), "it": self.it}

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
        self.it = state["it"]
