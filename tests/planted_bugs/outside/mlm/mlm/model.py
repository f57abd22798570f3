"""A small BERT: post-norm encoder blocks without a causal mask, and a head that shares the embedding."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    vocabulary: int = 30
    length: int = 16
    hidden: int = 32
    heads: int = 4
    layers: int = 2
    dropout: float = 0.1


def attention(query, key, value, mask=None):
    """query, key, value [batch, heads, length, size] → the same; mask is True where a place may be seen."""
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(-1) @ value


class SelfAttention(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.heads = cfg.heads
        self.query, self.key, self.value = (nn.Linear(cfg.hidden, cfg.hidden) for _ in range(3))
        self.out = nn.Linear(cfg.hidden, cfg.hidden)

    def forward(self, x, mask):
        b, n, d = x.shape
        q, k, v = (f(x).view(b, n, self.heads, -1).transpose(1, 2) for f in (self.query, self.key, self.value))
        return self.out(attention(q, k, v, mask).transpose(1, 2).reshape(b, n, d))


class Layer(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.attention = SelfAttention(cfg)
        self.norm1 = nn.LayerNorm(cfg.hidden, eps=1e-12)
        self.up, self.down = nn.Linear(cfg.hidden, 4 * cfg.hidden), nn.Linear(4 * cfg.hidden, cfg.hidden)
        self.norm2 = nn.LayerNorm(cfg.hidden, eps=1e-12)
        self.dropout = nn.Dropout(cfg.dropout)

    def forward(self, x, mask):
        x = self.norm1(x + self.dropout(self.attention(x, mask)))
        return self.norm2(x + self.dropout(self.down(F.gelu(self.up(x)))))


class Bert(nn.Module):
    def __init__(self, **kwargs):
        super().__init__()
        cfg = Config(**kwargs)
        self.embedding = nn.Embedding(cfg.vocabulary, cfg.hidden, padding_idx=0)
        self.position = nn.Embedding(cfg.length, cfg.hidden)
        self.norm = nn.LayerNorm(cfg.hidden, eps=1e-12)
        self.dropout = nn.Dropout(cfg.dropout)
        self.layers = nn.ModuleList(Layer(cfg) for _ in range(cfg.layers))
        self.transform = nn.Sequential(
            nn.Linear(cfg.hidden, cfg.hidden), nn.GELU(), nn.LayerNorm(cfg.hidden, eps=1e-12)
        )
        self.bias = nn.Parameter(torch.zeros(cfg.vocabulary))
        self.apply(self.init)

    @staticmethod
    def init(m):
        if isinstance(m, (nn.Linear, nn.Embedding)):
            nn.init.normal_(m.weight, std=0.02)
        if isinstance(m, nn.Linear):
            nn.init.zeros_(m.bias)

    def forward(self, tokens, attention_mask):
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.dropout(self.norm(self.embedding(tokens) + self.position(positions)))
        mask = attention_mask.bool()[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask)
        return F.linear(self.transform(x), self.embedding.weight, self.bias)
