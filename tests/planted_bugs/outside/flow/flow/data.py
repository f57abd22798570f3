"""Two moons, standardised."""

import math

import torch


def moons(n, g):
    k = torch.randint(0, 2, (n,), generator=g)
    a = math.pi * torch.rand(n, generator=g)
    x = torch.where(k == 0, a.cos(), 1 - a.cos())
    y = torch.where(k == 0, a.sin(), 0.5 - a.sin())
    return torch.stack([x, y], 1) + 0.08 * torch.randn(n, 2, generator=g)


class Moons:
    def __init__(self, batch_size=64, seed=0):
        self.batch_size = batch_size
        x = moons(1000, torch.Generator().manual_seed(1))
        mean, std = x[:700].mean(0), x[:700].std(0)
        x = (x - mean) / std
        self.mean, self.std = mean, std
        self.splits = {"train": x[:700], "validation": x[700:850], "test": x[850:]}
        self.seed, self.epoch, self.batch = seed, 0, 0

    def batches(self, split):
        x = self.splits[split]
        if split != "train":
            yield from ({"x": part} for part in x.split(60))
            return
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1000 * self.seed + self.epoch))
        chunks = order.split(self.batch_size)
        while self.batch < len(chunks):
            self.batch += 1
            yield {"x": x[chunks[self.batch - 1]]}
        self.epoch += 1
        self.batch = 0

    def synthetic(self, n, seed):
        return {"x": (moons(n, torch.Generator().manual_seed(seed)) - self.mean) / self.std}

    def state_dict(self):
        return {"epoch": self.epoch, "batch": self.batch}

    def load_state_dict(self, state):
        self.epoch, self.batch = state["epoch"], state["batch"]
