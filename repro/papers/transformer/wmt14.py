"""WMT 2014, English to German and to French: the paper's own data (section 5.1), streamed, never held in memory.

Training text is that of the shared task: Europarl v7, Common Crawl and News Commentary v9, for French also the UN
corpus and 10^9 French-English. Validation is newstest2013, test newstest2014 with all 3,003 sentences.

The archives are read as they lie, sentence by sentence; pieces go to flat files that are mapped into memory, so that a
training of 36 million pairs needs little more memory than its batch and two numbers a pair.

Addresses and SHA-256 of the archives are those that TensorFlow Datasets records for them. Nobody here has fetched them:
this loader was tested on small archives of the same layout, served by a local server, and on no real one.
"""

from __future__ import annotations

import gzip
import html
import json
import os
import re
import shutil
import sys
import tarfile
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast, overload

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from repro.download import fetch
from repro.errors import DataError
from repro.papers.transformer.data import Ids, Translation, collate, encode, learn_pieces

LICENCE = (
    "WMT 2014 translation task: compiled for research by its organisers from sources under their own terms (Europarl, "
    "Common Crawl, News Commentary, United Nations, 10^9 French-English); https://www.statmt.org/wmt14/translation-task.html"
)
HINT = "Set data.folder to a folder that holds the archives, or run data=numbers: it needs no network."


@dataclass(frozen=True)
class Archive:
    """One archive of the shared task and, in it, the two parallel files; `{x}` is the language beside English."""

    address: str
    sha256: str
    other: str  # member with the text in de or fr
    english: str
    splits: tuple[str, ...] = ("train",)
    languages: tuple[str, ...] = ("de", "fr")

    @property
    def name(self) -> str:
        return self.address.rpartition("/")[2]


DEV = "http://data.statmt.org/wmt19/translation-task/dev.tgz"
DEV_SHA256 = "7a7deccf82ebb05ba508dba5eb21356492224e8f630ec4f992132b029b4b25e7"
ARCHIVES = (
    Archive(
        "http://www.statmt.org/wmt13/training-parallel-europarl-v7.tgz",
        "0224c7c710c8a063dfd893b0cc0830202d61f4c75c17eb8e31836103d27d96e7",
        "training/europarl-v7.{x}-en.{x}",
        "training/europarl-v7.{x}-en.en",
    ),
    Archive(
        "http://www.statmt.org/wmt13/training-parallel-commoncrawl.tgz",
        "c7a74e2ea01ac6c920123108627e35278d4ccb5701e15428ffa34de86fa3a9e5",
        "commoncrawl.{x}-en.{x}",
        "commoncrawl.{x}-en.en",
    ),
    Archive(
        "http://www.statmt.org/wmt14/training-parallel-nc-v9.tgz",
        "cb8953f292298e6877ae433c98912b927cb0766b303f4540512ddd286c748485",
        "training/news-commentary-v9.{x}-en.{x}",
        "training/news-commentary-v9.{x}-en.en",
    ),
    Archive(
        "http://www.statmt.org/wmt13/training-parallel-un.tgz",
        "29141b5c1eba149a94f7a59d3b1a834b2e47fe0f8758d68dcd77a3d3f497ee47",
        "un/undoc.2000.{x}-en.{x}",
        "un/undoc.2000.{x}-en.en",
        languages=("fr",),
    ),
    Archive(
        "http://www.statmt.org/wmt10/training-giga-fren.tar",
        "3ff8319f6919393520559bfbc7ad6a747ec81b3abc7be9993b338d4b017b4d9a",
        "giga-fren.release2.fixed.{x}.gz",
        "giga-fren.release2.fixed.en.gz",
        languages=("fr",),
    ),
    Archive(DEV, DEV_SHA256, "dev/newstest2013.{x}", "dev/newstest2013.en", ("validation",)),
    Archive(DEV, DEV_SHA256, "dev/newstest2014-{x}en-src.{x}.sgm", "dev/newstest2014-{x}en-ref.en.sgm", ("test",)),
)


def cache_folder() -> Path:
    """Where downloads and pieces are kept: $XDG_CACHE_HOME/repro/wmt14, else ~/.cache/repro/wmt14."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "repro" / "wmt14"


def located(archive: Archive, folder: str | None) -> Path:
    """The archive's file: in `folder`, else in $REPRO_DATA/wmt14, else in the cache, where it is downloaded to.

    Raises:
        DataError: a named folder lacks it, or the download failed.
    """
    if folder:
        path = Path(folder).expanduser() / archive.name
        if not path.is_file():
            raise DataError(f"data.folder is {folder}, but it holds no {archive.name}", f"It is at {archive.address}")
        return path
    shared = os.environ.get("REPRO_DATA")
    if shared and (Path(shared).expanduser() / "wmt14" / archive.name).is_file():
        return Path(shared).expanduser() / "wmt14" / archive.name
    path = cache_folder() / archive.name
    if not path.is_file():
        print(f"{LICENCE}\nDownloading {archive.address} to {path}", file=sys.stderr)
    return fetch(archive.address, path, archive.sha256, HINT)


def sentences(stream: Iterable[bytes], name: str) -> Iterator[str]:
    """The sentences of one member: plain text, gzipped text or SGML, one a line, in its order."""
    if name.endswith(".gz"):
        with gzip.open(cast(IO[bytes], stream)) as unpacked:
            yield from sentences(unpacked, name.removesuffix(".gz"))
        return
    for line in stream:
        text = line.decode("utf-8").strip()
        if name.endswith(".sgm"):
            # not by an XML parser: some of the files are no well-formed XML
            segment = re.fullmatch(r'<seg id="?\d+"?>(.*)</seg>', text)
            if segment is None:
                continue
            text = html.unescape(segment[1]).strip()
        yield text


def pairs(archive: Archive, path: Path, direction: str) -> Iterator[tuple[str, str]]:
    """Pairs (source, target) of one archive, streamed; a pair with an empty side is left out.

    The archive is opened twice, once a language: a gzipped tar is read from its start, and nothing is unpacked to disk.

    Raises:
        DataError: a member is missing, the archive is damaged, or the two sides differ in length.
    """
    other = direction.replace("en", "").strip("-")
    members = {other: archive.other.format(x=other), "en": archive.english.format(x=other)}

    def side(language: str) -> Iterator[str]:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.removeprefix("./") == members[language]:
                    stream = tar.extractfile(member)
                    if stream is not None:
                        yield from sentences(stream, member.name)
                        return
        raise DataError(f"{path} has no member {members[language]}", "It is another version: download it anew.")

    first, second = (side(language) for language in direction.split("-"))
    number = 0
    try:
        while True:
            source, target = next(first, None), next(second, None)
            if source is None and target is None:
                return
            if source is None or target is None:
                raise DataError(f"{path}: {' and '.join(members.values())} differ in length after {number:,} sentences")
            number += 1
            if source and target:
                yield source, target
    except (tarfile.TarError, EOFError, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}", "It is damaged or cut: delete it and run again.") from error


class Pieces(Sequence[list[int]]):
    """Sentences as piece ids in one flat file: [i] reads sentence i; `lengths` are int32 [n]."""

    def __init__(self, stem: Path) -> None:
        self.ids = np.memmap(stem.with_suffix(".ids"), dtype=np.uint16, mode="r")
        self.lengths = np.load(stem.with_suffix(".lengths.npy"), mmap_mode="r")
        self.ends = np.cumsum(self.lengths, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> list[int]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[int]]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        end = int(self.ends[index])
        return self.ids[end - int(self.lengths[index]) : end].tolist()


class PiecePairs(Sequence[Ids]):
    """Pairs of sentences as piece ids, both sides from flat files."""

    def __init__(self, folder: Path) -> None:
        self.source, self.target = Pieces(folder / "source"), Pieces(folder / "target")

    def __len__(self) -> int:
        return len(self.source)

    @overload
    def __getitem__(self, index: int) -> Ids: ...
    @overload
    def __getitem__(self, index: slice) -> list[Ids]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.source[index], self.target[index]


def written(texts: Iterable[tuple[str, str]], pieces: Tokenizer, longest: int, folder: Path) -> int:
    """Encode pairs into the flat files of `folder` → how many; pairs with a side of more than `longest` are left out.

    `folder` appears whole or not at all.
    """
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    beside.mkdir(parents=True, exist_ok=True)
    lengths = array("i"), array("i")
    with open(beside / "source.ids", "wb") as source, open(beside / "target.ids", "wb") as target:
        for chunk in chunks(texts, 10_000):
            sides = [[e.ids for e in pieces.encode_batch_fast([pair[i] for pair in chunk])] for i in (0, 1)]
            for both in zip(*sides, strict=True):
                if all(0 < len(ids) <= longest for ids in both):
                    for ids, file, known in zip(both, (source, target), lengths, strict=True):
                        file.write(np.asarray(ids, dtype=np.uint16).tobytes())
                        known.append(len(ids))
    for name, known in zip(("source", "target"), lengths, strict=True):
        np.save(beside / f"{name}.lengths.npy", np.asarray(known, dtype=np.int32))
    if folder.exists():
        shutil.rmtree(beside)  # another process was faster
    else:
        beside.replace(folder)
    return len(lengths[0])


def chunks(texts: Iterable[tuple[str, str]], size: int) -> Iterator[list[tuple[str, str]]]:
    """Lists of `size` pairs, the last shorter."""
    chunk: list[tuple[str, str]] = []
    for pair in texts:
        chunk.append(pair)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


class Streamed(Translation):
    """`Translation` for a corpus that does not fit into memory: a pass is cut into windows of `window` random pairs.

    Pairs of about the same length are batched together within a window only, and the batches of a window are shuffled;
    the order depends on the seed alone. What memory holds is the order of a pass and one window.
    """

    def __init__(self, *args: Any, window: int, **kwargs: Any) -> None:
        self.window = window
        super().__init__(*args, **kwargs)

    def seed(self, seed: int) -> None:
        """Start the training stream afresh, in the order that `seed` decides."""
        super().seed(seed)
        self.window_number = 0  # of the pass; `position` counts its batches that were handed out

    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        """Train: from the current position to the end of the pass. Validation, test: everything, in a fixed order."""
        if split != "train":
            yield from super().batches(split)
            return
        self.generator.set_state(self.epoch)
        rows = self.ids["train"]
        order = torch.randperm(len(rows), generator=self.generator).numpy()
        base = int(torch.randint(2**62, (), generator=self.generator))  # each window shuffles by its own number
        for number in range(self.window_number, -(-len(rows) // self.window)):
            self.window_number = number
            groups = self.window_groups(order[number * self.window : (number + 1) * self.window], base + number)
            while self.position < len(groups):
                self.position += 1
                yield collate([rows[int(i)] for i in groups[self.position - 1]])
            self.position = 0
        self.epoch = self.generator.get_state()
        self.window_number = 0

    def window_groups(self, order: np.ndarray, seed: int) -> list[np.ndarray]:
        """Indexes of the pairs of each batch of one window, as `Translation.groups` makes them of a whole pass."""
        rows = self.ids["train"]
        assert isinstance(rows, PiecePairs)
        lengths = np.maximum(rows.source.lengths[order], rows.target.lengths[order]) + 1  # with EOS, or with BOS
        by_length = np.argsort(lengths // self.bucket, kind="stable")
        order, lengths = order[by_length], lengths[by_length]
        cuts, longest, start = [0], 0, 0
        for place, length in enumerate(lengths.tolist()):
            longest = max(longest, length)
            if place > start and longest * (place - start + 1) > self.batch_tokens:
                cuts.append(place)
                start, longest = place, length
        groups = np.split(order, cuts[1:])
        shuffled = torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed)).tolist()
        return [groups[i] for i in shuffled]

    def state_dict(self) -> dict[str, Any]:
        """Where the training stream stands: it continues with the batch after the last one handed out."""
        return {**super().state_dict(), "window": self.window_number}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        super().load_state_dict(state)
        self.window_number = state["window"]


def prepared(direction: str, vocabulary: int, longest: int, folder: str | None) -> Path:
    """The folder with pieces.json, the flat files of train, and texts.json of validation and test; made once.

    Raises:
        DataError: see `located` and `pairs`.
        ValueError: another direction, or more pieces than two bytes count.
    """
    if direction not in ("en-de", "en-fr"):
        raise ValueError(f"data.direction is {direction!r}, needed en-de or en-fr")
    if vocabulary > 2**16:
        raise ValueError(f"data.vocabulary is {vocabulary}, needed at most {2**16}: pieces are stored in two bytes")
    place = cache_folder() / f"{direction}-{vocabulary}-{longest}"
    if folder:
        place = Path(folder).expanduser() / f"{direction}-{vocabulary}-{longest}"
    if (place / "train").is_dir() and (place / "texts.json").is_file():
        return place
    place.mkdir(parents=True, exist_ok=True)
    used = [archive for archive in ARCHIVES if direction[-2:] in archive.languages]
    paths = [located(archive, folder) for archive in used]

    def texts(split: str) -> Iterator[tuple[str, str]]:
        for archive, path in zip(used, paths, strict=True):
            if split in archive.splits:
                yield from pairs(archive, path, direction)

    held_out = {split: list(texts(split)) for split in ("validation", "test")}
    print(
        f"Learning {vocabulary:,} pieces and encoding the training text: once, and it takes a while.", file=sys.stderr
    )
    if not (place / "pieces.json").is_file():
        learn_pieces(texts("train"), vocabulary).save(str(place / f"pieces.json.{os.getpid()}"))
        (place / f"pieces.json.{os.getpid()}").replace(place / "pieces.json")
    pieces = Tokenizer.from_file(str(place / "pieces.json"))
    count = written(texts("train"), pieces, longest, place / "train")
    print(f"{count:,} training pairs in {place}", file=sys.stderr)
    (place / f"texts.json.{os.getpid()}").write_text(json.dumps(held_out, ensure_ascii=False), encoding="utf-8")
    (place / f"texts.json.{os.getpid()}").replace(place / "texts.json")
    return place


@lru_cache(maxsize=2)
def opened(place: Path) -> tuple[Tokenizer, dict[str, list[tuple[str, str]]], dict[str, Sequence[Ids]]]:
    """Pieces, texts of validation and test, and ids of all splits."""
    pieces = Tokenizer.from_file(str(place / "pieces.json"))
    loaded = json.loads((place / "texts.json").read_text(encoding="utf-8"))
    texts = {split: [(source, target) for source, target in rows] for split, rows in loaded.items()}
    return pieces, texts, {"train": PiecePairs(place / "train"), **encode(texts, pieces)}


def wmt14(
    vocabulary: int,
    batch_tokens: int,
    bucket: int = 8,
    direction: str = "en-de",
    folder: str | None = None,
    longest: int = 250,
    window: int = 1_000_000,
    evaluation_batch: int = 64,
    seed: int = 0,
) -> Streamed:
    """WMT 2014, English → German or French.

    Args:
        vocabulary: pieces of the encoding that both languages share, specials included; 37,000 and 32,000 in the paper.
        batch_tokens: at most so many source tokens, and as many target tokens, in a training batch.
        bucket: pieces; pairs whose lengths differ by less are batched together.
        direction: "en-de" or "en-fr".
        folder: holds the archives, and gets what is made of them; None is the cache, with downloads.
        longest: training pairs with a side of more pieces are left out; held-out ones never are.
        window: pairs that are sorted by length together.
        evaluation_batch: sentence pairs.
        seed: decides the order of the training batches.
    """
    pieces, texts, ids = opened(prepared(direction, vocabulary, longest, folder))
    return Streamed(texts, pieces, ids, batch_tokens, bucket, evaluation_batch, seed, window=window)
