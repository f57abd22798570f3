"""Coloured stripes in four directions: which direction is the class. Flipped at random in training."""

import numpy as np
import torch


def make(rng, n):
    labels = rng.integers(0, 4, size=n)
    yy, xx = np.mgrid[0:8, 0:8]
    images = np.empty((n, 3, 8, 8), dtype=np.float32)
    for i, k in enumerate(labels):
        phase, freq = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.4)
        wave = {0: xx, 1: yy, 2: np.hypot(xx - 3.5, yy - 3.5) * 1.3, 3: np.maximum(abs(xx - 3.5), abs(yy - 3.5)) * 1.3}[
            int(k)
        ]
        base = np.sin(freq * wave + phase)
        colour = rng.uniform(0.3, 1.0, size=3)[:, None, None]
        images[i] = 0.5 + 0.4 * colour * base + 0.05 * rng.standard_normal((3, 8, 8))
    return (images.clip(0, 1) * 255).astype(np.uint8), labels.astype(np.int64)


class Stripes:
    def __init__(self, batch_size=32, seed=0):
        self.batch_size = batch_size
        images, labels = make(np.random.default_rng(3), 560)
        cut = {"train": slice(0, 400), "validation": slice(400, 480), "test": slice(480, 560)}
        self.images = {k: images[s] for k, s in cut.items()}
        self.labels = {k: labels[s] for k, s in cut.items()}
        train = self.images["train"].astype(np.float32) / 255
        self.mean = train.mean(axis=(0, 2, 3), keepdims=True)
        self.std = train.std(axis=(0, 2, 3), keepdims=True)
        self.rng = np.random.RandomState(seed)
        self.remaining = None

    def normalise(self, images):
        return (images.astype(np.float32) / 255 - self.mean) / self.std

    def batches(self, split):
        images, labels = self.images[split], self.labels[split]
        if split == "train":
            if self.remaining is None:
                self.remaining = self.rng.permutation(len(images))
            while len(self.remaining):
                idx, self.remaining = self.remaining[: self.batch_size], self.remaining[self.batch_size :]
                x = self.normalise(images[idx])
                flip = self.rng.rand(len(idx)) < 0.5
                x[flip] = x[flip][..., ::-1]
                yield {"image": torch.tensor(x), "label": torch.tensor(labels[idx])}
            self.remaining = None
        else:
            for i in range(0, len(images), 50):
                yield {
                    "image": torch.tensor(self.normalise(images[i : i + 50])),
                    "label": torch.tensor(labels[i : i + 50]),
                }

    def synthetic(self, n, seed):
        images, labels = make(np.random.default_rng(seed), n)
        return {"image": torch.tensor(self.normalise(images)), "label": torch.tensor(labels)}

    def state_dict(self):
        return {"rng": self.rng.get_state(), "remaining": self.remaining}

    def load_state_dict(self, state):
        self.rng.set_state(state["rng"])
        self.remaining = state["remaining"]
