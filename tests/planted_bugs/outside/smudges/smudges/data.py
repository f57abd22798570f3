"""Binary pictures of 8 x 8 pixels: one smudge each, of two numbers for place and one for size."""

from __future__ import annotations

import torch


def pictures(n, rng):
    place = torch.rand(n, 2, generator=rng) * 6 + 1
    size = torch.rand(n, generator=rng) * 2 + 1
    grid = torch.arange(8.0) + 0.5
    dy = grid[None, :, None] - place[:, 0, None, None]
    dx = grid[None, None, :] - place[:, 1, None, None]
    return ((dx**2 + dy**2) < size[:, None, None] ** 2).float().flatten(1)


class Smudges:
    def __init__(self, batch_size=32, seed=0):
        self.batch_size = batch_size
        whole = torch.unique(pictures(1500, torch.Generator().manual_seed(77)), dim=0)
        whole = whole[torch.randperm(len(whole), generator=torch.Generator().manual_seed(78))]
        self.splits = {"train": whole[:320], "validation": whole[320:380], "test": whole[380:440]}
        self.rng = torch.Generator().manual_seed(seed)
        self.state = self.rng.get_state()
        self.at = 0

    def batches(self, split):
        x = self.splits[split]
        if split != "train":
            for chunk in x.split(25):
                yield {"x": chunk}
            return
        self.rng.set_state(self.state)
        order = torch.randperm(len(x), generator=self.rng)
        while self.at < len(order):
            rows = order[self.at : self.at + self.batch_size]
            self.at += self.batch_size
            yield {"x": x[rows]}
        self.state = self.rng.get_state()
        self.at = 0

    def synthetic(self, n, seed):
        return {"x": pictures(n, torch.Generator().manual_seed(seed))}

    def state_dict(self):
        return {"state": self.state, "at": self.at}

    def load_state_dict(self, state):
        self.state, self.at = state["state"], state["at"]
