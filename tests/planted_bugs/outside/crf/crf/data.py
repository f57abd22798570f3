"""Sentences with names of one to three words. Which words begin a name depends on the word before them."""

import random

import torch
from torch.nn.utils.rnn import pad_sequence

TAGS = ["O", "B", "I"]
CUES = (1, 2, 3)  # after one of these a name begins
WORDS = 40


def sentence(rng):
    words, tags = [], []
    while len(words) < rng.randint(5, 10):
        if rng.random() < 0.3:
            cue = rng.choice(CUES)
            words.append(cue), tags.append(0)
            for i in range(cue):  # as many words as the cue says
                words.append(rng.randint(4, WORDS - 1)), tags.append(1 if i == 0 else 2)
        else:
            words.append(rng.randint(4, WORDS - 1)), tags.append(0)
    return words[:12], tags[:12]


def collate(pairs):
    lengths = torch.tensor([len(w) for w, _ in pairs])
    return {
        "words": pad_sequence([torch.tensor(w) for w, _ in pairs], batch_first=True),
        "tags": pad_sequence([torch.tensor(t) for _, t in pairs], batch_first=True),
        "lengths": lengths,
    }


class Sentences:
    def __init__(self, batch_size=16, seed=0):
        self.batch_size = batch_size
        rng = random.Random(17)
        everything = [sentence(rng) for _ in range(360)]
        self.train, self.validation, self.test = everything[:280], everything[280:320], everything[320:]
        self.random = random.Random(seed)
        self.queue = []

    def batches(self, split):
        if split == "train":
            if not self.queue:
                self.queue = list(range(len(self.train)))
                self.random.shuffle(self.queue)
            while self.queue:
                index, self.queue = self.queue[: self.batch_size], self.queue[self.batch_size :]
                yield collate([self.train[i] for i in index])
        else:
            rows = getattr(self, split)
            for i in range(0, len(rows), self.batch_size):
                yield collate(rows[i : i + self.batch_size])

    def synthetic(self, n, seed):
        rng = random.Random(seed)
        return collate([sentence(rng) for _ in range(n)])

    def state_dict(self):
        return {"random": self.random.getstate(), "queue": list(self.queue)}

    def load_state_dict(self, state):
        self.random.setstate(state["random"])
        self.queue = list(state["queue"])
