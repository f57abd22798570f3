"""The CIFAR-10 archive, small ones of its layout from a local server that cuts and damages: nothing real is fetched."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.errors import DataError
from repro.papers.resnet import cifar
from repro.papers.resnet.data import cifar10
from tests.served import serving

RECORDS = 20
MEMBERS = (*cifar.TRAIN, cifar.TEST)


def member(number: int, largest: int = 9) -> bytes:
    """RECORDS records: of record i all red is i, all green 100 + i, and blue counts the rows up from 200."""
    rows = np.repeat(np.arange(200, 232, dtype=np.uint8), 32)
    records = []
    for i in range(RECORDS):
        planes = [np.full(1024, i, np.uint8), np.full(1024, 100 + i, np.uint8), rows]
        records.append(bytes([(i + number) % (largest + 1)]) + np.concatenate(planes).tobytes())
    return b"".join(records)


def archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in {"readme.html": b"<html>", **members}.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return file.getvalue()


GOOD = archive({name: member(number) for number, name in enumerate(MEMBERS)})


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members of 20 records, an empty cache, no folder of the person's, and no wait between attempts."""
    monkeypatch.setattr(cifar, "RECORDS", RECORDS)
    monkeypatch.setattr(cifar, "SHA256", hashlib.sha256(GOOD).hexdigest())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("REPRO_DATA", raising=False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    cifar.read.cache_clear()


def written(folder: Path, content: bytes) -> Path:
    path = folder / cifar.NAME
    path.write_bytes(content)
    return path


def test_records_are_read_plane_by_plane(tmp_path: Path) -> None:
    (images, labels), (test, test_labels) = cifar.read(written(tmp_path, GOOD))
    assert images.shape == (5 * RECORDS, 32, 32, 3) and test.shape == (RECORDS, 32, 32, 3)
    assert labels[:3].tolist() == [0, 1, 2] and labels[RECORDS] == 1 and test_labels[0] == 5
    assert images[7, 4, 9].tolist() == [7, 107, 204]  # red, green, and the fifth row's blue


@pytest.mark.parametrize("behaviour", [[], ["cut"], ["503", "cut", "cut"], ["damage"], ["cut", "no ranges"]])
def test_download_survives_what_servers_do(
    behaviour: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving({cifar.NAME: GOOD}) as server:
        server.behaviour[:] = behaviour
        monkeypatch.setattr(cifar, "ADDRESS", server.address + cifar.NAME)
        monkeypatch.setattr("repro.download.time.sleep", lambda seconds: None)
        path = cifar.located()
        assert path.read_bytes() == GOOD
        assert "no licence is stated" in capsys.readouterr().err  # before the download
        asked = len(server.ranges)
        assert cifar.located() == path and len(server.ranges) == asked  # kept
        assert capsys.readouterr().err == ""


def test_another_file_behind_the_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({cifar.NAME: b"another"}) as server:
        monkeypatch.setattr(cifar, "ADDRESS", server.address + cifar.NAME)
        with pytest.raises(DataError, match=r"has SHA-256 .*, needed") as error:
            cifar.located()
    assert "run data=digits" in str(error.value)
    assert not list(cifar.cache_folder().glob("cifar*"))


def test_without_network_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "ADDRESS", "http://127.0.0.1:9/" + cifar.NAME)
    with pytest.raises(DataError, match="cannot be downloaded") as error:
        cifar.located()
    assert "data.folder or REPRO_DATA" in str(error.value)


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=rf"data\.folder is .*, but it holds no {cifar.NAME}"):
        cifar.located(str(tmp_path))
    (tmp_path / "cifar10").mkdir()
    path = written(tmp_path / "cifar10", GOOD)
    monkeypatch.setenv("REPRO_DATA", str(tmp_path))
    assert cifar.located() == path
    assert cifar.located(str(tmp_path / "cifar10")) == path


@pytest.mark.parametrize(
    "content, message",
    [
        (b"no archive at all", "cannot be read"),
        (GOOD[: len(GOOD) // 2], "cannot be read"),
        (archive({name: member(0) for name in cifar.TRAIN}), "lacks test_batch.bin"),
        (archive({name: member(0)[:-1] for name in MEMBERS}), "has 61,459 bytes, needed 61,460"),
        (archive({name: member(0, largest=12) for name in MEMBERS}), r"a record is of class 12, needed 0 … 9"),
    ],
    ids=["no archive", "cut", "a member missing", "a byte missing", "a label too large"],
)
def test_damaged_archives_are_named(
    content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(DataError, match=r"has SHA-256 .*, needed"):
        cifar.read(path)
    monkeypatch.setattr(cifar, "SHA256", hashlib.sha256(content).hexdigest())
    with pytest.raises(DataError, match=message):
        cifar.read(path)


def test_batches_of_cifar10(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    data = cifar10(batch_size=16, validation=10, folder=str(tmp_path))
    assert {name: len(labels) for name, (_, labels) in data.splits.items()} == {
        "train": 90,
        "validation": 10,
        "test": RECORDS,
    }
    batch = next(data.batches("train"))
    assert batch["image"].shape == (16, 3, 32, 32) and batch["image"].dtype == torch.float32
