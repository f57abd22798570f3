"""The Transformer of section 3: an encoder and a decoder built from attention and feed-forward networks alone.

Masks are boolean or 0/1 and broadcast to [batch, heads, n, m]: true (1) means "may attend".
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PAD = 0  # piece id that fills rows up to the longest of the batch


def padding_mask(ids: Tensor, padding: int = PAD) -> Tensor:
    """True where a key is a real piece: `ids` [b, m] → [b, 1, 1, m]."""
    return (ids != padding)[:, None, None, :]


def causal_mask(n: int, device: torch.device | None = None) -> Tensor:
    """True where position i may attend to position j, that is j ≤ i: [n, n] (section 3.2.3)."""
    return torch.tril(torch.ones(n, n, dtype=torch.bool, device=device))


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    dropout: float = 0.0,
    scaled: bool = True,
    fused: bool = False,
) -> Tensor:
    """Scaled dot-product attention, softmax(Q K^T / sqrt(d_k)) V (equation 1).

    Args:
        q: queries [b, h, n, d_k].
        k: keys [b, h, m, d_k].
        v: values [b, h, m, d_v].
        mask: broadcastable to [b, h, n, m]; true (1) = may attend. Every query needs one key it may attend to.
        dropout: rate on the attention weights; section 5.4 does not list it, section 6.3 mentions it.
        scaled: divide by sqrt(d_k); false is the ablation of the footnote in section 3.2.1.
        fused: the same function by PyTorch's kernel, which never stores the weights.

    Returns:
        [b, h, n, d_v]
    """
    d_k = q.size(-1)
    if fused:
        seen = None if mask is None else mask != 0
        return F.scaled_dot_product_attention(q, k, v, seen, dropout, scale=d_k**-0.5 if scaled else 1.0)
    scores = q @ k.transpose(-2, -1)  # [b, h, n, m]
    if scaled:
        scores = scores / math.sqrt(d_k)
    if mask is not None:
        scores = scores.masked_fill(mask == 0, -math.inf)
    weights = scores.softmax(dim=-1)  # [b, h, n, m], rows sum to 1
    if dropout:
        weights = F.dropout(weights, dropout)
    return weights @ v  # [b, h, n, d_v]


def positional_encoding(length: int, width: int) -> Tensor:
    """Sinusoids of section 3.5: PE(pos, 2i) = sin(pos / 10000^(2i/d_model)), PE(pos, 2i+1) = cos(the same).

    Args:
        length: number of positions; positions count from 0.
        width: d_model.

    Returns:
        [length, width], computed in float64 and rounded to the default dtype.
    """
    position = torch.arange(length, dtype=torch.float64)[:, None]  # [length, 1]
    frequency = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * -(math.log(10000.0) / width))
    table = torch.zeros(length, width, dtype=torch.float64)
    table[:, 0::2] = torch.sin(position * frequency)
    table[:, 1::2] = torch.cos(position * frequency)[:, : width // 2]
    return table.to(torch.get_default_dtype())


class Cache:
    """What greedy and beam decoding need not compute again: the memory and each attention's keys and values."""

    def __init__(self) -> None:
        self.length = 0  # target positions already seen
        self.memory: Tensor | None = None  # [b, m, width]
        self.heads: dict[nn.Module, tuple[Tensor, Tensor]] = {}  # of target positions, which grow
        self.memory_heads: dict[nn.Module, tuple[Tensor, Tensor]] = {}  # of the memory, which stay

    def select(self, rows: Tensor, same_sources: bool = False) -> None:
        """Keep these rows of the batch, in this order; rows may occur more than once.

        Args:
            rows: int64 [k].
            same_sources: each new row has the source of the row in its place, so the memory needs no copy.
        """
        self.heads = {layer: (k[rows], v[rows]) for layer, (k, v) in self.heads.items()}
        if not same_sources:
            self.memory_heads = {layer: (k[rows], v[rows]) for layer, (k, v) in self.memory_heads.items()}
            self.memory = None if self.memory is None else self.memory[rows]


class MultiHeadAttention(nn.Module):
    """MultiHead(Q, K, V) = Concat(head_1 … head_h) W^O (section 3.2.2), without biases, as printed.

    Args:
        width: d_model.
        heads: h.
        d_k, d_v: width of a key and of a value, per head.
        dropout: rate on the attention weights.
        fused: use PyTorch's attention kernel.
        scaled: divide scores by sqrt(d_k).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        d_k: int,
        d_v: int,
        dropout: float = 0.0,
        fused: bool = False,
        scaled: bool = True,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.fused = fused
        self.scaled = scaled
        self.query = nn.Linear(width, heads * d_k, bias=False)  # W^Q of all heads
        self.key = nn.Linear(width, heads * d_k, bias=False)  # W^K
        self.value = nn.Linear(width, heads * d_v, bias=False)  # W^V
        self.output = nn.Linear(heads * d_v, width, bias=False)  # W^O

    def split(self, x: Tensor) -> Tensor:
        """[b, n, h * d] → [b, h, n, d]."""
        b, n, _ = x.shape
        return x.view(b, n, self.heads, -1).transpose(1, 2)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        """query [b, n, width], key and value [b, m, width] → [b, n, width]."""
        b, n, _ = query.shape
        q = self.split(self.query(query))  # [b, h, n, d_k]
        k, v = self.keys_and_values(key, value, cache)  # [b, h, m, d_k], [b, h, m, d_v]
        dropout = self.dropout if self.training else 0.0
        heads = attention(q, k, v, mask, dropout, scaled=self.scaled, fused=self.fused)  # [b, h, n, d_v]
        return self.output(heads.transpose(1, 2).reshape(b, n, -1))

    def keys_and_values(self, key: Tensor, value: Tensor, cache: Cache | None) -> tuple[Tensor, Tensor]:
        """Project keys and values; with a cache, project new positions only and put them behind the old ones."""
        if cache is not None and key is cache.memory and self in cache.memory_heads:
            return cache.memory_heads[self]  # the memory never changes, so neither do its keys and values
        k, v = self.split(self.key(key)), self.split(self.value(value))
        if cache is not None and key is cache.memory:
            cache.memory_heads[self] = k, v
        elif cache is not None:
            if self in cache.heads:
                old_k, old_v = cache.heads[self]
                k, v = torch.cat([old_k, k], dim=2), torch.cat([old_v, v], dim=2)
            cache.heads[self] = k, v
        return k, v


class FeedForward(nn.Module):
    """FFN(x) = max(0, x W_1 + b_1) W_2 + b_2, at each position alike (section 3.3, equation 2)."""

    def __init__(self, width: int, d_ff: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, d_ff)
        self.outer = nn.Linear(d_ff, width)

    def forward(self, x: Tensor) -> Tensor:
        """[b, n, width] → [b, n, width]."""
        return self.outer(F.relu(self.inner(x)))


class Residual(nn.Module):
    """LayerNorm(x + Dropout(Sublayer(x))) around every sub-layer (sections 3.1 and 5.4).

    `norm="pre"` is the later variant x + Dropout(Sublayer(LayerNorm(x))); it is a deviation from the paper's text.
    """

    def __init__(self, width: int, dropout: float, norm: str) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.pre = norm == "pre"

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        """[b, n, width] → [b, n, width]."""
        if self.pre:
            return x + self.dropout(sublayer(self.norm(x)))
        return self.norm(x + self.dropout(sublayer(x)))


class EncoderLayer(nn.Module):
    """Self-attention, then the feed-forward network, each inside a residual (section 3.1, encoder)."""

    def __init__(
        self, self_attention: MultiHeadAttention, feed_forward: FeedForward, width: int, dropout: float, norm: str
    ) -> None:
        super().__init__()
        self.self_attention = self_attention
        self.feed_forward = feed_forward
        self.residual1 = Residual(width, dropout, norm)
        self.residual2 = Residual(width, dropout, norm)

    def forward(self, x: Tensor, source_mask: Tensor | None) -> Tensor:
        """x [b, m, width] → [b, m, width]."""
        x = self.residual1(x, lambda x: self.self_attention(x, x, x, source_mask))
        x = self.residual2(x, self.feed_forward)
        return x


class DecoderLayer(nn.Module):
    """Masked self-attention, attention over the memory, feed-forward network (section 3.1, decoder)."""

    def __init__(
        self,
        self_attention: MultiHeadAttention,
        cross_attention: MultiHeadAttention,
        feed_forward: FeedForward,
        width: int,
        dropout: float,
        norm: str,
    ) -> None:
        super().__init__()
        self.self_attention = self_attention
        self.cross_attention = cross_attention
        self.feed_forward = feed_forward
        self.residual1 = Residual(width, dropout, norm)
        self.residual2 = Residual(width, dropout, norm)
        self.residual3 = Residual(width, dropout, norm)

    def forward(
        self,
        y: Tensor,
        memory: Tensor,
        target_mask: Tensor | None,
        source_mask: Tensor | None,
        cache: Cache | None = None,
    ) -> Tensor:
        """y [b, n, width], memory [b, m, width] → [b, n, width]."""
        y = self.residual1(y, lambda y: self.self_attention(y, y, y, target_mask, cache))
        y = self.residual2(y, lambda y: self.cross_attention(y, memory, memory, source_mask, cache))
        y = self.residual3(y, self.feed_forward)
        return y


class Encoder(nn.Module):
    """A stack of N encoder layers; only the pre-norm variant needs a last normalisation."""

    def __init__(self, layers: list[EncoderLayer], width: int, norm: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()

    def forward(self, x: Tensor, source_mask: Tensor | None) -> Tensor:
        """[b, m, width] → [b, m, width]."""
        for layer in self.layers:
            x = layer(x, source_mask)
        return self.norm(x)


class Decoder(nn.Module):
    """A stack of N decoder layers; only the pre-norm variant needs a last normalisation."""

    def __init__(self, layers: list[DecoderLayer], width: int, norm: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()

    def forward(
        self,
        y: Tensor,
        memory: Tensor,
        target_mask: Tensor | None,
        source_mask: Tensor | None,
        cache: Cache | None = None,
    ) -> Tensor:
        """y [b, n, width], memory [b, m, width] → [b, n, width]."""
        for layer in self.layers:
            y = layer(y, memory, target_mask, source_mask, cache)
        return self.norm(y)


class Embedding(nn.Module):
    """Piece embedding times sqrt(d_model) (section 3.4), plus positions (section 3.5), then dropout (section 5.4).

    Args:
        vocabulary: number of pieces.
        width: d_model.
        dropout: rate on the sum.
        positions: "sinusoidal", "learned" (Table 3, row E) or "none" (an ablation).
        max_length: number of positions that exist.
        scale: multiply by sqrt(d_model).
    """

    def __init__(
        self, vocabulary: int, width: int, dropout: float, positions: str, max_length: int, scale: bool
    ) -> None:
        super().__init__()
        self.width = width
        self.scale = scale
        self.positions = positions
        self.max_length = max_length
        self.pieces = nn.Embedding(vocabulary, width)
        self.dropout = nn.Dropout(dropout)
        if positions == "learned":
            self.pe: Tensor = nn.Parameter(torch.empty(max_length, width))
        else:
            self.register_buffer("pe", positional_encoding(max_length, width), persistent=False)

    def forward(self, ids: Tensor, start: int = 0) -> Tensor:
        """ids [b, n], the first at position `start` → [b, n, width]."""
        n = ids.size(1)
        if start + n > self.max_length:
            raise ValueError(f"a sequence of {start + n} pieces, but model.max_length is {self.max_length}: raise it")
        x = self.pieces(ids)  # [b, n, width]
        if self.scale:
            x = x * math.sqrt(self.width)
        if self.positions != "none":
            x = x + self.pe[start : start + n]
        return self.dropout(x)


class Transformer(nn.Module):
    """The whole model of figure 1: (source, target_input) → logits.

    Args:
        vocabulary: number of pieces, shared by source and target (section 5.1).
        width: d_model.
        layers: N, of the encoder and of the decoder.
        heads: h.
        d_ff: inner width of the feed-forward networks.
        d_k, d_v: width of a key and of a value per head; None means d_model / h, as in section 3.2.2.
        dropout: P_drop on every sub-layer output and on the sums of embeddings and positions (section 5.4).
        attention_dropout: rate on attention weights; 0 as in the list of section 5.4.
        positions: "sinusoidal", "learned" or "none".
        norm: "post", as printed in section 3.1, or "pre".
        tied: one matrix for both embeddings and the pre-softmax projection (section 3.4); else three.
        scale_embedding: multiply embeddings by sqrt(d_model) (section 3.4).
        scale_scores: divide attention scores by sqrt(d_k) (section 3.2.1).
        attention: "explicit" (equation 1 spelled out) or "fused" (PyTorch's kernel, the same function).
        max_length: longest sequence, in pieces.
        padding: piece id of padding.

    Raises:
        ValueError: a size or a choice that is not possible; every fault is listed.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int = 512,
        layers: int = 6,
        heads: int = 8,
        d_ff: int = 2048,
        d_k: int | None = None,
        d_v: int | None = None,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        positions: str = "sinusoidal",
        norm: str = "post",
        tied: bool = True,
        scale_embedding: bool = True,
        scale_scores: bool = True,
        attention: str = "explicit",
        max_length: int = 512,
        padding: int = PAD,
    ) -> None:
        super().__init__()
        faults = [
            f"model.{name} is {value!r}, needed one of {', '.join(allowed)}"
            for name, value, allowed in (
                ("positions", positions, ("sinusoidal", "learned", "none")),
                ("norm", norm, ("post", "pre")),
                ("attention", attention, ("explicit", "fused")),
            )
            if value not in allowed
        ]
        if width % heads and (d_k is None or d_v is None):
            faults.append(f"model.width={width} does not divide by model.heads={heads}: give model.d_k and model.d_v")
        if faults:
            raise ValueError("; ".join(faults))
        d_k = width // heads if d_k is None else d_k
        d_v = width // heads if d_v is None else d_v
        self.padding = padding

        def multi_head() -> MultiHeadAttention:
            fused = attention == "fused"
            return MultiHeadAttention(width, heads, d_k, d_v, attention_dropout, fused, scale_scores)

        def embedding() -> Embedding:
            return Embedding(vocabulary, width, dropout, positions, max_length, scale_embedding)

        self.source_embedding = embedding()
        self.encoder = Encoder(
            [EncoderLayer(multi_head(), FeedForward(width, d_ff), width, dropout, norm) for _ in range(layers)],
            width,
            norm,
        )
        self.target_embedding = embedding()
        self.decoder = Decoder(
            [
                DecoderLayer(multi_head(), multi_head(), FeedForward(width, d_ff), width, dropout, norm)
                for _ in range(layers)
            ],
            width,
            norm,
        )
        self.output = nn.Linear(width, vocabulary, bias=False)
        self.initialise()
        if tied:
            self.output.weight = self.source_embedding.pieces.weight
            self.target_embedding.pieces.weight = self.source_embedding.pieces.weight

    @torch.no_grad()
    def initialise(self) -> None:
        """The paper is silent: Xavier-uniform matrices, zero biases, embeddings normal with deviation d_model^-1/2."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
        for embedding in (self.source_embedding, self.target_embedding):
            if embedding.positions == "learned":  # last, so that all other weights are those of the unchanged model
                nn.init.normal_(embedding.pe, std=embedding.width**-0.5)

    def encode(self, source: Tensor) -> Tensor:
        """source [b, m] → memory [b, m, width]."""
        return self.encoder(self.source_embedding(source), padding_mask(source, self.padding))

    def decode(self, target_input: Tensor, memory: Tensor, source_mask: Tensor, cache: Cache | None = None) -> Tensor:
        """target_input [b, n], memory [b, m, width], source_mask [b, 1, 1, m] → logits [b, n, vocabulary].

        With a cache only the positions that it has not seen are computed and returned.
        """
        start = 0 if cache is None else cache.length
        n = target_input.size(1)
        causal = causal_mask(n, target_input.device)
        target_mask = padding_mask(target_input, self.padding) & causal  # [b, 1, n, n]
        y = self.target_embedding(target_input[:, start:], start)  # [b, n - start, width]
        y = self.decoder(y, memory, target_mask[:, :, start:], source_mask, cache)
        if cache is not None:
            cache.length = n
        return self.output(y)

    def forward(self, source: Tensor, target_input: Tensor, cache: Cache | None = None) -> Tensor:
        """source [b, m], target_input [b, n] → logits [b, n, vocabulary].

        Args:
            source: piece ids of the source.
            target_input: piece ids of the target shifted right, starting with BOS.
            cache: for decoding one piece at a time: the source is encoded once, and logits are those of the new
                positions only.
        """
        source_mask = padding_mask(source, self.padding)
        if cache is None:
            return self.decode(target_input, self.encode(source), source_mask)
        if cache.memory is None:
            cache.memory = self.encode(source)
        return self.decode(target_input, cache.memory, source_mask, cache)
