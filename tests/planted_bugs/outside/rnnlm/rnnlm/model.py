"""Embedding, LSTM, linear (Zaremba et al. 2014)."""

from torch import nn


class RNNModel(nn.Module):
    def __init__(self, vocabulary=20, width=24, layers=2, dropout=0.2):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(vocabulary, width)
        self.rnn = nn.LSTM(width, width, layers, dropout=dropout, batch_first=True)
        self.decoder = nn.Linear(width, vocabulary)
        self.init_weights()

    def init_weights(self):
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

    def forward(self, tokens, state=None):
        out, (h, c) = self.rnn(self.drop(self.encoder(tokens)), state)
        return self.decoder(self.drop(out)), h, c
