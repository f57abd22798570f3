"""The folder of one process of training: its record, its trajectory and its final metrics, true after any kill.

`trajectory.jsonl` is append-only, one row for each pair of update and split:

    {"update": 10, "split": "train", "time": 1.84, "total": 4.07, "learning_rate": 0.0002}
    {"superseded_after": 200}

`update` counts calls of the paper's `update`, `time` is seconds of training since the process first began, pauses left
out; a metric that is not finite is the string "NaN", "Infinity" or "-Infinity". A marker row, written on resume, drops
every earlier row beyond the checkpoint; of two rows for one update and split the later holds. So a row is never doubled
and nothing that was written is ever rewritten.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from repro.tracking.files import (
    decode_number,
    dumps,
    folder_errors,
    read_json,
    read_lines,
    write_json,
    write_whole,
)

RECORD = "process.json"
TRAJECTORY = "trajectory.jsonl"
METRICS = "metrics.json"
PICTURES = "pictures.json"

#: A process in one of these states is not run again: the same seed and code would end the same way.
ENDED = frozenset({"finished", "diverged", "pruned"})

_KEYS = frozenset({"update", "split", "time"})


def now() -> str:
    """The present moment, UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def effective_rows(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that hold, in order: markers applied, later rows for one (update, split) in place of earlier ones.

    Numbers are decoded: the strings for NaN and the infinities become floats.
    """
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    for line in lines:
        if "superseded_after" in line:
            rows = {key: row for key, row in rows.items() if key[0] <= line["superseded_after"]}
            continue
        key = (line["update"], line["split"])
        rows.pop(key, None)  # the later row also takes the later place
        rows[key] = {name: decode_number(value) if name != "split" else value for name, value in line.items()}
    return list(rows.values())


def metrics_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a row, without `update`, `split` and `time`."""
    return {name: value for name, value in row.items() if name not in _KEYS}


class ProcessStore:
    """Reads and writes one process folder; `begin` before the first `append`, `close` (or `with`) at the end.

    Reading (`record`, `rows`, `metrics`) needs no `begin` and disturbs no writer.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def record(self) -> dict[str, Any]:
        """What process.json says; `{}` before the process began."""
        return read_json(self.folder / RECORD) or {}

    @property
    def status(self) -> str:
        """running | finished | failed | diverged | interrupted | pruned, or "" before the process began."""
        return str(self.record.get("status", ""))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The effective trajectory: dicts with update, split, time and one float (or None) a metric."""
        return effective_rows(read_lines(self.folder / TRAJECTORY))

    @property
    def metrics(self) -> dict[str, Any]:
        """What metrics.json says, its numbers decoded; `{}` while there is none."""
        record = read_json(self.folder / METRICS) or {}
        if "metrics" in record:
            record["metrics"] = {name: decode_number(value) for name, value in record["metrics"].items()}
        return record

    @property
    def pictures(self) -> tuple[list[dict[str, Any]], str]:
        """The entries of the pictures that it drew, and what went wrong with them; ([], "") where it drew none."""
        index = read_json(self.folder / PICTURES) or {}
        return list(index.get("pictures") or ()), str(index.get("fault") or "")

    def begin(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Opens the folder for writing, new or after any death; what process.json already holds is kept.

        `record` (process, kind, seed, name, changes, updates, …) is laid over it; status becomes "running"; `started`
        stays that of the first begin. Returns the record that now stands.

        Raises:
            RunFolderError: the folder cannot be made or written.
        """
        with folder_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._drop_torn_line()
            if self._descriptor is None:
                self._descriptor = os.open(
                    self.folder / TRAJECTORY, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644
                )
        old = self.record
        new = {"started": now(), **old, **record, "status": "running", "ended": None, "error": ""}
        write_json(self.folder / RECORD, new)
        return new

    def change(self, **changes: Any) -> dict[str, Any]:
        """Lays `changes` over process.json, atomically; returns the record that now stands."""
        record = {**self.record, **changes}
        write_json(self.folder / RECORD, record)
        return record

    def end(self, status: str, *, error: str = "", **changes: Any) -> dict[str, Any]:
        """Records how the process ended (or paused: "interrupted"), with the time, and closes the trajectory."""
        self.close()
        return self.change(status=status, error=error, ended=now(), **changes)

    def append(self, update: int, split: str, metrics: Mapping[str, float | None], time: float = 0.0) -> None:
        """Adds one row, in the operating system's hands when this returns, so kill -9 cannot take it back.

        Raises:
            RunFolderError: disk full or read-only; rows before this one stay readable.
            ValueError: a metric is called update, split or time.
        """
        clash = _KEYS & metrics.keys()
        if clash:
            raise ValueError(f"a metric may not be called {', '.join(sorted(clash))}: the trajectory uses that name")
        self._write({"update": update, "split": split, "time": round(time, 4), **metrics})

    def supersede_after(self, update: int) -> None:
        """Drops the rows beyond `update`, the checkpoint that training resumes from; -1 drops every row."""
        self._write({"superseded_after": update})

    def write_metrics(
        self,
        metrics: Mapping[str, float | None],
        *,
        update: int,
        split: str = "test",
        statistic: str = "last",
        signatures: Mapping[str, str] | None = None,
    ) -> None:
        """Writes metrics.json, the numbers that the verdict reads; `signatures` say how a metric was computed."""
        write_json(
            self.folder / METRICS,
            {
                "split": split,
                "statistic": statistic,
                "update": update,
                "metrics": dict(metrics),
                "signatures": dict(signatures or {}),
            },
        )

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._descriptor is None:
            raise ValueError(f"{self.folder}: begin() the process before writing to its trajectory")
        with folder_errors(self.folder / TRAJECTORY):
            write_whole(self._descriptor, (dumps(line) + "\n").encode())

    def _drop_torn_line(self) -> None:
        """Cuts off what follows the last newline: a line that a kill or a full disk left unfinished."""
        path = self.folder / TRAJECTORY
        if not path.exists():
            return
        raw = path.read_bytes()
        whole = raw.rfind(b"\n") + 1
        if whole < len(raw):
            os.truncate(path, whole)
