"""8 by 8 pictures of a bright square on dark ground, in [-1, 1]."""

import numpy as np
import torch


def draw(rng):
    img = -np.ones((1, 8, 8), dtype=np.float32)
    size = rng.integers(2, 5)
    y, x = rng.integers(0, 8 - size + 1, size=2)
    img[0, y : y + size, x : x + size] = rng.uniform(0.2, 1.0)
    return img


class Squares:
    def __init__(self, batch_size=32, seed=0):
        self.batch_size = batch_size
        rng = np.random.default_rng(42)
        images = np.stack([draw(rng) for _ in range(480)])
        self.images = {"train": images[:320], "validation": images[320:400], "test": images[400:]}
        self.rng = np.random.default_rng(seed)
        self.order, self.position = None, 0

    def batches(self, split):
        images = self.images[split]
        if split != "train":
            for i in range(0, len(images), 64):
                yield {"image": torch.from_numpy(images[i : i + 64])}
            return
        if self.order is None:
            self.order = self.rng.permutation(len(images))
            self.position = 0
        while self.position < len(self.order):
            idx = self.order[self.position : self.position + self.batch_size]
            self.position += self.batch_size
            yield {"image": torch.from_numpy(images[idx])}
        self.order = None

    def synthetic(self, n, seed):
        rng = np.random.default_rng(seed)
        return {"image": torch.from_numpy(np.stack([draw(rng) for _ in range(n)]))}

    def state_dict(self):
        return {"rng": self.rng.bit_generator.state, "order": self.order, "position": self.position}

    def load_state_dict(self, state):
        self.rng.bit_generator.state = state["rng"]
        self.order, self.position = state["order"], state["position"]
