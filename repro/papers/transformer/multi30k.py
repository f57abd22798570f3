"""Multi30k task 1, German and English captions of images (Elliott et al. 2016): found on disk or downloaded once.

Folders are searched in this order: the one the config names, `multi30k` inside $REPRO_DATA, the cache. A file whose
SHA-256 is not the published one is never read.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
from functools import lru_cache
from pathlib import Path

from repro.download import fetch
from repro.errors import DataError

SOURCE = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/"
LICENCE = (
    "Multi30k: captions under CC BY-NC-SA 4.0; the images are of Flickr30k and are not fetched. "
    "Non-commercial research use; https://github.com/multi30k/dataset"
)
HINT = "Set data.folder or REPRO_DATA to a folder that holds the files, or run data=numbers: it needs no network."
FILES = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
SHA256 = {
    "test_2016_flickr.de.gz": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    "test_2016_flickr.en.gz": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
}


def cache_folder() -> Path:
    """Where downloads are kept: $XDG_CACHE_HOME/repro/multi30k, else ~/.cache/repro/multi30k."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "repro" / "multi30k"


def find(folder: str | None = None, source: str = SOURCE) -> Path:
    """The folder that holds all six files; downloads them into the cache when nothing else is named.

    Args:
        folder: `data.folder` of the config; the files lie in it or in `multi30k` inside it.
        source: address that the file names are appended to.

    Raises:
        DataError: a named folder lacks files, or the download failed.
    """
    named = [("data.folder", folder), ("the environment variable REPRO_DATA", os.environ.get("REPRO_DATA"))]
    for origin, place in named:
        if not place:
            continue
        candidates = [Path(place).expanduser(), Path(place).expanduser() / "multi30k"]
        for candidate in candidates:
            if all((candidate / name).is_file() for name in SHA256):
                return candidate
        if origin == "data.folder":
            missing = [name for name in SHA256 if not (candidates[0] / name).is_file()]
            raise DataError(
                f"data.folder is {place}, but it holds no {', '.join(missing)}",
                f"Needed: {', '.join(SHA256)}. Leave data.folder out to download them from {source}",
            )
    cache = cache_folder()
    missing = [name for name in SHA256 if not (cache / name).is_file()]
    if missing:
        print(f"{LICENCE}\nDownloading {len(missing)} files into {cache}", file=sys.stderr)
    for name in missing:
        fetch(source + name, cache / name, SHA256[name], HINT)
    return cache


def verify(content: bytes, path: Path, sha256: str) -> None:
    """Raise DataError unless `content`, meant for or read from `path`, has this checksum."""
    got = hashlib.sha256(content).hexdigest()
    if got != sha256:
        raise DataError(
            f"{path} has SHA-256 {got}, needed {sha256}",
            "The file is cut or is another version: delete it and run again, or name another data.folder.",
        )


@lru_cache(maxsize=4)
def splits(direction: str, folder: str | None = None) -> dict[str, tuple[tuple[str, str], ...]]:
    """Pairs (source, target) of train, validation (val) and test (test_2016_flickr), as raw text, one sentence each.

    Args:
        direction: "de-en" or "en-de".
        folder: see `find`.

    Raises:
        DataError: files that are missing, damaged or of unequal length.
        ValueError: another direction.
    """
    if direction not in ("de-en", "en-de"):
        raise ValueError(f"data.direction is {direction!r}, needed de-en or en-de")
    place = find(folder)

    def lines(name: str) -> list[str]:
        content = (place / name).read_bytes()
        verify(content, place / name, SHA256[name])
        return gzip.decompress(content).decode("utf-8").strip("\n").split("\n")

    pairs = {}
    for split, stem in FILES.items():
        source, target = (lines(f"{stem}.{language}.gz") for language in direction.split("-"))
        if len(source) != len(target):
            raise DataError(f"{place}: {stem} has {len(source)} source but {len(target)} target sentences")
        pairs[split] = tuple(zip(source, target, strict=True))
    return pairs
