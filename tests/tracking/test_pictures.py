"""Pictures are what they were when they are read back, small enough, and refused with a reason where they are none."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.tracking import pictures
from repro.tracking.pictures import PictureError, prepared, write_fault, write_pictures
from repro.tracking.png import apng, png
from repro.tracking.store import ProcessStore


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Every chunk of a PNG, its checksum compared."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + content) == struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0]
        found.append((kind, content))
        at += 12 + length
    return found


def unfiltered(data: bytes, height: int, width: int, colours: int) -> np.ndarray:
    """Pixels of a compressed image: the filters none, left and up undone byte by byte (PNG section 9)."""
    raw = zlib.decompress(data)
    size = width * colours
    lines = np.zeros((height, size), dtype=np.uint8)
    for row in range(height):
        kind = raw[row * (size + 1)]
        line = bytearray(raw[row * (size + 1) + 1 : (row + 1) * (size + 1)])
        for place in range(size):
            left = line[place - colours] if kind == 1 and place >= colours else 0
            up = int(lines[row - 1, place]) if kind == 2 and row else 0
            line[place] = (line[place] + left + up) % 256
        lines[row] = line
    return lines.reshape(height, width, colours) if colours == 3 else lines


def frames_of(data: bytes) -> list[np.ndarray]:
    """Every frame of an APNG, painted over the one before."""
    found = dict(chunks(data))
    width, height, depth, colour = struct.unpack(">IIBB", found[b"IHDR"][:10])
    assert depth == 8
    colours = 3 if colour == 2 else 1
    canvas = np.zeros((height, width, 3) if colours == 3 else (height, width), dtype=np.uint8)
    frames, box, numbers = [], (0, 0, 0, 0), []
    for kind, content in chunks(data):
        if kind == b"fcTL":
            number, w, h, left, top = struct.unpack(">IIIII", content[:20])
            numbers.append(number)
            box = (top, left, h, w)
        if kind in (b"IDAT", b"fdAT"):
            if kind == b"fdAT":
                numbers.append(struct.unpack(">I", content[:4])[0])
                content = content[4:]
            top, left, h, w = box
            canvas[top : top + h, left : left + w] = unfiltered(content, h, w, colours)
            frames.append(canvas.copy())
    assert numbers == list(range(len(numbers))), "the parts of an animation are counted through"
    assert struct.unpack(">II", found[b"acTL"]) == (len(frames), 0)
    return frames


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1), (1, 1, 3)])
def test_png_holds_every_pixel(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    found = dict(chunks(png(picture)))
    height, width, colours = shape[0], shape[1], 3 if len(shape) == 3 else 1
    assert np.array_equal(unfiltered(found[b"IDAT"], height, width, colours), picture)


@pytest.mark.parametrize("colours", [(), (3,)])
def test_apng_holds_every_frame_though_only_changes_are_stored(colours: tuple[int, ...]) -> None:
    generator = np.random.default_rng(1)
    moving = np.full((6, 20, 30, *colours), 200, dtype=np.uint8)
    for place in range(1, 5):  # the last frame is the one before again
        moving[place] = moving[place - 1]
        moving[place, place : place + 4, 3 * place : 3 * place + 5] = generator.integers(0, 256, (4, 5, *colours))
    moving[5] = moving[4]
    frames = frames_of(apng(moving, 10.0))
    assert len(frames) == 6 and all(np.array_equal(a, b) for a, b in zip(frames, moving, strict=True))
    assert len(apng(moving, 10.0)) < len(png(moving[4])) * 6


def test_each_kind_is_kept_with_its_caption(tmp_path: Path) -> None:
    write_pictures(
        tmp_path,
        {
            "grey": {"image": torch.rand(8, 9), "caption": "a <b>caption</b>"},
            "mask": {"image": np.eye(4, dtype=bool)},
            "one channel": {"image": np.zeros((4, 5, 1), dtype=np.uint8)},
            "moving": {"frames": np.zeros((3, 4, 5, 3), dtype=np.uint8), "frames_per_second": 2},
            "curve": {"lines": [1.0, math.nan, 2.0]},
            "cloud": {"points": torch.zeros(5, 2, requires_grad=True)},
            "dark": {"missing": "not rendered: no light", "caption": "a room"},
        },
    )
    entries, fault = ProcessStore(tmp_path).pictures
    by_name = {entry["name"]: entry for entry in entries}
    assert fault == "" and list(by_name) == ["grey", "mask", "one channel", "moving", "curve", "cloud", "dark"]
    assert (by_name["dark"]["note"], by_name["dark"]["caption"]) == ("not rendered: no light", "a room")
    assert by_name["grey"]["caption"] == "a <b>caption</b>" and (
        by_name["grey"]["width"],
        by_name["grey"]["height"],
    ) == (9, 8)
    assert (by_name["moving"]["seconds"], by_name["moving"]["frames"]) == (1.5, 3)
    assert len(frames_of((tmp_path / by_name["moving"]["file"]).read_bytes())) == 3
    (width,) = struct.unpack(">I", dict(chunks((tmp_path / by_name["moving"]["still"]).read_bytes()))[b"IHDR"][:4])
    assert width == 3 * 5 + 2 * 2  # three frames, two white columns between them
    assert by_name["curve"]["values"] == [[1.0, "NaN", 2.0]] and len(by_name["cloud"]["values"]) == 5
    write_fault(tmp_path, "no camera")
    assert ProcessStore(tmp_path).pictures == ([], "no camera")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"x": {"missing": ""}}, "picture 'x': missing is '', need the reason in words"),
        ({"x": np.zeros((2, 2))}, "picture 'x' is a ndarray, need a dict with image, frames, lines, points or missing"),
        ({"x": {"caption": "only"}}, "has caption; need one of"),
        ({"x": {"image": np.zeros((2, 2)), "lines": [1]}}, "has image, lines; need one of"),
        ({"x": {"image": np.zeros((2, 2)), "fps": 3}}, "has image, fps"),
        ({"x": {"image": np.zeros((3, 4, 5))}}, "shape [3, 4, 5], need [height, width] or [height, width, 3]"),
        ({"x": {"image": np.zeros((0, 5))}}, "shape [0, 5]"),
        ({"x": {"image": np.full((2, 2), 255.0)}}, "floats from 255 to 255, need 0 to 1"),
        ({"x": {"image": np.full((2, 2), np.nan)}}, "floats from nan to nan"),
        ({"x": {"image": np.ones((2, 2), dtype=np.int64)}}, "holds int64, need uint8"),
        ({"x": {"frames": np.zeros((2, 2))}}, "need [frames, height, width]"),
        ({"x": {"frames": np.zeros((2, 2, 2)), "frames_per_second": -1}}, "frames_per_second is -1"),
        ({"x": {"points": [1.0, 2.0]}}, "points have shape [2], need numbers [n, 2]"),
        ({"x": {"lines": ["a", "b"]}}, "lines have shape [1, 2], need numbers"),
        ({"x": {"lines": np.zeros(30_000)}}, "30,000 numbers, a page carries at most 20,000"),
        (None, "pictures returned a NoneType, need a dict"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(tmp_path: Path, given: object, said: str) -> None:
    with pytest.raises(PictureError) as error:
        write_pictures(tmp_path, given)
    assert said in error.value.message
    assert list(tmp_path.iterdir()) == []


def test_what_is_too_large_is_made_smaller_and_says_so() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (40, 480, 640, 3)).astype(np.uint8)
    entry, files = prepared("rollout", {"frames": noise, "frames_per_second": 40})
    assert len(files["file"]) <= pictures.MOST_BYTES["frames"] and max(entry["width"], entry["height"]) <= 240
    assert entry["frames"] == 40 and entry["seconds"] == 1.0 and "of its size" in entry["note"]
    delay = next(content for kind, content in chunks(files["file"]) if kind == b"fcTL")
    stored = sum(kind == b"fcTL" for kind, _ in chunks(files["file"]))
    assert stored * struct.unpack(">H", delay[20:22])[0] == pytest.approx(1000, abs=40)  # it still lasts a second
    entry, files = prepared("photo", {"image": noise[0]})
    assert len(files["file"]) <= pictures.MOST_BYTES["image"] and entry["note"]


def test_more_pictures_than_a_page_shows_are_counted(tmp_path: Path) -> None:
    write_pictures(tmp_path, {f"p{place}": {"lines": [0.0, 1.0]} for place in range(30)})
    entries, fault = ProcessStore(tmp_path).pictures
    assert len(entries) == 24 and fault == "30 pictures were given; the first 24 are kept"


def test_shrinking_takes_means_of_blocks() -> None:
    picture = np.array([[[0, 2, 9], [4, 6, 9], [9, 9, 9]]], dtype=np.uint8)
    assert pictures.shrunk(picture, 2).tolist() == [[[3]]]
    assert pictures.shrunk(picture, 8).shape == (1, 1, 1)
    assert pictures.coarse(np.array([0, 15, 16, 255], dtype=np.uint8)).tolist() == [0, 0, 17, 255]
