"""Downloads from a local server that cuts, damages and resumes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.download import ATTEMPTS, fetch
from repro.errors import DataError
from tests.served import Server, serving

CONTENT = random.Random(0).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({"file": CONTENT}) as state:
        yield state


def get(server: Server, path: Path, sha256: str = SHA256) -> Path:
    return fetch(server.address + "file", path, sha256, "Do this instead.", pause=lambda seconds: None)


def test_whole_file_comes_once(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    assert get(server, path).read_bytes() == CONTENT
    get(server, path)
    assert server.ranges == [None]  # the second call asked nobody


def test_cut_connections_resume_where_they_were_cut(server: Server, tmp_path: Path) -> None:
    server.behaviour = ["cut", "cut", "503"]
    assert get(server, tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1500000-", "bytes=2250000-", "bytes=2250000-"]


def test_a_killed_process_is_continued(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT[:1234])
    assert get(server, tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == ["bytes=1234-"]
    assert not (tmp_path / "file.part").exists()


def test_killed_after_the_last_byte(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT)
    assert get(server, tmp_path / "file").read_bytes() == CONTENT


def test_a_part_of_a_longer_file_starts_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT + b"more")
    assert get(server, tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT) + 4}-", None]


def test_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.behaviour = ["cut", "no ranges"]
    assert get(server, tmp_path / "file").read_bytes() == CONTENT


def test_damage_is_fetched_again_from_the_first_byte(server: Server, tmp_path: Path) -> None:
    server.behaviour = ["damage"]
    assert get(server, tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_damage_twice_is_an_error_that_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"has SHA-256 {SHA256}, needed 00000") as error:
        get(server, tmp_path / "file", "0" * 64)
    assert "Do this instead." in str(error.value)
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []


def test_what_is_not_there_is_asked_for_once(server: Server, tmp_path: Path) -> None:
    server.behaviour = ["404"]
    with pytest.raises(DataError, match="cannot be downloaded: HTTP Error 404"):
        get(server, tmp_path / "file")
    assert len(server.ranges) == 1


def test_a_server_that_never_answers_ends(server: Server, tmp_path: Path) -> None:
    server.behaviour = ["503"] * (ATTEMPTS + 1)
    with pytest.raises(DataError, match=f"{ATTEMPTS} attempts in a row brought nothing"):
        get(server, tmp_path / "file")
    assert len(server.ranges) == ATTEMPTS
