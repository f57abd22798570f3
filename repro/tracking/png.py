"""Writes PNG and APNG with zlib alone (PNG specification, third edition)."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # [height, width], or [height, width, 3] with colours; frames have one axis before


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(picture: Pixels) -> bytes:
    """Signature and IHDR: 8 bits, grey or RGB."""
    height, width = picture.shape[:2]
    colour = 2 if picture.ndim == 3 else 0
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))


def compressed(picture: Pixels) -> bytes:
    """The lines of an image under that filter (none, left or up, PNG section 9) which compresses best."""
    rows = picture.reshape(picture.shape[0], -1)
    step = 3 if picture.ndim == 3 else 1
    left, up = rows.copy(), rows.copy()
    left[:, step:] -= rows[:, :-step]  # uint8 wraps, as the filters do
    up[1:] -= rows[:-1]
    found = []
    for kind, filtered in enumerate((rows, left, up)):
        marked = np.concatenate([np.full((len(rows), 1), kind, dtype=np.uint8), filtered], axis=1)
        found.append(zlib.compress(marked.tobytes(), 9))
    return min(found, key=len)


def png(picture: Pixels) -> bytes:
    """An image [height, width] or [height, width, 3] as PNG."""
    return header(picture) + chunk(b"IDAT", compressed(picture)) + chunk(b"IEND", b"")


def apng(moving: Pixels, rate: float) -> bytes:
    """Frames as an endless APNG at `rate` frames a second; of each frame only the box that changed is stored."""
    parts = [header(moving[0]), chunk(b"acTL", struct.pack(">II", len(moving), 0))]
    delay = round(1000 / rate)
    sequence = 0
    for place, frame in enumerate(moving):
        top, left, part = (0, 0, frame) if place == 0 else changed(moving[place - 1], frame)
        height, width = part.shape[:2]
        control = struct.pack(">IIIIIHHBB", sequence, width, height, left, top, min(delay, 65535), 1000, 0, 0)
        parts.append(chunk(b"fcTL", control))
        sequence += 1
        if place == 0:
            parts.append(chunk(b"IDAT", compressed(part)))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", sequence) + compressed(part)))
            sequence += 1
    return b"".join([*parts, chunk(b"IEND", b"")])


def changed(before: Pixels, now: Pixels) -> tuple[int, int, Pixels]:
    """Top and left of the smallest box that holds every changed pixel, and what it holds now; one pixel if none."""
    differs = before != now
    if differs.ndim == 3:
        differs = differs.any(axis=-1)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        return 0, 0, now[:1, :1]
    top, left = int(rows[0]), int(columns[0])
    return top, left, now[top : rows[-1] + 1, left : columns[-1] + 1]
