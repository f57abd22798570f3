"""Mixed precision and several processes change how numbers are computed, not which updates are made."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
import torch

from repro.errors import ComponentError, DivergedError
from repro.tracking.store import ProcessStore
from repro.training.interruption import Interrupted
from repro.training.train import train
from tests.training.fakes import paper
from tests.training.test_loop import rows, spec


def weights(store):
    return torch.load(store.folder / "checkpoint.pt", weights_only=True)["model"]


def close(one, other, tolerance):
    return all(torch.allclose(one[name], other[name], atol=tolerance) for name in one)


def test_mixed_precision_trains_nearly_the_same_and_resumes(tmp_path):
    full, mixed = ProcessStore(tmp_path / "full"), ProcessStore(tmp_path / "mixed")
    train(spec(), paper(), full)
    with pytest.raises(Interrupted):
        train(spec(precision="bf16-mixed"), paper(training={"signal_at": 7}), mixed)
    result = train(spec(precision="bf16-mixed"), paper(), mixed)
    assert result.status == "finished" and result.resumed_from == 7
    assert set(weights(mixed)) == set(weights(full))  # Fabric's wrapper leaves no prefix in a name
    assert close(weights(full), weights(mixed), 0.05) and not close(weights(full), weights(mixed), 1e-7)
    again = ProcessStore(tmp_path / "again")
    train(spec(precision="bf16-mixed"), paper(), again)
    assert rows(again) == rows(mixed)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_make_the_updates_of_one(tmp_path):
    """Without dropout, two halves of a batch averaged are the batch: the weights agree to rounding."""
    still = {"dropout": 0.0}
    one, two = ProcessStore(tmp_path / "one"), ProcessStore(tmp_path / "two")
    train(spec(), paper(model=still), one)
    seen = []
    result = train(spec(devices=2), paper(model=still), two, progress=lambda *arguments: seen.append(arguments[0]))
    assert result.status == "finished" and result.metrics["error"] == pytest.approx(
        one.metrics["metrics"]["error"], rel=1e-4
    )
    assert close(weights(one), weights(two), 1e-5)
    assert [(row["update"], row["split"]) for row in two.rows] == [(row["update"], row["split"]) for row in one.rows]
    assert two.record["devices"] == 2


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_stop_together_and_resume_bit_for_bit(tmp_path):
    whole, stopped = ProcessStore(tmp_path / "whole"), ProcessStore(tmp_path / "stopped")
    train(spec(devices=2), paper(), whole)
    with pytest.raises(Interrupted, match="saved at update 8") as stop:
        # each of the two is signalled in its own update 7; they agree at the next logged one
        train(spec(devices=2), paper(training={"signal_at": 7}), stopped)
    assert stop.value.exit_code == 143
    train(spec(devices=2), paper(), stopped)
    assert rows(stopped) == rows(whole)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("training", "error", "message"),
    [({"nan_at": 5}, DivergedError, "update 5 of 30"), ({"raise_at": 5}, ComponentError, "a bug of the person's")],
)
def test_an_error_in_two_processes_comes_back_as_itself(tmp_path, training, error, message):
    with pytest.raises(error, match=message):
        train(spec(devices=2), paper(training=training), ProcessStore(tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_signal_to_the_parent_reaches_both(tmp_path):
    store = ProcessStore(tmp_path)

    def stop_soon():
        deadline = time.monotonic() + 200
        while not store.rows and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop_soon, daemon=True)
    thread.start()
    with pytest.raises(Interrupted):
        train(spec(devices=2, updates=20000, evaluate_every=None, checkpoint_every=5000), paper(), store)
    thread.join()
    assert store.record["status"] == "interrupted" and 0 < store.record["update"] < 20000
