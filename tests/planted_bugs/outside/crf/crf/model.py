"""Embeddings, a bidirectional LSTM over packed sentences, scores of tags, and scores of going from tag to tag."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Tagger(nn.Module):
    def __init__(self, vocabulary=40, tags=3, embedding=16, hidden=16):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, embedding, padding_idx=0)
        self.lstm = nn.LSTM(embedding, hidden, bidirectional=True)  # time first
        self.score = nn.Linear(2 * hidden, tags)
        self.transition = nn.Parameter(torch.randn(tags, tags) * 0.1)  # from row to column
        self.start = nn.Parameter(torch.randn(tags) * 0.1)
        self.end = nn.Parameter(torch.randn(tags) * 0.1)

    def forward(self, words, lengths):
        x = self.embed(words.t())  # [length, batch, embedding]
        packed = pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False)
        h, _ = pad_packed_sequence(self.lstm(packed)[0], total_length=words.shape[1])
        return self.score(h).transpose(0, 1), self.transition, self.start, self.end
