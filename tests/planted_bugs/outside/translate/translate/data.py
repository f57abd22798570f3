"""Sequences of digits and their reversal, with a shift by one."""

import random

import torch
from torch.nn.utils.rnn import pad_sequence

PAD, BOS, EOS, FIRST = 0, 1, 2, 3


def example(rng):
    src = [rng.randrange(FIRST, 14) for _ in range(rng.randint(3, 8))]
    return src, [FIRST + (w - FIRST + 1) % 11 for w in reversed(src)]


def collate(pairs):
    src = pad_sequence([torch.tensor([*s, EOS]) for s, _ in pairs], batch_first=True)
    tgt = pad_sequence([torch.tensor([BOS, *t, EOS]) for _, t in pairs], batch_first=True)
    target_input = tgt[:, :-1].clone()
    target_input[target_input == EOS] = PAD
    return {"source": src, "target_input": target_input, "target": tgt[:, 1:]}


class Reversal:
    def __init__(self, batch_size=16, seed=0):
        self.batch_size = batch_size
        rng = random.Random(5)
        pairs = {}
        while len(pairs) < 400:
            s, t = example(rng)
            pairs[tuple(s)] = t
        pairs = [(list(s), t) for s, t in pairs.items()]
        self.pairs = {"train": pairs[:300], "validation": pairs[300:350], "test": pairs[350:]}
        self.rng = random.Random(seed)
        self.todo = []

    def batches(self, split):
        pairs = self.pairs[split]
        if split != "train":
            for i in range(0, len(pairs), self.batch_size):
                yield collate(pairs[i : i + self.batch_size])
            return
        if not self.todo:
            self.todo = list(range(len(pairs)))
            self.rng.shuffle(self.todo)
        while self.todo:
            now, self.todo = self.todo[: self.batch_size], self.todo[self.batch_size :]
            yield collate([pairs[i] for i in now])

    def synthetic(self, n, seed):
        rng = random.Random(seed)
        return collate([example(rng) for _ in range(n)])

    def state_dict(self):
        return {"rng": self.rng.getstate(), "todo": self.todo}

    def load_state_dict(self, state):
        version, numbers, gauss = state["rng"]
        self.rng.setstate((version, tuple(numbers), gauss))
        self.todo = list(state["todo"])
