"""Reads an offline .wandb file back: records of wandb's protobuf, framed as a LevelDB log behind a header of 7 bytes.

Framing, from leveldb/doc/log_format.md: blocks of 32,768 bytes; a record is crc32 (4 bytes, little-endian, over
type and data), length (2), type (1: full, 2: first, 3: middle, 4: last), data; what is left of a block, if less
than 7 bytes, is zeros. W&B's header, ":W&B", 0xBEE1 little-endian, a version byte, is part of the first block. Its
checksum is plain CRC-32 where LevelDB has masked CRC-32C.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = 32768
HEADER = 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def offline_file(folder: Path, run_id: str) -> Path | None:
    """The .wandb file of an offline run, None where there is none."""
    found = sorted(folder.glob(f"offline-run-*-{re.escape(run_id)}/run-{run_id}.wandb"))
    return found[-1] if found else None


def raw_records(path: Path) -> Iterator[bytes]:
    """The data of each record, its checksum checked."""
    content = path.read_bytes()
    magic, number, version = struct.unpack("<4sHB", content[:HEADER])
    assert (magic, number, version) == (b":W&B", 0xBEE1, 0), content[:HEADER]
    at, parts = HEADER, []
    while at + HEADER <= len(content):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        checksum, length, kind = struct.unpack("<IHB", content[at : at + HEADER])
        data = content[at + HEADER : at + HEADER + length]
        assert zlib.crc32(bytes([kind]) + data) == checksum, f"{path}: bad checksum at byte {at}"
        at += HEADER + length
        parts.append(data)
        if kind in (FULL, LAST):
            yield b"".join(parts)
            parts = []
        else:
            assert kind in (FIRST, MIDDLE)
    assert not parts, f"{path} ends within a record"


def records(path: Path) -> Iterator[Any]:
    """The records as `wandb_internal_pb2.Record`."""
    from wandb.proto import wandb_internal_pb2

    for data in raw_records(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        yield record


def item_name(item: Any) -> str:
    return item.key or ".".join(item.nested_key)


def history(path: Path) -> list[dict[str, Any]]:
    """Every logged row, without what W&B adds (names that begin with an underscore, `_step` excepted)."""
    rows = []
    for record in records(path):
        if record.WhichOneof("record_type") == "history":
            row = {item_name(item): json.loads(item.value_json) for item in record.history.item}
            rows.append({name: value for name, value in row.items() if name == "_step" or not name.startswith("_")})
    return rows


def run(path: Path) -> Any:
    """The run's own record: id, group, job type, tags, config."""
    return next(record.run for record in records(path) if record.WhichOneof("record_type") == "run")


def summary(path: Path) -> dict[str, Any]:
    """What was set in the run's summary, later values over earlier ones."""
    values: dict[str, Any] = {}
    for record in records(path):
        if record.WhichOneof("record_type") == "summary":
            values.update({item_name(item): json.loads(item.value_json) for item in record.summary.update})
    return values


def artifacts(path: Path) -> list[Any]:
    """The artifact records."""
    return [
        record.request.log_artifact.artifact if record.HasField("request") else record.artifact
        for record in records(path)
        if record.WhichOneof("record_type") == "artifact"
        or (record.HasField("request") and record.request.WhichOneof("request_type") == "log_artifact")
    ]
