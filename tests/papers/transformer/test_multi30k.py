"""Multi30k: where files are looked for, what is refused, and (where the files are) what is in them."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import pytest

from repro.errors import DataError
from repro.papers.transformer import multi30k
from repro.papers.transformer.data import multi30k as translation
from tests.served import serving

FOLDER = os.environ.get("REPRO_DATA", "")
present = pytest.mark.skipif(
    not (Path(FOLDER) / "multi30k" / "train.de.gz").is_file() or not FOLDER,
    reason="the environment variable REPRO_DATA names no folder with multi30k in it",
)


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


def captions() -> dict[str, bytes]:
    """Files of the real names, with as many sentences as their stem has letters."""
    files = {}
    for name in multi30k.SHA256:
        stem, language, _ = name.split(".")
        text = "".join(f"{language} {stem} {i}\n" for i in range(len(stem)))
        files[name] = gzip.compress(text.encode(), mtime=0)
    return files


def test_download_is_resumed_verified_and_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("REPRO_DATA", raising=False)
    files = captions()
    with serving(files) as server:
        with pytest.raises(DataError, match="has SHA-256"):  # these are not the published files
            multi30k.find(source=server.address)
        assert not list(multi30k.cache_folder().glob("[!.]*"))  # nothing of a wrong file stays
        monkeypatch.setattr(multi30k, "SHA256", {n: hashlib.sha256(c).hexdigest() for n, c in files.items()})
        server.behaviour, server.ranges = ["cut", "good", "damage"], []
        place = multi30k.find(source=server.address)
        first = next(iter(files.values()))
        assert server.ranges == [None, f"bytes={len(first) // 2}-", *[None] * (len(files))]  # damage: fetched again
    assert {path.name: path.read_bytes() for path in place.glob("[!.]*")} == files
    capsys.readouterr()
    assert multi30k.find(source="http://127.0.0.1:9/") == place  # found in the cache: no download, no notice
    assert capsys.readouterr().err == ""
    multi30k.splits.cache_clear()
    for direction in ("de-en", "en-de"):
        source, target = direction.split("-")
        pairs = multi30k.splits(direction)
        assert pairs["test"][1] == (f"{source} test_2016_flickr 1", f"{target} test_2016_flickr 1")
        assert {split: len(found) for split, found in pairs.items()} == {"train": 5, "validation": 3, "test": 16}
    multi30k.splits.cache_clear()


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
