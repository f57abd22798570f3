"""Sentences of a made-up language, 15 % of whose words are chosen: 80 % masked, 10 % random, 10 % left as they are."""

import torch

PAD, CLS, SEP, MASK, FIRST = 0, 1, 2, 3, 4  # words start at FIRST


class MaskedSentences:
    def __init__(self, batch_size=32, vocabulary=30, length=16, seed=0):
        self.batch_size, self.vocabulary, self.length = batch_size, vocabulary, length
        g = torch.Generator().manual_seed(1234)
        sentences = self.sentences(2000, g)
        sentences = torch.unique(sentences, dim=0)
        sentences = sentences[torch.randperm(len(sentences), generator=g)]
        self.splits = {"train": sentences[:480], "validation": sentences[480:560], "test": sentences[560:640]}
        self.generator = torch.Generator().manual_seed(seed)
        self.order, self.given = None, 0

    def sentences(self, n, g):
        """[n, length]: CLS, words that go on by a stride of 1 to 3, SEP, PAD."""
        words = self.vocabulary - FIRST
        out = torch.full((n, self.length), PAD)
        for row in out:
            size = int(torch.randint(5, self.length - 1, (1,), generator=g))
            word, stride = (int(torch.randint(k, (1,), generator=g)) for k in (words, 3))
            row[0] = CLS
            for i in range(1, size + 1):
                row[i] = FIRST + word
                word = (word + 1 + stride) % words
            row[size + 1] = SEP
        return out

    def mask(self, sentences, g):
        labels = sentences.clone()
        chosen = (torch.rand(sentences.shape, generator=g) < 0.15) & (sentences >= FIRST)
        empty = ~chosen.any(1)
        chosen[empty, 1] = True  # at least one a sentence
        labels[~chosen] = -100
        u = torch.rand(sentences.shape, generator=g)
        tokens = sentences.clone()
        tokens[chosen & (u < 0.8)] = MASK
        swap = chosen & (u >= 0.8) & (u < 0.9)
        tokens[swap] = torch.randint(FIRST, self.vocabulary, sentences.shape, generator=g)[swap]
        return {"tokens": tokens, "attention_mask": (sentences != PAD).float(), "labels": labels}

    def batches(self, split):
        rows = self.splits[split]
        if split != "train":
            g = torch.Generator().manual_seed(99)
            for part in rows.split(self.batch_size):
                yield self.mask(part, g)
            return
        if self.order is None:
            self.order, self.given = torch.randperm(len(rows), generator=self.generator), 0
        while self.given < len(rows):
            part = rows[self.order[self.given : self.given + self.batch_size]]
            self.given += self.batch_size
            yield self.mask(part, self.generator)
        self.order = None

    def synthetic(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        return self.mask(self.sentences(n, g), g)

    def state_dict(self):
        return {"generator": self.generator.get_state(), "order": self.order, "given": self.given}

    def load_state_dict(self, state):
        self.generator.set_state(state["generator"])
        self.order, self.given = state["order"], state["given"]
