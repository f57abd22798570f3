"""The CIFAR-10 archive: found on disk or downloaded once, checked, and read without unpacking or executing anything.

It is the binary version of Krizhevsky's page: six members of 10,000 records, each a byte for the class and 3,072 for
the pixels, red before green before blue, row by row. (The Python version holds pickles, which may execute anything.)

SHA-256, MD5 and size of the archive are those that several public repositories record independently for this address,
the MD5 also that of Krizhevsky's page. Nobody here has fetched it: this loader was tested on small archives of the same
layout, served by a local server, and not on the real one.
"""

from __future__ import annotations

import os
import sys
import tarfile
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from repro.download import fetch, sha256_of
from repro.errors import DataError

ADDRESS = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"  # MD5 c32a1d4ab5d03f1284b67883e8d87530
LICENCE = (
    "CIFAR-10 (Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images): no licence is stated; "
    "its images come from the web. 170 MB; https://www.cs.toronto.edu/~kriz/cifar.html"
)
HINT = "Set data.folder or REPRO_DATA to a folder that holds the archive, or run data=digits: it needs no network."
NAME = ADDRESS.rpartition("/")[2]
TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST = "test_batch.bin"
SIDE, COLOURS, CLASSES = 32, 3, 10
RECORD = 1 + COLOURS * SIDE * SIDE  # bytes
RECORDS = 10_000  # of each member

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


def cache_folder() -> Path:
    """Where the download is kept: $XDG_CACHE_HOME/repro/cifar10, else ~/.cache/repro/cifar10."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "repro" / "cifar10"


def located(folder: str | None = None) -> Path:
    """The archive: in `folder`, else in $REPRO_DATA/cifar10, else in the cache, where it is downloaded to.

    Raises:
        DataError: the named folder lacks it, or the download failed.
    """
    if folder:
        path = Path(folder).expanduser() / NAME
        if not path.is_file():
            raise DataError(f"data.folder is {folder}, but it holds no {NAME}", f"It is at {ADDRESS}")
        return path
    shared = os.environ.get("REPRO_DATA")
    if shared and (Path(shared).expanduser() / "cifar10" / NAME).is_file():
        return Path(shared).expanduser() / "cifar10" / NAME
    path = cache_folder() / NAME
    if not path.is_file():
        print(f"{LICENCE}\nDownloading {ADDRESS} to {path}", file=sys.stderr)
    return fetch(ADDRESS, path, SHA256, HINT)


@lru_cache(maxsize=1)
def read(path: Path) -> tuple[tuple[Pixels, Labels], tuple[Pixels, Labels]]:
    """(images uint8 [n, 32, 32, 3], labels [n]) of training and of test.

    Raises:
        DataError: another file than the published one, damaged, or not of the layout above.
    """
    found: dict[str, bytes] = {}
    try:
        if (got := sha256_of(path)) != SHA256:
            raise DataError(f"{path} has SHA-256 {got}, needed {SHA256}", f"Get it anew from {ADDRESS}.")
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if member.isfile() and name in (*TRAIN, TEST):
                    if member.size != RECORDS * RECORD:
                        raise DataError(
                            f"{path}: {name} has {member.size:,} bytes, needed {RECORDS * RECORD:,}"
                            f" ({RECORDS:,} records of {RECORD:,})",
                            "It is another version, or damaged: delete it and run again.",
                        )
                    stream = archive.extractfile(member)
                    assert stream is not None  # of a file it is never None
                    found[name] = stream.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}", "It is damaged or cut: delete it and run again.") from error
    missing = [name for name in (*TRAIN, TEST) if name not in found]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}", "It is another version: download it anew.")
    return parsed(b"".join(found[name] for name in TRAIN), path), parsed(found[TEST], path)


def parsed(records: bytes, path: Path) -> tuple[Pixels, Labels]:
    """Images and labels of the records of one or several members."""
    rows = np.frombuffer(records, dtype=np.uint8).reshape(-1, RECORD)
    labels = rows[:, 0].astype(np.int64)
    if labels.max() >= CLASSES:
        raise DataError(f"{path}: a record is of class {labels.max()}, needed 0 … {CLASSES - 1}", "It is damaged.")
    planes = rows[:, 1:].reshape(-1, COLOURS, SIDE, SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels
