"""Greedy translation of held-out text, scored by exact match, BLEU and perplexity per piece (section 6.1).

Beam search (beam 4, length penalty 0.6) and the average of the last checkpoints belong to the printed WMT14 rows;
greedy decoding of the last model is declared as a deviation.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.papers.transformer.data import BOS, EOS, PAD
from repro.papers.transformer.model import Cache, Transformer

EXTRA_LENGTH = 50  # output length is at most input length + 50 (section 6.1)


@torch.no_grad()
def greedy(model: nn.Module, source: Tensor, longest: int | None = None, cached: bool = True) -> Tensor:
    """The likeliest next piece, again and again, until every row has its EOS (early termination, section 6.1).

    Args:
        model: called as model(source, target_input) → logits [b, n, vocabulary].
        source: [b, m], padded.
        longest: most pieces to write; None is input length + 50.
        cached: reuse keys and values of earlier positions; changes the speed, not the pieces.

    Returns:
        [b, at most `longest`], without BOS; after EOS comes PAD.
    """
    longest = source.size(1) + EXTRA_LENGTH if longest is None else longest
    cache = {"cache": Cache()} if cached and isinstance(model, Transformer) else {}
    b = source.size(0)
    target = torch.full((b, 1), BOS, dtype=source.dtype, device=source.device)
    done = torch.zeros(b, dtype=torch.bool, device=source.device)
    while target.size(1) <= longest and not done.all():
        logits = model(source, target, **cache)[:, -1]  # [b, vocabulary], scores of the next piece
        piece = logits.argmax(dim=-1).masked_fill(done, PAD)
        target = torch.cat([target, piece[:, None]], dim=1)
        done = done | (piece == EOS)
    return target[:, 1:]


def bleu(hypotheses: list[str], references: list[str], tokenize: str = "13a") -> tuple[float, str]:
    """Corpus BLEU of detokenised text by sacrebleu, and its signature."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(tokenize=tokenize)
    score = metric.corpus_score(hypotheses, [references]).score
    return score, str(metric.get_signature())


def signatures(tokenize: str = "13a", **_: Any) -> dict[str, str]:
    """Signature of each metric that has one, for the settings of `evaluate`: {"bleu": "nrefs:1|case:mixed|…"}."""
    return {"bleu": bleu(["a"], ["a"], tokenize)[1]}


@torch.no_grad()
def evaluate(
    model: nn.Module,
    data: Any,
    split: str = "test",
    max_examples: int | None = None,
    tokenize: str = "13a",
    device: torch.device | str | None = None,
) -> dict[str, float]:
    """Metrics of `model` on a split, in eval mode; the mode is restored afterwards.

    Args:
        model: called as model(source, target_input).
        data: gives batches(split), references(split) and decode(ids).
        split: "validation" or "test".
        max_examples: stop after this many sentence pairs; None is all.
        tokenize: tokeniser inside sacrebleu; "char" where a reference is one word.
        device: where the model is; None asks its parameters.

    Returns:
        exact_match: share of outputs equal to the reference, 0 to 1.
        bleu: corpus BLEU, 0 to 100; its signature is in `signatures(tokenize)`.
        perplexity: exp of the mean negative log-likelihood per reference piece (EOS counts, padding does not).
        loss: that mean, in nats, without label smoothing.
    """
    references = data.references(split)
    if max_examples is not None:
        references = references[:max_examples]
    if device is None:
        device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    hypotheses: list[str] = []
    nll_sum, pieces = 0.0, 0
    try:
        for batch in data.batches(split):
            left = len(references) - len(hypotheses)
            if left <= 0:
                break
            batch = {name: tensor[:left].to(device) for name, tensor in batch.items()}
            logits = model(batch["source"], batch["target_input"])  # [b, n, vocabulary]
            targets = batch["target_output"]
            nll_sum += F.cross_entropy(
                logits.flatten(0, 1).double(), targets.flatten(), ignore_index=PAD, reduction="sum"
            ).item()
            pieces += int((targets != PAD).sum())
            hypotheses += [data.decode(row) for row in greedy(model, batch["source"]).tolist()]
    finally:
        model.train(was_training)
    loss = nll_sum / pieces
    return {
        "exact_match": sum(h == r for h, r in zip(hypotheses, references, strict=True)) / len(references),
        "bleu": bleu(hypotheses, references, tokenize)[0],
        "perplexity": math.exp(min(loss, 700.0)),  # e^700 is the last power that a float holds
        "loss": loss,
    }
