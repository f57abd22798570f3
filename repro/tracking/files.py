"""Writes and reads small JSON files so that a crash, a full disk or a kill never leaves half a file behind."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from repro.errors import RunFolderError

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

_HINTS = {
    errno.ENOSPC: "The disk is full: free some space, or set `runs_folder` to a disk that has some.",
    errno.EDQUOT: "The disk quota is used up: free some space, or set `runs_folder` to another disk.",
    errno.EROFS: "The file system is read-only: set `runs_folder` to a folder that can be written.",
    errno.EACCES: "Permission denied: set `runs_folder` to a folder that you may write.",
    errno.EPERM: "Permission denied: set `runs_folder` to a folder that you may write.",
    errno.ENOTDIR: "A part of this path is a file, not a folder: set `runs_folder` to a folder.",
}


@contextlib.contextmanager
def folder_errors(path: Path, doing: str = "write") -> Iterator[None]:
    """Turns an `OSError` inside the block into a `RunFolderError` that names `path`, the cause and what to do."""
    try:
        yield
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "Set `runs_folder` to a folder that can be read and written.")
        raise RunFolderError(f"Cannot {doing} {path}: {error.strerror or error}.", hint) from error


def encode_number(value: float | None) -> float | int | str | None:
    """A number as strict JSON can hold it: NaN and the infinities become the strings "NaN", "Infinity", "-Infinity"."""
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def decode_number(value: Any) -> Any:
    """The inverse of `encode_number`; anything else is handed through."""
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value


def plain(value: Any) -> Any:
    """`value` as strict JSON: mappings, lists and scalars, non-finite floats as strings, paths as text.

    Raises:
        TypeError: the value has a part that JSON cannot hold.
    """
    if value is None or isinstance(value, bool | int | str):
        return value if not isinstance(value, str) else str(value)
    if isinstance(value, float):
        return encode_number(float(value))
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # NumPy and torch scalars
        return plain(value.item())
    raise TypeError(f"{type(value).__name__} {value!r} cannot be written as JSON")


def dumps(value: Any, indent: int | None = None) -> str:
    return json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


@contextlib.contextmanager
def replacing(path: Path, mode: str) -> Iterator[IO[Any]]:
    """A file beside `path` that takes its place at the end of the block, forced to the disk: nobody sees a part of it.

    Args:
        mode: "w" (UTF-8) or "wb".
    Raises:
        RunFolderError: no space, read-only, no permission; the old file is untouched.
    """
    # the process id keeps two writers from sharing one temporary file
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with folder_errors(path):
        try:
            with open(temporary, mode, encoding=None if "b" in mode else "utf-8") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """`text` in place of what `path` held, by `replacing`; folders are made as needed."""
    with folder_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, "w") as file:
        file.write(text)


def sync_folder(folder: Path) -> None:
    """Makes a rename in `folder` durable: on POSIX the entry itself must be forced to the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # some network file systems cannot sync a folder; the rename is then as durable as they make it
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON by `write_text`."""
    write_text(path, dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file; `None` where there is no such file.

    Raises:
        RunFolderError: unreadable, or not JSON (the message gives the line).
    """
    try:
        with folder_errors(path, "read"):
            text = path.read_text(encoding="utf-8")
    except RunFolderError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise RunFolderError(
            f"{path} line {error.lineno} is not JSON: {error.msg}.",
            "Move the file away; the next run writes it anew.",
        ) from error


def append_line(path: Path, value: Any) -> None:
    """Adds one JSON line with a single write, so that lines of two writers never mix."""
    with folder_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab", buffering=0) as file:
            write_whole(file.fileno(), (dumps(value) + "\n").encode())


def write_whole(descriptor: int, line: bytes) -> None:
    """`os.write` until all bytes are out: a full disk may take a part first and raise only at the next call."""
    while line:
        line = line[os.write(descriptor, line) :]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file; `[]` where there is none. A torn last line, left by a kill, is ignored.

    Raises:
        RunFolderError: a line before the last is not JSON: the file was damaged by something else.
    """
    try:
        with folder_errors(path, "read"):
            raw = path.read_bytes()
    except RunFolderError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return []
        raise
    lines = raw.split(b"\n")[:-1]  # what follows the last newline was never finished
    values = []
    for number, line in enumerate(lines, start=1):
        try:
            values.append(json.loads(line))
        except ValueError as error:
            raise RunFolderError(
                f"{path} line {number} is not JSON: {line[:80]!r}.",
                "Move the file away; training writes it anew.",
            ) from error
    return values
