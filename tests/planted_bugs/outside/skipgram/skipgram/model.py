"""Two vectors a word: one as center, one as context."""

import torch
from torch import nn


class SkipGram(nn.Module):
    def __init__(self, vocabulary=40, dim=16):
        super().__init__()
        self.input = nn.Embedding(vocabulary, dim)
        self.output = nn.Embedding(vocabulary, dim)
        nn.init.uniform_(self.input.weight, -0.5 / dim, 0.5 / dim)
        nn.init.zeros_(self.output.weight)  # as word2vec.c

    def forward(self, center, context, negative):
        v = self.input(center)  # [b, d]
        positive = (v * self.output(context)).sum(-1)  # [b]
        negative = torch.bmm(self.output(negative), v.unsqueeze(2)).squeeze(2)  # [b, k]
        return positive, negative
