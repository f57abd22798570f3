"""Sentences of a made-up language, padded at the end; targets are the tokens one step later."""

from __future__ import annotations

import torch

PAD, BOS, EOS = 0, 1, 2
WORDS = 21


def sentence(rng):
    """Words follow each other on a circle, with a random step of 1 to 4."""
    length = int(torch.randint(3, 10, (1,), generator=rng))
    word = int(torch.randint(0, WORDS, (1,), generator=rng))
    words = []
    for _ in range(length):
        words.append(3 + word)
        word = (word + int(torch.randint(1, 5, (1,), generator=rng))) % WORDS
    return words


def collate(sentences):
    rows = [[BOS, *s, EOS] for s in sentences]
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), PAD)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    return {"tokens": ids[:, :-1].contiguous(), "targets": ids[:, 1:].contiguous()}


class Sentences:
    def __init__(self, vocabulary=24, batch_size=16, seed=0):
        self.vocabulary = vocabulary
        self.batch_size = batch_size
        rng = torch.Generator().manual_seed(1234)
        seen, every = set(), []
        while len(every) < 420:
            s = sentence(rng)
            if tuple(s) not in seen:
                seen.add(tuple(s))
                every.append(s)
        self.sentences = {"train": every[:300], "validation": every[300:360], "test": every[360:]}
        self.rng = torch.Generator().manual_seed(seed)
        self.start = self.rng.get_state()
        self.done = 0

    def batches(self, split):
        rows = self.sentences[split]
        if split != "train":
            for i in range(0, len(rows), 25):
                yield collate(rows[i : i + 25])
            return
        self.rng.set_state(self.start)
        order = torch.randperm(len(rows), generator=self.rng).tolist()
        chunks = [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        while self.done < len(chunks):
            chunk = chunks[self.done]
            self.done += 1
            yield collate([rows[i] for i in chunk])
        self.start = self.rng.get_state()
        self.done = 0

    def synthetic(self, n, seed):
        rng = torch.Generator().manual_seed(seed)
        return collate([sentence(rng) for _ in range(n)])

    def state_dict(self):
        return {"start": self.start, "done": self.done}

    def load_state_dict(self, state):
        self.start, self.done = state["start"], state["done"]
