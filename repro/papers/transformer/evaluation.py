"""Translation of held-out text, scored by exact match, BLEU and perplexity per piece (section 6.1).

Which setting belongs to which printed number: Table 2 (test) is beam 4, length penalty 0.6, the average of the last 5
checkpoints (base) or 20 (big); Table 3 (validation) is the same search without averaging. Both are `bleu_tokenised`;
`bleu` is what is comparable today. Number words need no search and are decoded greedily.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.papers.transformer.beam import EXTRA_LENGTH, beam_search
from repro.papers.transformer.data import BOS, EOS, PAD
from repro.papers.transformer.model import Cache, Transformer


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


def compounds_split(line: str) -> str:
    """Hyphenated words in three tokens, as the authors' script: s{(\\S)-(\\S)}{$1 ##AT##-##AT## $2}g.

    >>> compounds_split("a state-of-the-art model - new")
    'a state ##AT##-##AT## of ##AT##-##AT## the ##AT##-##AT## art model - new'
    """
    return re.sub(r"(\S)-(\S)", r"\1 ##AT##-##AT## \2", line)


def bleu_tokenised(hypotheses: list[str], references: list[str], language: str) -> tuple[float, str]:
    """BLEU as the paper's authors took it, and its signature: text tokenised by Moses, compounds split, multi-bleu.

    The paper does not say so; an author does, of German (tensor2tensor, issue 61, and utils/get_ende_bleu.sh).
    multi-bleu counts like sacrebleu without tokeniser and without smoothing; Moses is sacremoses, without escaping,
    which is alike on both sides. Splitting adds n-grams that are easy to match: 0.7 to 1 point, say those who tried
    (tensor2tensor, issue 317).

    Args:
        hypotheses, references: detokenised text, one sentence each.
        language: of both, "de" or "fr", or a direction such as "en-de", whose latter counts: it decides about
            abbreviations and apostrophes.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacremoses import MosesTokenizer

    language = language.rpartition("-")[2]
    moses = MosesTokenizer(lang=language)

    def prepared(lines: list[str]) -> list[str]:
        return [compounds_split(moses.tokenize(line, return_str=True, escape=False)) for line in lines]

    metric = BLEU(tokenize="none", smooth_method="none", force=True)
    score = metric.corpus_score(prepared(hypotheses), [prepared(references)]).score
    return score, f"{metric.get_signature()}|moses:{language}|compounds:split"


def signatures(
    tokenize: str = "13a",
    tokenised: str | None = None,
    beam: int = 1,
    length_penalty: float = 0.0,
    average: int = 1,
    **_: Any,
) -> dict[str, str]:
    """How metrics were computed, for the settings of `evaluate`: {"bleu": "nrefs:1|case:mixed|…", "decoding": …}."""
    found = {
        "bleu": bleu(["a"], ["a"], tokenize)[1],
        "decoding": "greedy" if beam == 1 else f"beam {beam}, length penalty {length_penalty:g}",
    }
    if average > 1:
        found["model"] = f"average of the last {average} checkpoints (test only)"
    if tokenised:
        found["bleu_tokenised"] = bleu_tokenised(["a"], ["a"], tokenised)[1]
    return found


def statistic(split: str = "test", average: int = 1, **_: Any) -> str:
    """What `evaluate` measures on a split, in the words of the reference table: "last_5_checkpoints_averaged"."""
    return f"last_{average}_checkpoints_averaged" if split == "test" and average > 1 else "last"


def averaged(model: nn.Module, checkpoints: Sequence[Mapping[str, Tensor]]) -> nn.Module:
    """A copy of `model` whose weights are the mean over checkpoints (section 6.1); `model` stays as it is."""
    sums: dict[str, Tensor] = {}
    for state in checkpoints:
        for name, value in state.items():
            sums[name] = sums[name] + value.double() if name in sums else value.double()
    mean = copy.deepcopy(model)
    mean.load_state_dict({name: value / len(checkpoints) for name, value in sums.items()})
    return mean


@torch.no_grad()
def evaluate(
    model: nn.Module,
    data: Any,
    split: str = "test",
    max_examples: int | None = None,
    tokenize: str = "13a",
    tokenised: str | None = None,
    beam: int = 1,
    length_penalty: float = 0.0,
    average: int = 1,
    checkpoints: Sequence[Mapping[str, Tensor]] = (),
    device: torch.device | str | None = None,
) -> dict[str, float]:
    """Metrics of `model` on a split, in eval mode; the mode is restored afterwards.

    Args:
        model: called as model(source, target_input).
        data: gives batches(split), references(split) and decode(ids).
        split: "validation" or "test".
        max_examples: stop after this many sentence pairs; None is all.
        tokenize: tokeniser inside sacrebleu; "char" where a reference is one word.
        tokenised: direction such as "en-de" for `bleu_tokenised`; None leaves that metric out.
        beam: hypotheses of beam search; 1 is greedy decoding.
        length_penalty: α of beam search.
        average: checkpoints that the test split is evaluated with, averaged; validation always sees the model as it
            stands, as Table 3.
        checkpoints: states of the model, the newest last; fewer than `average` are all averaged.
        device: where the model is; None asks its parameters.

    Raises:
        ValueError: an average was asked for, but there is no checkpoint.

    Returns:
        exact_match: share of outputs equal to the reference, 0 to 1.
        bleu: corpus BLEU, 0 to 100; its signature is in `signatures(tokenize)`.
        bleu_tokenised: BLEU as printed, 0 to 100; see `bleu_tokenised`.
        perplexity: exp of the mean negative log-likelihood per reference piece (EOS counts, padding does not).
        loss: that mean, in nats, without label smoothing.
    """
    references = data.references(split)
    if max_examples is not None:
        references = references[:max_examples]
    if device is None:
        device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    if average > 1 and split == "test":
        if not checkpoints:
            raise ValueError(
                f"evaluation.average is {average}, but no checkpoint is kept: reproduction.keep_checkpoints"
            )
        model = averaged(model, checkpoints[-average:])
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
            written = (
                greedy(model, batch["source"])
                if beam == 1
                else beam_search(model, batch["source"], beam, length_penalty)
            )
            hypotheses += [data.decode(row) for row in written.tolist()]
    finally:
        model.train(was_training)
    loss = nll_sum / pieces
    as_printed = {"bleu_tokenised": bleu_tokenised(hypotheses, references, tokenised)[0]} if tokenised else {}
    return {
        **as_printed,
        "exact_match": sum(h == r for h, r in zip(hypotheses, references, strict=True)) / len(references),
        "bleu": bleu(hypotheses, references, tokenize)[0],
        "perplexity": math.exp(min(loss, 700.0)),  # e^700 is the last power that a float holds
        "loss": loss,
    }
