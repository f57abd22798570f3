"""Pictures that a paper contributes to its report: images, animations, curves and clouds of points.

A function `pictures(model, data, …)` beside the paper's evaluation returns them by name, each a dict with one of

    image   [height, width] or [height, width, 3], uint8 or floats from 0 to 1
    frames  [frames, height, width] or [frames, height, width, 3], likewise; `frames_per_second` beside it (20)
    lines   [n] or [lines, n], numbers drawn over their index; NaN breaks a line
    points  [n, 2], numbers drawn as dots
    missing why the picture could not be drawn here, in words

and, if you like, a `caption`. What is too large for a page is made smaller, and the picture's note says how.
Images are PNG and animations APNG, which every browser plays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.errors import ReproError
from repro.tracking.files import folder_errors, write_json
from repro.tracking.png import Pixels, apng, png
from repro.tracking.store import PICTURES

KINDS = ("image", "frames", "lines", "points", "missing")
MOST_PICTURES = 24
MOST_SIDE = {"image": 480, "frames": 240}  # pixels
MOST_BYTES = {"image": 120_000, "frames": 300_000}  # a picture; base64 adds a third
MOST_NUMBERS = 20_000  # of curves and points together
FRAMES_PER_SECOND = 20.0
MOST_FRAMES, FEWEST_FRAMES = 120, 24  # of an animation that has to be thinned
STILLS = 4  # frames shown side by side where nothing moves: on paper, and before an animation is asked for


class PictureError(ReproError):
    """A picture is not what the contract asks for; the message names it and says what was got and needed."""


# ---- writing ----------------------------------------------------------------------------------------------------


def write_pictures(folder: Path, given: Any) -> None:
    """Write what a paper's `pictures` returned into a process's folder, in place of what was there.

    Raises:
        PictureError: the value, or one of its pictures, is not what is needed; nothing is written then.
        RunFolderError: the folder cannot be written.
    """
    if not isinstance(given, Mapping):
        raise PictureError(f"pictures returned a {type(given).__name__}, need a dict {{name: {{image: …}}}}")
    taken = list(given.items())[:MOST_PICTURES]
    entries, files = [], {}
    for place, (name, picture) in enumerate(taken):
        entry, content = prepared(str(name), picture)
        for kind, data in content.items():
            path = f"pictures/{place}{'-still' if kind == 'still' else ''}.png"
            entry[kind] = path
            files[path] = data
        entries.append(entry)
    fault = f"{len(given)} pictures were given; the first {MOST_PICTURES} are kept" if len(given) > len(taken) else ""
    with folder_errors(folder / "pictures"):
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        for path, data in files.items():
            (folder / path).write_bytes(data)
    write_json(folder / PICTURES, {"pictures": entries, "fault": fault})


def write_fault(folder: Path, fault: str) -> None:
    """Say why a process left no pictures."""
    write_json(folder / PICTURES, {"pictures": [], "fault": fault})


def prepared(name: str, picture: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The entry of one picture, and its files by kind ("file", "still")."""
    if not isinstance(picture, Mapping):
        raise PictureError(f"picture {name!r} is a {type(picture).__name__}, need a dict with {either(KINDS)}")
    kinds = [kind for kind in KINDS if kind in picture]
    unknown = sorted(set(picture) - {*KINDS, "caption", "frames_per_second"})
    if len(kinds) != 1 or unknown:
        got = ", ".join(map(str, picture)) or "nothing"
        raise PictureError(f"picture {name!r} has {got}; need one of {either(KINDS)}, and at most a caption besides")
    kind = kinds[0]
    entry: dict[str, Any] = {"name": name, "caption": str(picture.get("caption") or ""), "kind": kind, "note": ""}
    if kind == "missing":
        if not isinstance(picture[kind], str) or not picture[kind].strip():
            raise PictureError(f"picture {name!r}: missing is {picture[kind]!r}, need the reason in words")
        return {**entry, "note": picture[kind]}, {}
    values = array_of(picture[kind])
    if kind == "image":
        small, note = reduced_image(pixels(name, values, (2, 3)))
        return {**entry, **size_of(small), "note": note}, {"file": png(small)}
    if kind == "frames":
        rate = float(picture.get("frames_per_second") or FRAMES_PER_SECOND)
        if not (math.isfinite(rate) and rate > 0):
            raise PictureError(f"picture {name!r}: frames_per_second is {rate:g}, need a number above 0")
        moving = pixels(name, values, (3, 4))
        seconds = len(moving) / rate
        small, note, data = reduced_frames(moving, rate)
        about = {"frames": len(moving), "seconds": round(seconds, 2), "note": note, **size_of(small[0])}
        return {**entry, **about}, {"file": data, "still": png(strip(small))}
    return {**entry, "values": numbers(name, kind, values)}, {}


def either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def array_of(value: Any) -> NDArray[Any]:
    """A NumPy array of a tensor on any device, a list, or an array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value)


def pixels(name: str, values: NDArray[Any], axes: tuple[int, int]) -> Pixels:
    """uint8 with one of two numbers of axes: grey, or with three colours last."""
    grey, colour = axes
    shape = "frames, height, width" if grey == 3 else "height, width"
    if values.ndim == colour and values.shape[-1] == 1:
        values = values[..., 0]
    if not (values.ndim == grey or (values.ndim == colour and values.shape[-1] == 3)) or 0 in values.shape:
        raise PictureError(
            f"picture {name!r} has shape {list(values.shape)}, need [{shape}] or [{shape}, 3], colours last"
        )
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(values.dtype, np.floating):
        raise PictureError(f"picture {name!r} holds {values.dtype}, need uint8 or floats from 0 to 1")
    low, high = float(np.min(values)), float(np.max(values))
    # half a step of the 255 on either side is rounding, not another range
    if not (low >= -0.5 / 255 and high <= 1 + 0.5 / 255):
        raise PictureError(f"picture {name!r} holds floats from {low:.3g} to {high:.3g}, need 0 to 1 (or uint8)")
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def numbers(name: str, kind: str, values: NDArray[Any]) -> list[list[float]]:
    """Curves as [lines, n], points as [n, 2]; five digits."""
    if kind == "lines" and values.ndim == 1:
        values = values[None]
    need = "[n] or [lines, n]" if kind == "lines" else "[n, 2]"
    right = values.ndim == 2 and values.size > 0 and (kind == "lines" or values.shape[1] == 2)
    if not right or not (np.issubdtype(values.dtype, np.number) or values.dtype == np.bool_):
        raise PictureError(f"picture {name!r}: {kind} have shape {list(values.shape)}, need numbers {need}")
    if values.size > MOST_NUMBERS:
        raise PictureError(f"picture {name!r} holds {values.size:,} numbers, a page carries at most {MOST_NUMBERS:,}")
    return [[float(f"{value:.5g}") for value in row] for row in values.astype(np.float64)]


def size_of(picture: Pixels) -> dict[str, int]:
    return {"width": int(picture.shape[1]), "height": int(picture.shape[0])}


# ---- smaller ----------------------------------------------------------------------------------------------------


def shrunk(moving: Pixels, factor: int) -> Pixels:
    """[frames, height, width, …] at 1/factor of its size: means of blocks, a rest at the edges left out."""
    if factor == 1:
        return moving
    frames, height, width = moving.shape[:3]
    h, w = max(1, height // factor), max(1, width // factor)
    fh, fw = min(factor, height), min(factor, width)
    cut = moving[:, : h * fh, : w * fw].astype(np.float32)
    blocks = cut.reshape(frames, h, fh, w, fw, *moving.shape[3:])
    return np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)


def coarse(picture: Pixels) -> Pixels:
    """16 shades a colour: what compresses well; black and white stay."""
    return (picture // 16 * 17).astype(np.uint8)


def reduced_image(picture: Pixels) -> tuple[Pixels, str]:
    """The image, made smaller until it fits, and what was done."""
    factor = math.ceil(max(picture.shape[:2]) / MOST_SIDE["image"])
    small, shades = shrunk(picture[None], factor)[0], ""
    while len(png(small)) > MOST_BYTES["image"]:
        if not shades:
            small, shades = coarse(small), "16 shades a colour"
        else:
            factor *= 2
            small = coarse(shrunk(picture[None], factor)[0])
    return small, ", ".join(filter(None, [f"at 1/{factor} of its size" if factor > 1 else "", shades]))


def reduced_frames(moving: Pixels, rate: float) -> tuple[Pixels, str, bytes]:
    """The animation, made smaller until it fits, what was done, and its APNG; its duration stays."""
    factor = math.ceil(max(moving.shape[1:3]) / MOST_SIDE["frames"])
    every = math.ceil(len(moving) / MOST_FRAMES)
    small, shades = shrunk(moving[::every], factor), ""
    while len(data := apng(small, rate / every)) > MOST_BYTES["frames"]:
        # few shades first, then fewer frames as long as it still moves, then fewer pixels
        if not shades:
            small, shades = coarse(small), "16 shades a colour"
        elif len(small) > FEWEST_FRAMES and rate / every > 6:
            every *= 2
            small = small[::2]
        else:
            factor *= 2
            small = coarse(shrunk(moving[::every], factor))
    done = [f"every {ordinal(every)} frame" if every > 1 else "", f"at 1/{factor} of its size" if factor > 1 else ""]
    return small, ", ".join(filter(None, [*done, shades])), data


def ordinal(number: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(number, f"{number}th")


def strip(moving: Pixels) -> Pixels:
    """Frames from first to last, side by side, two white columns between them."""
    chosen = [moving[round(place)] for place in np.linspace(0, len(moving) - 1, min(STILLS, len(moving)))]
    parts = [chosen[0]]
    for frame in chosen[1:]:
        parts += [np.full((frame.shape[0], 2, *frame.shape[2:]), 255, dtype=np.uint8), frame]
    return np.concatenate(parts, axis=1)
