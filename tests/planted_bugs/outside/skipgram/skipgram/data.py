"""Pairs of words that stand near each other, and words drawn in proportion to their counts to the power 3/4."""

import numpy as np
import torch

TOPICS = 4


class Pairs:
    def __init__(self, batch_size=128, vocabulary=40, negatives=5, window=2, seed=0):
        self.batch_size, self.vocabulary, self.negatives, self.window = batch_size, vocabulary, negatives, window
        rng = np.random.RandomState(42)
        corpora = {"train": self.text(rng, 200), "validation": self.text(rng, 30), "test": self.text(rng, 30)}
        self.pairs = {}
        for name, corpus in corpora.items():
            found = [pair for sentence in corpus for pair in self.near(sentence)]
            self.pairs[name] = np.array(found)
        counts = np.bincount(np.concatenate(corpora["train"]), minlength=vocabulary)
        weights = counts**0.75
        self.noise = torch.tensor(weights / weights.sum(), dtype=torch.float)
        self.g = torch.Generator().manual_seed(seed)
        self.order, self.cursor = torch.empty(0, dtype=torch.long), 0

    def text(self, rng, sentences):
        """Each sentence has a topic; its words are of that topic but for one in ten."""
        size = self.vocabulary // TOPICS
        p = 1 / np.arange(1, size + 1)
        p /= p.sum()
        made = []
        for _ in range(sentences):
            topic = rng.randint(TOPICS)
            topics = np.where(rng.rand(12) < 0.1, rng.randint(TOPICS, size=12), topic)
            made.append(topics * size + rng.choice(size, size=12, p=p))
        return made

    def near(self, sentence):
        for i, word in enumerate(sentence):
            for j in range(max(0, i - self.window), min(len(sentence), i + self.window + 1)):
                if i != j:
                    yield word, sentence[j]

    def batch(self, pairs, g):
        center, context = torch.as_tensor(pairs).unbind(1)
        negative = torch.multinomial(self.noise, len(center) * self.negatives, replacement=True, generator=g)
        return {"center": center, "context": context, "negative": negative.view(-1, self.negatives)}

    def batches(self, split):
        pairs = self.pairs[split]
        if split != "train":
            g = torch.Generator().manual_seed(0)
            for i in range(0, len(pairs), self.batch_size):
                yield self.batch(pairs[i : i + self.batch_size], g)
        else:
            if self.cursor >= len(self.order):
                self.order, self.cursor = torch.randperm(len(pairs), generator=self.g), 0
            while self.cursor < len(self.order):
                index = self.order[self.cursor : self.cursor + self.batch_size]
                self.cursor += self.batch_size
                yield self.batch(pairs[index.numpy()], self.g)

    def synthetic(self, n, seed):
        rng = np.random.RandomState(seed)
        pairs = np.array([p for s in self.text(rng, n // 10 + 1) for p in self.near(s)])[:n]
        return self.batch(pairs, torch.Generator().manual_seed(seed))

    def state_dict(self):
        return {"g": self.g.get_state(), "order": self.order, "cursor": self.cursor}

    def load_state_dict(self, state):
        self.g.set_state(state["g"])
        self.order, self.cursor = state["order"], state["cursor"]
