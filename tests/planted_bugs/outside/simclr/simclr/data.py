"""Noisy prototypes; a view is a copy with noise and dropped features."""

import numpy as np
import torch

PROTOTYPES = np.random.default_rng(0).normal(size=(5, 16))


def augment(x, rng):
    keep = rng.random(x.shape) > 0.2
    return (x * keep + 0.1 * rng.normal(size=x.shape)).astype(np.float32)


def make(n, rng):
    labels = rng.integers(0, 5, size=n)
    return PROTOTYPES[labels] + 0.3 * rng.normal(size=(n, 16)), labels


class Views:
    def __init__(self, batch_size=32, seed=0):
        self.batch_size = batch_size
        x, y = make(500, np.random.default_rng(11))
        self.x = {"train": x[:320], "validation": x[320:400], "test": x[400:]}
        self.y = {"train": y[:320], "validation": y[320:400], "test": y[400:]}
        self.rng = np.random.default_rng(seed)
        self.order = []

    def batches(self, split):
        x, y = self.x[split], self.y[split]
        if split == "train":
            if not self.order:
                self.order = self.rng.permutation(len(x)).tolist()
            while self.order:
                idx, self.order = self.order[: self.batch_size], self.order[self.batch_size :]
                yield self.collate(x[idx], y[idx], self.rng)
        else:
            rng = np.random.default_rng(1)
            for i in range(0, len(x), 40):
                yield self.collate(x[i : i + 40], y[i : i + 40], rng)

    def collate(self, x, y, rng):
        return {
            "view1": torch.from_numpy(augment(x, rng)),
            "view2": torch.from_numpy(augment(x, rng)),
            "label": torch.from_numpy(y),
        }

    def synthetic(self, n, seed):
        rng = np.random.default_rng(seed)
        return self.collate(*make(n, rng), rng)

    def state_dict(self):
        return {"rng": self.rng.bit_generator.state, "order": list(self.order)}

    def load_state_dict(self, state):
        self.rng.bit_generator.state = state["rng"]
        self.order = list(state["order"])
