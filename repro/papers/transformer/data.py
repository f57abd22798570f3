"""Sentence pairs as piece ids: shared byte-pair encoding and batches of about equal length (section 5.1).

A batch is a dict of three tensors, int64, padded with PAD on the right:

    source        [batch, source_length]   pieces of the source, then EOS
    target_input  [batch, target_length]   BOS, then pieces of the target: the target shifted right (section 3.1)
    target_output [batch, target_length]   pieces of the target, then EOS: what each position must predict
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor

from repro.papers.transformer import multi30k as captions
from repro.papers.transformer import number_words

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIALS = ["<pad>", "<bos>", "<eos>", "<unk>"]
SPACE = "▁"  # stands for a space at the beginning of a piece, so that decoding loses nothing

Pairs = Sequence[tuple[str, str]]
Ids = tuple[list[int], list[int]]  # pieces of the source, pieces of the target, without specials


def learn_pieces(pairs: Iterable[tuple[str, str]], vocabulary: int) -> Tokenizer:
    """Byte-pair encoding shared by both languages, learned from both sides of `pairs` (section 5.1).

    Raises:
        ValueError: the text yields another number of pieces than `vocabulary`, specials included.
    """
    pieces = Tokenizer(models.BPE(unk_token=SPECIALS[UNK]))
    pieces.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always"), pre_tokenizers.Punctuation()]
    )
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=SPECIALS, show_progress=False)
    pieces.train_from_iterator((text for pair in pairs for text in pair), trainer)
    if pieces.get_vocab_size() != vocabulary:
        raise ValueError(
            f"data.vocabulary is {vocabulary}, but this text yields {pieces.get_vocab_size()} pieces: set it to that"
        )
    return pieces


def pad(rows: Sequence[Sequence[int]]) -> Tensor:
    """Rows of ids → int64 [len(rows), longest row], filled with PAD on the right."""
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows])


def collate(examples: Sequence[Ids]) -> dict[str, Tensor]:
    """Pairs of id lists → one batch."""
    source = pad([ids + [EOS] for ids, _ in examples])  # [b, source_length]  # noqa: RUF005
    y = pad([[BOS] + ids + [EOS] for _, ids in examples])  # [b, target_length + 1]  # noqa: RUF005
    target_input, target_output = y[:, :-1], y[:, 1:]  # [b, target_length]
    return {
        "source": source,
        "target_input": target_input.contiguous(),
        "target_output": target_output.contiguous(),
    }


class Translation:
    """Batches of a parallel corpus.

    Args:
        texts: pairs (source, target) of "train", "validation" and "test".
        pieces: the byte-pair encoding.
        ids: the same pairs, encoded.
        batch_tokens: a training batch holds at most this many source tokens and as many target tokens, padding included
            (the paper: about 25,000 of each).
        bucket: pairs are batched together whose longer side falls into the same range of so many pieces. Narrow ranges
            waste less on padding, but make each batch all of one kind: on number words a model that has just seen short
            numbers only drops the last digit of long ones.
        evaluation_batch: sentence pairs of a validation or test batch.
        seed: decides the order of the training batches, nothing else.
    """

    def __init__(
        self,
        texts: Mapping[str, Pairs],
        pieces: Tokenizer,
        ids: Mapping[str, Sequence[Ids]],
        batch_tokens: int,
        bucket: int,
        evaluation_batch: int = 250,
        seed: int = 0,
    ) -> None:
        self.texts = texts
        self.pieces = pieces
        self.ids = ids
        self.batch_tokens = batch_tokens
        self.bucket = bucket
        self.evaluation_batch = evaluation_batch
        self.vocabulary = pieces.get_vocab_size()
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Start the training stream afresh, in the order that `seed` decides."""
        self.generator = torch.Generator().manual_seed(seed)
        self.epoch = self.generator.get_state()  # state of the generator at the start of the current pass
        self.position = 0  # batches of the current pass already handed out

    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        """Train: from the current position to the end of the pass. Validation, test: everything, in a fixed order."""
        if split != "train":
            rows = self.ids[split]
            for start in range(0, len(rows), self.evaluation_batch):
                yield collate(rows[start : start + self.evaluation_batch])
            return
        self.generator.set_state(self.epoch)
        groups = self.groups()
        while self.position < len(groups):
            self.position += 1
            yield collate([self.ids["train"][i] for i in groups[self.position - 1]])
        self.epoch = self.generator.get_state()
        self.position = 0

    def groups(self) -> list[list[int]]:
        """Indexes of the training pairs of each batch of one pass.

        Pairs are batched together by approximate length (section 5.1), in random order among those of one range, and
        the finished batches are shuffled.
        """
        rows = self.ids["train"]
        lengths = [max(len(source), len(target)) + 1 for source, target in rows]  # with EOS, or with BOS
        order = torch.randperm(len(rows), generator=self.generator).tolist()
        order.sort(key=lambda i: lengths[i] // self.bucket)  # stable: each range stays shuffled
        groups: list[list[int]] = [[]]
        longest = 0
        for i in order:
            longest = max(longest, lengths[i])
            if groups[-1] and longest * (len(groups[-1]) + 1) > self.batch_tokens:
                groups.append([])
                longest = lengths[i]
            groups[-1].append(i)
        return [groups[i] for i in torch.randperm(len(groups), generator=self.generator).tolist()]

    def synthetic(self, n: int, seed: int) -> dict[str, Tensor]:
        """A batch of n pairs of random pieces, of different lengths (so rows have padding); reads no file."""
        generator = torch.Generator().manual_seed(seed)

        def row(length: int) -> list[int]:
            return torch.randint(len(SPECIALS), self.vocabulary, (length,), generator=generator).tolist()

        lengths = torch.randint(3, 9, (n, 2), generator=generator).tolist()
        return collate([(row(source), row(target)) for source, target in lengths])

    def decode(self, ids: Sequence[int]) -> str:
        """Ids up to the first EOS → text; specials are left out."""
        ids = list(ids)
        if EOS in ids:
            ids = ids[: ids.index(EOS)]
        text = "".join(self.pieces.id_to_token(i) or "" for i in ids if i >= len(SPECIALS))
        return text.replace(SPACE, " ").strip()

    def references(self, split: str) -> list[str]:
        """The raw target texts, in the order of `batches(split)` (validation and test)."""
        return [target for _, target in self.texts[split]]

    def state_dict(self) -> dict[str, Any]:
        """Where the training stream stands: it continues with the batch after the last one handed out."""
        return {"epoch": self.epoch.clone(), "position": self.position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self.epoch = state["epoch"].clone()
        self.position = state["position"]


def encode(texts: Mapping[str, Pairs], pieces: Tokenizer) -> dict[str, list[Ids]]:
    """Each pair of texts as a pair of id lists, without specials."""

    def side(pairs: Pairs, which: int) -> list[list[int]]:
        return [encoding.ids for encoding in pieces.encode_batch_fast([pair[which] for pair in pairs])]

    return {split: list(zip(side(pairs, 0), side(pairs, 1), strict=True)) for split, pairs in texts.items()}


@lru_cache(maxsize=2)
def number_pieces(largest: int, train: int, held_out: int, vocabulary: int) -> tuple[Tokenizer, dict[str, list[Ids]]]:
    """Pieces and ids of the number words; many short trainings in one process share them."""
    texts = number_words.splits(largest, train, held_out)
    pieces = learn_pieces(texts["train"][:2000], vocabulary)
    return pieces, encode(texts, pieces)


@lru_cache(maxsize=2)
def caption_pieces(direction: str, folder: str | None, vocabulary: int) -> tuple[Tokenizer, dict[str, list[Ids]]]:
    """Pieces and ids of Multi30k."""
    texts = captions.splits(direction, folder)
    pieces = learn_pieces(texts["train"], vocabulary)
    return pieces, encode(texts, pieces)


def numbers(
    vocabulary: int,
    batch_tokens: int,
    bucket: int = 100,
    largest: int = 99_999,
    train: int = 20_000,
    held_out: int = 1000,
    evaluation_batch: int = 250,
    seed: int = 0,
) -> Translation:
    """English → German number words; see `number_words.splits` for largest, train and held_out."""
    pieces, ids = number_pieces(largest, train, held_out, vocabulary)
    texts = number_words.splits(largest, train, held_out)
    return Translation(texts, pieces, ids, batch_tokens, bucket, evaluation_batch, seed)


def multi30k(
    vocabulary: int,
    batch_tokens: int,
    bucket: int = 4,
    direction: str = "de-en",
    folder: str | None = None,
    evaluation_batch: int = 100,
    seed: int = 0,
) -> Translation:
    """Multi30k captions, German → English or back; see `multi30k.find` for where the files come from."""
    pieces, ids = caption_pieces(direction, folder, vocabulary)
    return Translation(captions.splits(direction, folder), pieces, ids, batch_tokens, bucket, evaluation_batch, seed)
