"""Whether a file of a paper was saved: modification times, looked at a few times a second."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

KINDS = (".py", ".yaml", ".yml")
#: Beside reference tables lie the curves that they name. In a package a .csv may be what the code itself writes.
KINDS_OF_TABLES = (*KINDS, ".csv")
TABLES = "reference_numbers"
#: Folders whose contents are not the person's, or change without being saved.
SKIPPED = ("__pycache__", "node_modules", "site-packages", "runs")

#: Path → (modification time in ns, size); editors that write a new file change at least one of them.
Stamps = Mapping[str, tuple[int, int]]


def stamps(places: Iterable[str]) -> Stamps:
    """The stamp of every source, config and curve file in some files and folders; what does not exist has none."""
    found: dict[str, tuple[int, int]] = {}
    for place in places:
        if os.path.isdir(place):
            kinds = KINDS_OF_TABLES if os.path.basename(place) == TABLES else KINDS
            for folder, names, files in os.walk(place):
                names[:] = [name for name in names if name not in SKIPPED and not name.startswith(".")]
                for name in files:
                    if name.endswith(kinds) and not name.startswith("."):
                        stamp(os.path.join(folder, name), found)
        else:
            stamp(place, found)
    return found


def stamp(path: str, found: dict[str, tuple[int, int]]) -> None:
    try:
        status = os.stat(path)
    except OSError:
        return  # deleted between two looks: its absence is the change
    found[path] = (status.st_mtime_ns, status.st_size)


def changed(before: Stamps, after: Stamps) -> list[str]:
    """The files that were saved, made or deleted between two looks."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def first_places() -> list[str]:
    """Where to look before the paper's config could be read: the current folder's configs, tables and packages."""
    here = Path.cwd()
    packages = [str(path.parent) for path in here.glob("*/__init__.py") if path.parent.name not in SKIPPED]
    return [str(here / name) for name in ("conf", TABLES)] + packages
