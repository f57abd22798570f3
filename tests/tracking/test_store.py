"""The store survives kills and full disks, and never shows a row twice."""

from __future__ import annotations

import errno
import json
import math
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.errors import RunFolderError
from repro.tracking.store import ProcessStore, effective_rows, metrics_of


@pytest.fixture
def store(tmp_path):
    with ProcessStore(tmp_path / "seed-0") as store:
        store.begin({"process": "seed-0", "kind": "reproduction", "seed": 0, "updates": 40})
        yield store


def test_rows_come_back_as_written(store):
    store.append(10, "train", {"total": 2.5}, time=1.25)
    store.append(10, "validation", {"exact_match": 0.1})
    assert store.rows == [
        {"update": 10, "split": "train", "time": 1.25, "total": 2.5},
        {"update": 10, "split": "validation", "time": 0.0, "exact_match": 0.1},
    ]


def test_values_that_are_not_finite_are_strict_json_and_come_back(store):
    store.append(1, "train", {"total": math.nan, "norm": math.inf, "low": -math.inf, "none": None})
    raw = (store.folder / "trajectory.jsonl").read_text()
    assert json.loads(raw, parse_constant=pytest.fail)["total"] == "NaN"
    row = metrics_of(store.rows[0])
    assert math.isnan(row["total"])
    assert (row["norm"], row["low"], row["none"]) == (math.inf, -math.inf, None)


def test_rows_beyond_the_checkpoint_are_superseded_but_stay_in_the_file(store):
    for update in (10, 20, 30):
        store.append(update, "train", {"total": float(update)})
    store.supersede_after(20)
    store.append(30, "train", {"total": 31.0})
    assert [(row["update"], row["total"]) for row in store.rows] == [(10, 10.0), (20, 20.0), (30, 31.0)]
    assert len((store.folder / "trajectory.jsonl").read_text().splitlines()) == 5


def test_superseding_after_minus_one_drops_update_zero_too(store):
    store.append(0, "validation", {"loss": 5.3})
    store.supersede_after(-1)
    assert store.rows == []


def test_a_later_row_for_the_same_update_and_split_holds(store):
    # killed between the last evaluation and metrics.json: the evaluation is logged once more
    store.append(40, "test", {"bleu": 27.0})
    store.append(40, "test", {"bleu": 27.0})
    assert len(store.rows) == 1


def test_a_torn_last_line_is_ignored_and_cut_off_on_resume(store):
    store.append(10, "train", {"total": 2.5})
    store.close()
    path = store.folder / "trajectory.jsonl"
    with path.open("a") as file:
        file.write('{"update": 20, "spl')
    assert [row["update"] for row in store.rows] == [10]
    store.begin({})
    store.append(20, "train", {"total": 2.0})
    assert [row["update"] for row in store.rows] == [10, 20]


def test_damage_before_the_last_line_is_named(store):
    store.append(10, "train", {"total": 2.5})
    path = store.folder / "trajectory.jsonl"
    path.write_text("\0\0\0\n" + path.read_text())
    with pytest.raises(RunFolderError, match=r"trajectory\.jsonl line 1 is not JSON"):
        _ = store.rows


def test_the_record_keeps_what_it_knew_over_a_resume(store):
    started = store.change(wandb_id="abc", started="2026-01-01T00:00:00+00:00")["started"]
    store.end("interrupted", update=17)
    record = store.begin({"threads": 2})
    assert (record["wandb_id"], record["started"], record["update"]) == ("abc", started, 17)
    assert (record["status"], record["ended"], record["threads"]) == ("running", None, 2)


def test_a_metric_may_not_take_the_name_of_a_column(store):
    with pytest.raises(ValueError, match="update"):
        store.append(1, "train", {"update": 3.0})


def test_metrics_come_back(store):
    store.write_metrics({"bleu": 27.3, "loss": math.nan}, update=40, signatures={"bleu": "nrefs:1|tok:13a"})
    record = store.metrics
    assert record["metrics"]["bleu"] == 27.3 and math.isnan(record["metrics"]["loss"])
    assert (record["split"], record["statistic"], record["update"]) == ("test", "last", 40)
    assert record["signatures"] == {"bleu": "nrefs:1|tok:13a"}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_full_or_read_only_disk_is_said_clearly(store, monkeypatch, code):
    store.append(10, "train", {"total": 2.5})

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(RunFolderError, match="runs_folder") as caught:
        store.append(20, "train", {"total": 2.0})
    assert "trajectory.jsonl" in str(caught.value) and os.strerror(code) in str(caught.value)
    monkeypatch.undo()
    assert [row["update"] for row in store.rows] == [10]


def test_a_folder_that_cannot_be_made_is_said_clearly(tmp_path):
    (tmp_path / "runs").write_text("a file where a folder is needed")
    with pytest.raises(RunFolderError, match="runs_folder"):
        ProcessStore(tmp_path / "runs" / "seed-0").begin({})


def test_a_failed_write_leaves_the_old_record(store, monkeypatch):
    before = store.record

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(RunFolderError, match="disk is full"):
        store.change(status="finished")
    monkeypatch.undo()
    assert store.record == before
    assert not list(store.folder.glob("*.tmp")) and not list(store.folder.glob(".*.tmp"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), max_size=8))
def test_any_history_of_kills_reads_like_no_kill(deaths):
    """Each life trains from its checkpoint (every 2 updates) to where it dies; the last one reaches update 6."""
    lines: list[dict] = []
    checkpoint = 0
    for dies_at, _ in [*deaths, (6, 0)]:
        lines.append({"superseded_after": checkpoint if checkpoint else -1})
        for update in range(checkpoint + 1, dies_at + 1):
            lines.append({"update": update, "split": "train", "total": float(update)})
            if update % 2 == 0:
                checkpoint = update
    rows = effective_rows(lines)
    assert [row["update"] for row in rows] == [1, 2, 3, 4, 5, 6]
