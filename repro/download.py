"""Download a file once: resumed where it was cut, checked against its SHA-256, and named only when it is whole."""

from __future__ import annotations

import hashlib
import http.client
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from repro.errors import DataError

CHUNK = 1 << 20  # bytes
ATTEMPTS = 5  # in a row that bring nothing new; one that brings bytes starts the count afresh
ATTEMPTS_WITHOUT_ANSWER = 2  # of a server that never answered: there is no network, and no sense in waiting
NOT_AGAIN = (400, 401, 403, 404, 410)  # answers that another attempt will not change
LARGE = 50 << 20  # bytes; from here on progress is shown


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hex, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def fetch(
    address: str,
    path: Path,
    sha256: str,
    hint: str = "",
    pause: Callable[[float], object] = time.sleep,
) -> Path:
    """The file at `path`, downloaded from `address` if it is not there.

    What has arrived waits in `<path>.part`: a connection that is cut, or a process that is killed, goes on from there
    (HTTP Range), where the server can; else it starts over. A whole file with another SHA-256 is removed and fetched
    once more from its first byte. Several processes may ask for the same file: one fetches, the others wait.

    Args:
        address: http or https.
        path: where the file goes; its folder is made.
        sha256: what its bytes must hash to, in hex.
        hint: what the reader of an error can do instead.
        pause: waits between attempts, in seconds: 1, 2, 4 …

    Raises:
        DataError: no network, an HTTP error, a disk that is full, or twice a checksum that differs.
    """
    from filelock import FileLock

    if path.is_file():
        return path
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if path.is_file():
                return path  # another process was faster
            got = ""
            for _ in range(2):
                _complete(address, part, hint, pause)
                got = sha256_of(part)
                if got == sha256:
                    part.replace(path)
                    return path
                part.unlink()
    except OSError as error:
        raise DataError(f"{address} cannot be written to {part}: {error}", hint) from error
    raise DataError(
        f"{address} has SHA-256 {got}, needed {sha256}; it was fetched twice, and nothing of it is kept.",
        f"The file behind the address has changed, or something on the way changes it. {hint}".strip(),
    )


def _complete(address: str, part: Path, hint: str, pause: Callable[[float], object]) -> None:
    """Add to `part` until it has all bytes that the server says there are."""
    failures, answered = 0, False
    while True:
        before = part.stat().st_size if part.exists() else 0
        problem: object
        try:
            whole = _continue(address, part, before)
            after = part.stat().st_size
            if whole is None or after == whole:
                return
            problem = f"{after:,} of {whole:,} bytes arrived"
        except urllib.error.HTTPError as error:
            error.close()
            answered = True
            if error.code in NOT_AGAIN:
                raise DataError(f"{address} cannot be downloaded: {error}", hint) from error
            problem = error
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            problem = error
        progress = part.exists() and part.stat().st_size > before
        failures, answered = (0, True) if progress else (failures + 1, answered)
        if failures == (ATTEMPTS if answered else ATTEMPTS_WITHOUT_ANSWER):
            raise DataError(
                f"{address} cannot be downloaded: {problem}; {failures} attempts in a row brought nothing.",
                hint,
            )
        pause(2.0 ** max(0, failures - 1))


def _continue(address: str, part: Path, have: int) -> int | None:
    """Fetch what lies behind the first `have` bytes → size of the whole file, None where the server does not say."""
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(address, headers={"User-Agent": "repro", **headers})
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        error.close()
        # nothing lies behind: the file is whole, or it is another one now
        total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
        if total == str(have):
            return have
        part.unlink()
        raise ConnectionError(f"the server has {total or 'fewer'} bytes, {have:,} were here; starting over") from error
    with answer:
        begun = (answer.headers.get("Content-Range") or "").partition("bytes ")[2].partition("-")[0]
        resumed = answer.status == 206 and begun == str(have)
        offset = have if resumed else 0
        length = answer.headers.get("Content-Length")
        whole = offset + int(length) if length is not None else None
        with open(part, "ab" if resumed else "wb") as file:
            shown = time.monotonic()
            while piece := answer.read(CHUNK):
                file.write(piece)
                if whole and whole > LARGE and time.monotonic() - shown > 10:
                    shown = time.monotonic()
                    print(f"{part.stem}: {file.tell() / 1e6:,.0f} of {whole / 1e6:,.0f} MB", file=sys.stderr)
    return whole
