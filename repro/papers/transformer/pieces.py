"""Adapters from this paper's modules to the signatures of the oracles."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from repro.papers.transformer import beam as search
from repro.papers.transformer.model import FeedForward, MultiHeadAttention


@torch.no_grad()
def multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    w_q: Tensor,
    w_k: Tensor,
    w_v: Tensor,
    w_o: Tensor,
    heads: int,
) -> Tensor:
    """Multi-head attention with given matrices (section 3.2.2): head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V).

    Args:
        query: [b, n, width].
        key, value: [b, m, width].
        mask: broadcastable to [b, heads, n, m], true (1) = may attend; None is no mask.
        w_q, w_k: [width, heads * d_k], the heads side by side.
        w_v: [width, heads * d_v].
        w_o: [heads * d_v, width].

    Returns:
        [b, n, width]
    """
    layer = MultiHeadAttention(w_q.size(0), heads, w_q.size(1) // heads, w_v.size(1) // heads).to(query.dtype)
    for linear, matrix in ((layer.query, w_q), (layer.key, w_k), (layer.value, w_v), (layer.output, w_o)):
        linear.weight.copy_(matrix.T)
    result: Tensor = layer.eval()(query, key, value, mask)
    return result


@torch.no_grad()
def feed_forward(x: Tensor, w_1: Tensor, b_1: Tensor, w_2: Tensor, b_2: Tensor) -> Tensor:
    """The feed-forward network with given weights (equation 2).

    Args:
        x: [b, n, width].
        w_1, b_1: [width, d_ff] and [d_ff].
        w_2, b_2: [d_ff, width] and [width].

    Returns:
        [b, n, width]
    """
    layer = FeedForward(*w_1.shape).to(x.dtype)
    for linear, matrix, bias in ((layer.inner, w_1, b_1), (layer.outer, w_2, b_2)):
        linear.weight.copy_(matrix.T)
        linear.bias.copy_(bias)
    result: Tensor = layer.eval()(x)
    return result


class Table(nn.Module):
    """Stands in for a model: the next piece's log-probabilities are those of a function of the prefix alone."""

    def __init__(self, log_probabilities: Callable[[tuple[int, ...]], Sequence[float]]) -> None:
        super().__init__()
        self.log_probabilities = log_probabilities

    def forward(self, source: Tensor, target_input: Tensor) -> Tensor:
        """target_input [b, n], whose first piece is the begin marker → [b, 1, classes], of the last position."""
        prefixes = [tuple(row[1:]) for row in target_input.tolist()]
        return torch.tensor([list(self.log_probabilities(prefix)) for prefix in prefixes], dtype=torch.float64)[:, None]


def beam_search(
    log_probabilities: Callable[[tuple[int, ...]], Sequence[float]], end: int, beam: int, longest: int, alpha: float
) -> list[int]:
    """The search of `beam.py` over a function of the prefix: the best sequence, with `end` last where it ended.

    Args:
        log_probabilities: prefix → log-probability of each next piece [classes].
        end: the piece that ends a sequence.
        beam: hypotheses kept.
        longest: most pieces.
        alpha: exponent of the length penalty.
    """
    source = torch.zeros(1, 1, dtype=torch.int64)
    found = search.beam_search(Table(log_probabilities), source, beam, alpha, longest, begin=-1, end=end, padding=-1)
    return [piece for piece in found[0].tolist() if piece != -1]
