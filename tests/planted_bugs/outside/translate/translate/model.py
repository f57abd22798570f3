"""Bidirectional LSTM encoder, LSTM decoder with additive attention (Bahdanau et al. 2015)."""

import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Encoder(nn.Module):
    def __init__(self, vocabulary, embedding, hidden, dropout):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, embedding, padding_idx=0)
        self.drop = nn.Dropout(dropout)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * hidden, hidden)

    def forward(self, source):
        lengths = (source != 0).sum(1)
        x = self.drop(self.embed(source))
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        out, (h, _) = self.lstm(packed)
        out, _ = pad_packed_sequence(out, batch_first=True, total_length=source.size(1))
        h0 = torch.tanh(self.bridge(torch.cat([h[0], h[1]], dim=-1)))
        return out, h0


class Attention(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.W = nn.Linear(hidden, hidden, bias=False)
        self.U = nn.Linear(2 * hidden, hidden, bias=False)
        self.v = nn.Linear(hidden, 1, bias=False)

    def forward(self, query, keys, projected, mask):
        e = self.v(torch.tanh(self.W(query).unsqueeze(1) + projected)).squeeze(-1)  # [B, S]
        e = e.masked_fill(~mask, float("-inf"))
        a = e.softmax(dim=1)
        return torch.bmm(a.unsqueeze(1), keys).squeeze(1), a


class Decoder(nn.Module):
    def __init__(self, vocabulary, embedding, hidden, dropout):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, embedding, padding_idx=0)
        self.cell = nn.LSTMCell(embedding + 2 * hidden, hidden)
        self.attention = Attention(hidden)
        self.drop = nn.Dropout(dropout)
        self.out = nn.Linear(3 * hidden + embedding, vocabulary)

    def step(self, token, state, keys, projected, mask):
        x = self.drop(self.embed(token))
        context, _ = self.attention(state[0], keys, projected, mask)
        h, c = self.cell(torch.cat([x, context], dim=-1), state)
        return self.out(self.drop(torch.cat([h, context, x], dim=-1))), (h, c)


class Seq2Seq(nn.Module):
    def __init__(self, vocabulary=14, embedding=16, hidden=24, dropout=0.2):
        super().__init__()
        self.encoder = Encoder(vocabulary, embedding, hidden, dropout)
        self.decoder = Decoder(vocabulary, embedding, hidden, dropout)

    def start(self, source):
        keys, h = self.encoder(source)
        return keys, self.decoder.attention.U(keys), source != 0, (h, torch.zeros_like(h))

    def forward(self, source, target_input):
        keys, projected, mask, state = self.start(source)
        logits = []
        for t in range(target_input.size(1)):
            out, state = self.decoder.step(target_input[:, t], state, keys, projected, mask)
            logits.append(out)
        return torch.stack(logits, dim=1)

    @torch.no_grad()
    def greedy(self, source, bos=1, eos=2, longest=12):
        keys, projected, mask, state = self.start(source)
        token = source.new_full((source.size(0),), bos)
        done = torch.zeros_like(token, dtype=torch.bool)
        words = []
        for _ in range(longest):
            out, state = self.decoder.step(token, state, keys, projected, mask)
            token = out.argmax(-1).masked_fill(done, 0)
            words.append(token)
            done |= token == eos
            if done.all():
                break
        return torch.stack(words, dim=1)
