"""Points on a ring of eight Gaussians."""

import math

import torch


def ring(n, generator):
    k = torch.randint(0, 8, (n,), generator=generator)
    angle = k * (2 * math.pi / 8)
    centres = torch.stack([angle.cos(), angle.sin()], dim=1) * 2
    return centres + 0.05 * torch.randn(n, 2, generator=generator)


class Ring:
    def __init__(self, batch_size=64, seed=0):
        self.batch_size = batch_size
        points = ring(1024, torch.Generator().manual_seed(7))
        self.splits = {"train": points[:512], "validation": points[512:768], "test": points[768:]}
        self.g = torch.Generator().manual_seed(seed)
        self.queue = []

    def batches(self, split):
        if split == "train":
            if not self.queue:
                self.queue = torch.randperm(512, generator=self.g).tolist()
            while len(self.queue) > 0:
                rows = [self.queue.pop() for _ in range(min(self.batch_size, len(self.queue)))]
                yield {"points": self.splits["train"][rows]}
        else:
            for chunk in self.splits[split].chunk(2):
                yield {"points": chunk}

    def synthetic(self, n, seed):
        return {"points": ring(n, torch.Generator().manual_seed(seed))}

    def state_dict(self):
        return {"g": self.g.get_state(), "queue": list(self.queue)}

    def load_state_dict(self, state):
        self.g.set_state(state["g"])
        self.queue = list(state["queue"])
