"""A citation-like graph: four classes, sparse bags of words, 5 % of the nodes labelled."""

import numpy as np
import torch


def build(n, seed, features=12):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    p = np.where(y[:, None] == y[None], 0.15, 0.02)
    a = np.triu(rng.random((n, n)) < p, 1)
    a = (a | a.T).astype(np.float32)
    x = (rng.random((n, features)) < 0.15 + 0.35 * (np.arange(features)[None] % 4 == y[:, None])).astype(np.float32)
    x /= np.maximum(x.sum(1, keepdims=True), 1)
    order = rng.permutation(n)
    masks = np.zeros((3, n), dtype=bool)
    a1, a2 = max(1, n // 5), max(2, n // 2)
    for m, idx in zip(masks, (order[:a1], order[a1:a2], order[a2:]), strict=True):
        m[idx] = True
    return {
        "x": torch.from_numpy(x),
        "adjacency": torch.from_numpy(a),
        "y": torch.from_numpy(y),
        "train_mask": torch.from_numpy(masks[0]),
        "val_mask": torch.from_numpy(masks[1]),
        "test_mask": torch.from_numpy(masks[2]),
    }


class Cora:
    def __init__(self):
        self.graph = build(160, 0)

    def batches(self, split):
        yield dict(self.graph)

    def synthetic(self, n, seed):
        return build(n, seed)

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass
