"""Pictures that evaluation drew, as many as a page should carry."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from repro.report import tree
from repro.report.collecting.values import number
from repro.tracking.store import ProcessStore

MOST_PICTURE_BYTES = 900_000  # all pictures of a page together, before base64 adds a third


def pictures(folder: Path, processes: Iterable[Mapping[str, Any]]) -> Iterable[tree.Picture]:
    """What the processes drew, in order; bytes are taken as long as the page has room for them."""
    room = MOST_PICTURE_BYTES
    for process in processes:
        entries, _ = ProcessStore(process["folder"]).pictures
        for entry in entries:
            data = {}
            for kind in ("file", "still"):
                if entry.get(kind) and (path := process["folder"] / str(entry[kind])).is_file():
                    data[kind] = path.read_bytes()
            size = sum(map(len, data.values()))
            fits = size <= room
            room -= size if fits else 0
            file = str((process["folder"] / str(entry["file"])).relative_to(folder)) if entry.get("file") else ""
            note = str(entry.get("note") or "")
            if not fits:
                note = f"left out of the page, which carries {MOST_PICTURE_BYTES // 1000:,} kB of pictures: {file}"
            elif file and "file" not in data:
                note = f"its file is missing: {file}"
            uris = {kind: f"data:image/png;base64,{b64encode(one).decode()}" for kind, one in data.items() if fits}
            yield tree.Picture(
                name=str(entry.get("name", "")),
                kind=str(entry.get("kind", "")),
                caption=str(entry.get("caption") or ""),
                note=note,
                system=str(process.get("name") or ""),
                seed=int(process.get("seed") or 0),
                width=int(entry.get("width") or 0),
                height=int(entry.get("height") or 0),
                frames=int(entry.get("frames") or 0),
                seconds=number(entry.get("seconds")) or 0.0,
                file=file,
                data=uris.get("file", ""),
                still=uris.get("still", ""),
                values=tuple(
                    tuple(math.nan if (one := number(value)) is None else one for value in line)
                    for line in entry.get("values") or ()
                ),
            )
