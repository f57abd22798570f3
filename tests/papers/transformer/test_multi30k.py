"""Multi30k: where files are looked for, what is refused, and (where the files are) what is in them."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.errors import DataError
from repro.papers.transformer import multi30k
from repro.papers.transformer.data import multi30k as translation

FOLDER = os.environ.get("REPRO_DATA", "")
present = pytest.mark.skipif(
    not (Path(FOLDER) / "multi30k" / "train.de.gz").is_file() or not FOLDER,
    reason="the environment variable REPRO_DATA names no folder with multi30k in it",
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address and folder of a local HTTP server."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}/", folder
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_missing_folder_names_the_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.folder is .*, but it holds no .*train\.de\.gz") as error:
        multi30k.find(str(tmp_path / "nowhere"))
    assert "Leave data.folder out to download" in str(error.value)


def test_no_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("REPRO_DATA", raising=False)
    with pytest.raises(DataError, match="cannot be downloaded") as error:
        multi30k.find(source="http://127.0.0.1:9/")
    assert "Set data.folder or REPRO_DATA" in str(error.value)
    assert "CC BY-NC-SA" in capsys.readouterr().err  # the licence comes before the download


def test_download_is_verified_and_kept(
    server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address, folder = server
    monkeypatch.delenv("REPRO_DATA", raising=False)
    for name in multi30k.SHA256:
        (folder / name).write_bytes(name.encode())
    with pytest.raises(DataError, match="has SHA-256"):
        multi30k.find(source=address)
    assert not list(multi30k.cache_folder().glob("[!.]*"))  # nothing of a wrong file stays

    monkeypatch.setattr(multi30k, "SHA256", {n: hashlib.sha256(n.encode()).hexdigest() for n in multi30k.SHA256})
    place = multi30k.find(source=address)
    assert sorted(path.name for path in place.glob("[!.]*")) == sorted(multi30k.SHA256)
    capsys.readouterr()
    assert multi30k.find(source="http://127.0.0.1:9/") == place  # found in the cache: no download, no notice
    assert capsys.readouterr().err == ""


def test_direction() -> None:
    with pytest.raises(ValueError, match=r"data\.direction is 'de-fr', needed de-en or en-de"):
        multi30k.splits("de-fr")


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    for name in multi30k.SHA256:
        (tmp_path / name).write_bytes(b"cut")
    with pytest.raises(DataError, match=r"train\.de\.gz has SHA-256 .*, needed 726e39b2"):
        multi30k.splits("de-en", str(tmp_path))


@present
def test_real_sentences() -> None:
    splits = multi30k.splits("de-en", FOLDER)
    assert {name: len(pairs) for name, pairs in splits.items()} == {"train": 29_000, "validation": 1014, "test": 1000}
    source, target = splits["test"][0]
    assert source == "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt."
    assert target == "A man in an orange hat starring at something."


@present
@pytest.mark.slow
def test_real_batches() -> None:
    data = translation(8000, 4096, folder=FOLDER)
    batch = next(iter(data.batches("train")))
    assert batch["source"].numel() <= 4096 + 2 * batch["source"].size(0)
    rows = next(iter(data.batches("test")))["target_output"].tolist()
    assert data.decode(rows[0]) == data.references("test")[0]
