"""Beam search with a length penalty, as section 6.1 decodes: beam 4, α = 0.6, at most input length + 50, early stop.

The paper takes the penalty from Wu et al. 2016 (equation 14) and says no more of the search. What it leaves open is
settled here: an ended hypothesis is scored with its end marker counted in the length, it ends only from among the
`beam` best continuations, and it takes no place from those that go on.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from repro.papers.transformer.data import BOS, EOS, PAD
from repro.papers.transformer.model import Cache, Transformer

EXTRA_LENGTH = 50  # output length is at most input length + 50 (section 6.1)


def length_penalty(scores: Tensor, lengths: Tensor | int, alpha: float) -> Tensor:
    """log P(Y | X) / ((5 + |Y|) / 6)^α (Wu et al. 2016, equation 14): higher is better.

    Args:
        scores: log-probabilities of whole hypotheses, any shape.
        lengths: their pieces, the end marker included; a number or broadcastable to `scores`.
        alpha: 0 ranks by log-probability; the paper uses 0.6.
    """
    return scores / ((5 + lengths) / 6) ** alpha


@torch.no_grad()
def beam_search(
    model: nn.Module,
    source: Tensor,
    beam: int = 4,
    alpha: float = 0.6,
    longest: int | None = None,
    cached: bool = True,
    begin: int = BOS,
    end: int = EOS,
    padding: int = PAD,
) -> Tensor:
    """The best hypothesis of each sentence by penalised log-probability, among those that the beam reaches.

    A sentence is done as soon as none of its open hypotheses can beat the best ended one: their log-probability can
    only fall, so the most that one can reach is its present log-probability under the penalty of the longest output.
    Stopping there changes nothing but the time.

    Args:
        model: called as model(source, target_input) → logits [b, n, vocabulary].
        source: [b, m], padded.
        beam: hypotheses kept for each sentence; 1 with alpha = 0 is greedy decoding.
        alpha: exponent of the length penalty.
        longest: most pieces to write; None is input length + 50. Hypotheses are cut there and compete as they are.
        cached: reuse keys and values of earlier positions; changes the speed, not the result.
        begin, end, padding: ids that start a target, end it, and fill rows up to the longest.

    Returns:
        [b, at most `longest`], without `begin`; after `end` comes `padding`.
    """
    real = (source != padding).sum(dim=1)  # [b]
    limit = real + EXTRA_LENGTH if longest is None else torch.full_like(real, longest)
    cache = Cache() if cached and isinstance(model, Transformer) else None
    options = {} if cache is None else {"cache": cache}
    b, most = source.size(0), int(limit.max())
    best = torch.full((b, most), padding, dtype=source.dtype, device=source.device)
    length = torch.zeros_like(limit)  # of the best hypothesis
    target = torch.full((b, 1), begin, dtype=source.dtype, device=source.device)  # [s * k, n]: k of each open sentence
    scores, best_score = None, None
    open_ = torch.arange(b, device=source.device)  # [s], sentences that are not done
    for n in range(1, most + 1):
        logits = model(source, target, **options)[:, -1]  # [s * k, vocabulary]
        log_p = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=-1)
        if scores is None or best_score is None:
            scores, best_score = log_p.new_zeros(b, 1), log_p.new_full((b,), -math.inf)
        (s, k), vocabulary = scores.shape, log_p.size(-1)
        together = (scores[:, :, None] + log_p.view(s, k, vocabulary)).flatten(1)  # [s, k * vocabulary]
        # each open hypothesis has one continuation that ends, so `beam` that go on are among the best beam + k
        candidates, index = together.topk(min(beam + k, k * vocabulary))  # [s, c], best first
        parent, piece = index // vocabulary, index % vocabulary
        ended = piece == end
        cut = limit[open_] == n  # [s]

        final = length_penalty(candidates, n, alpha).masked_fill(~(ended | cut[:, None]), -math.inf)[:, :beam]
        value, which = final.max(dim=1)  # [s]
        better = value > best_score[open_]
        row = torch.arange(s, device=source.device)[better]
        chosen = which[better]
        best[open_[row], : n - 1] = target[row * k + parent[row, chosen], 1:]
        best[open_[row], n - 1] = piece[row, chosen]
        best_score[open_[row]] = value[row]
        length[open_[row]] = n

        going, place = candidates.masked_fill(ended, -math.inf).topk(min(beam, k * (vocabulary - 1)))  # [s, k']
        next_, last = (length_penalty(going[:, 0], at, alpha) for at in (n + 1, limit[open_]))
        row = torch.arange(s, device=source.device)[~cut & (torch.maximum(next_, last) > best_score[open_])]
        if not len(row):
            break
        rows = (row[:, None] * k + parent.gather(1, place)[row]).flatten()  # [s' * k'], rows of `target`
        target = torch.cat([target[rows], piece.gather(1, place)[row].flatten()[:, None]], dim=1)
        same = len(row) == s and going.size(1) == k
        source = source if same else source[rows]
        if cache is not None:
            cache.select(rows, same_sources=same)
        scores, open_ = going[row], open_[row]
    return best[:, : int(length.max())]
