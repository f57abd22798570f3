"""Sums in digits, one after the other: "12+7=19;". Windows are cut at random places, as nanoGPT does."""

import numpy as np
import torch

CHARS = "0123456789+=;"


def corpus(n, rng):
    text = "".join(f"{a}+{b}={a + b};" for a, b in rng.integers(0, 20, size=(n, 2)))
    return np.array([CHARS.index(c) for c in text], dtype=np.int64)


class Data:
    def __init__(self, batch_size=32, block=24, batches_per_pass=20, seed=0):
        self.batch_size, self.block, self.batches_per_pass = batch_size, block, batches_per_pass
        rng = np.random.default_rng(7)
        self.text = {"train": corpus(2000, rng), "validation": corpus(100, rng), "test": corpus(100, rng)}
        self.rng = np.random.default_rng(seed)
        self.n = 0

    def cut(self, text, starts):
        x = torch.from_numpy(np.stack([text[s : s + self.block] for s in starts]))
        y = torch.from_numpy(np.stack([text[s + 1 : s + 1 + self.block] for s in starts]))
        return {"tokens": x, "targets": y}

    def batches(self, split):
        text = self.text[split]
        if split == "train":
            while self.n < self.batches_per_pass:
                self.n += 1
                yield self.cut(text, self.rng.integers(0, len(text) - self.block, size=self.batch_size))
            self.n = 0
        else:
            starts = range(0, len(text) - self.block - 1, self.block)
            for i in range(0, len(starts), self.batch_size):
                yield self.cut(text, starts[i : i + self.batch_size])

    def synthetic(self, n, seed):
        rng = np.random.default_rng(seed)
        text = corpus(200, rng)
        return self.cut(text, rng.integers(0, len(text) - self.block, size=n))

    def state_dict(self):
        return {"rng": self.rng.bit_generator.state, "n": self.n}

    def load_state_dict(self, state):
        self.rng.bit_generator.state = state["rng"]
        self.n = state["n"]
