"""One long text of a Markov chain, cut into parallel streams that are read stretch by stretch."""

import numpy as np
import torch


def chain(n, seed):
    table = np.random.default_rng(99).dirichlet(np.full(20, 0.15), size=20)
    rng = np.random.default_rng(seed)
    out = [int(rng.integers(20))]
    for _ in range(n - 1):
        out.append(int(rng.choice(20, p=table[out[-1]])))
    return torch.tensor(out)


def batchify(text, size):
    n = len(text) // size
    return text[: n * size].view(size, n)


class Corpus:
    def __init__(self, batch_size=8, bptt=12):
        self.bptt = bptt
        text = chain(6000, 4)
        self.streams = {
            "train": batchify(text[:4000], batch_size),
            "validation": batchify(text[4000:5000], 4),
            "test": batchify(text[5000:], 4),
        }
        self.at = 0

    def batches(self, split):
        stream = self.streams[split]
        last = stream.size(1) - 1
        i = self.at if split == "train" else 0
        while i < last:
            n = min(self.bptt, last - i)
            batch = {"tokens": stream[:, i : i + n], "targets": stream[:, i + 1 : i + 1 + n]}
            i += n
            if split == "train":
                self.at = i
            yield batch
        if split == "train":
            self.at = 0

    def synthetic(self, n, seed):
        rows = torch.stack([chain(self.bptt + 1, 1000 * seed + i) for i in range(n)])
        return {"tokens": rows[:, :-1], "targets": rows[:, 1:]}

    def state_dict(self):
        return {"at": self.at}

    def load_state_dict(self, state):
        self.at = state["at"]
