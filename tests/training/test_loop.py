"""The loop does what an undisturbed loop would do, whatever kills it."""

from __future__ import annotations

import json
import math
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from repro.errors import ComponentError, ConfigError, DivergedError, ExitCode
from repro.tracking.store import ProcessStore
from repro.training.checkpoint import kept_files
from repro.training.interruption import Interrupted
from repro.training.process import ProcessSpec
from repro.training.train import train
from tests.training.fakes import paper


def spec(**changes):
    given = {
        "process": "seed-0",
        "kind": "reproduction",
        "seed": 0,
        "updates": 30,
        "log_every": 2,
        "evaluate_every": 10,
        "checkpoint_every": 5,
        "device": "cpu",
        "threads": 1,
    }
    return ProcessSpec(**{**given, **changes})


def rows(store):
    """The trajectory without its times, which no two lives share."""
    return [{key: value for key, value in row.items() if key != "time"} for row in store.rows]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    store = ProcessStore(tmp_path_factory.mktemp("undisturbed"))
    return train(spec(), paper(), store), rows(store), store


def test_an_undisturbed_run_logs_evaluates_and_ends(undisturbed):
    result, trajectory, store = undisturbed
    assert (result.status, result.update, result.resumed_from) == ("finished", 30, None)
    assert [row["update"] for row in trajectory if row["split"] == "train"] == list(range(2, 31, 2))
    assert [row["update"] for row in trajectory if row["split"] == "validation"] == [10, 20, 30]
    assert trajectory[-1]["split"] == "test" and trajectory[-1]["error"] == result.metrics["error"]
    assert set(trajectory[0]) == {"update", "split", "total", "shift"}
    assert store.metrics["signatures"] == {"error": "mean of squares"}
    record = store.record
    assert (record["status"], record["update"], record["threads"], record["device"]) == (
        "finished",
        30,
        1,
        "cpu",
    )


def test_the_loop_is_the_bare_loop(undisturbed):
    """The last logged total, computed by hand from the same components and seeds."""
    from repro.training import randomness

    fake = paper()
    randomness.seed_everything(0)
    data = fake.build_data(0)
    model = fake.build_model(0)
    training = fake.build_training(model, fake.build_loss())
    randomness.seed_everything(randomness.derive(0, "training"))
    for update in range(30):
        if update % 3 == 0:
            stream = data.batches("train")
        terms = training.update(next(stream))
        if update % 3 == 2:
            assert next(stream, None) is None  # the pass ends and shuffles
    (last,) = (row for row in undisturbed[1] if row["update"] == 30 and row["split"] == "train")
    assert last["total"] == terms["total"].item()


def test_the_same_seed_gives_the_same_trajectory_and_another_seed_another(undisturbed, tmp_path):
    for name, seed in (("again", 0), ("other", 1)):
        train(spec(seed=seed), paper(), ProcessStore(tmp_path / name))
    assert rows(ProcessStore(tmp_path / "again")) == undisturbed[1]
    assert rows(ProcessStore(tmp_path / "other")) != undisturbed[1]


def test_pictures_are_kept_once_and_disturb_nothing(undisturbed, tmp_path):
    store = ProcessStore(tmp_path)
    result = train(spec(pictures=True), paper(), store)
    assert rows(store) == undisturbed[1] and result.metrics == undisturbed[0].metrics
    ((picture,), fault) = store.pictures
    assert (picture["name"], picture["kind"], picture["caption"], fault) == ("fit", "lines", "what the model says", "")
    assert [len(line) for line in picture["values"]] == [12]
    assert undisturbed[2].pictures == ([], "")


def test_a_fault_in_pictures_costs_the_pictures_only(tmp_path):
    store = ProcessStore(tmp_path)
    result = train(spec(pictures=True), paper(evaluation={"interrupt": "no pictures"}), store)
    assert result.status == "finished" and result.metrics["error"] == store.metrics["metrics"]["error"]
    drawn, fault = store.pictures
    assert drawn == [] and "no camera here" in fault and "fakes.py" in fault
    assert store.record["notes"] == [f"No pictures: {fault}"]


def test_evaluating_more_often_does_not_disturb_training(undisturbed, tmp_path):
    store = ProcessStore(tmp_path)
    train(spec(evaluate_every=3), paper(), store)
    train_rows = [row for row in rows(store) if row["split"] == "train"]
    assert train_rows == [row for row in undisturbed[1] if row["split"] == "train"]


def test_a_process_that_ended_is_read_not_trained_again(undisturbed, tmp_path):
    result, _, store = undisturbed
    again = train(spec(), paper(training={"raise_at": 1}), store)
    assert again.already_done and again.metrics == result.metrics


KILLER = """
import json, os, signal, sys, random
import torch
import torch._dynamo  # the first optimiser imports it: once here instead of in every life
torch.set_num_threads(1)
from repro.tracking.store import ProcessStore
from repro.training import checkpoint
from repro.training.train import train
from tests.training.fakes import paper
from tests.training.test_loop import spec

folder, lives = sys.argv[1], json.loads(sys.argv[2])
for life in lives:
    child = os.fork()  # quicker than a new interpreter that imports torch
    if child == 0:
        try:
            if life.get("kill_in_write"):
                written = 0
                replace = os.replace
                def dying(source, target):
                    global written
                    written += 1
                    if written == life["kill_in_write"]:
                        os.kill(os.getpid(), signal.SIGKILL)
                    replace(source, target)
                os.replace = dying
            train(spec(keep_checkpoints=3), paper(training={"kill_at": life.get("kill_at")}), ProcessStore(folder))
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    died = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    print(json.dumps({"died": died, "exit": os.waitstatus_to_exitcode(status)}))
"""


def test_killed_at_any_moment_the_same_command_ends_with_the_same_numbers(tmp_path):
    whole = ProcessStore(tmp_path / "whole")
    train(spec(keep_checkpoints=3), paper(), whole)
    draw = random.Random(20)
    # before anything is logged, while a checkpoint or process.json is being renamed, then inside updates
    lives = [{"kill_at": 1}, {"kill_in_write": 2}, {"kill_in_write": 3}, {"kill_in_write": 4}]
    lives += [{"kill_at": update} for update in sorted(draw.sample(range(11, 31), 4))]
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(tmp_path / "killed"), json.dumps([*lives, {}])],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    ends = [json.loads(line) for line in done.stdout.splitlines()]
    assert ends and ends[-1]["exit"] == 0, done.stderr
    assert [end["died"] for end in ends] == [True] * len(lives) + [False]
    killed = ProcessStore(tmp_path / "killed")
    assert rows(killed) == rows(whole)
    assert killed.metrics == whole.metrics
    last = [torch.load(store.folder / "checkpoint.pt", weights_only=True) for store in (whole, killed)]
    assert all(torch.equal(last[0]["model"][name], last[1]["model"][name]) for name in last[0]["model"])
    assert [update for update, _ in kept_files(killed.folder)] == [10, 20, 30]


@pytest.mark.parametrize("signal_at", [1, 10, 17, 30])
def test_a_signal_finishes_the_update_saves_and_resumes(undisturbed, tmp_path, signal_at):
    store = ProcessStore(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match=f"SIGTERM at update {signal_at} of 30; saved at update {signal_at}") as stop:
        train(spec(), paper(training={"signal_at": signal_at}), store)
    assert stop.value.exit_code is ExitCode.TERMINATED
    assert signal.getsignal(signal.SIGTERM) is before
    assert (store.record["status"], store.record["update"]) == ("interrupted", signal_at)
    result = train(spec(), paper(), store)
    assert result.resumed_from == signal_at
    assert rows(store) == undisturbed[1]


def test_ctrl_c_inside_an_evaluation_does_not_wait_for_its_end(undisturbed, tmp_path):
    store = ProcessStore(tmp_path / "seed-0")
    interrupting = paper(evaluation={"interrupt": str(tmp_path / "once")})
    with pytest.raises(Interrupted, match="SIGINT at update 10") as stop:
        train(spec(), interrupting, store)
    assert stop.value.exit_code is ExitCode.INTERRUPTED
    assert not [row for row in store.rows if row["split"] == "validation"]
    assert train(spec(), interrupting, store).resumed_from == 10
    assert rows(store) == undisturbed[1]  # the evaluation was made up for


def test_before_the_first_checkpoint_it_starts_from_the_beginning(undisturbed, tmp_path):
    store = ProcessStore(tmp_path)
    with pytest.raises(ComponentError, match="a bug of the person's"):
        train(spec(checkpoint_every=None, evaluate_every=None), paper(training={"raise_at": 9}), store)
    assert store.record["status"] == "failed" and "a bug of the person's" in store.record["error"]
    result = train(spec(checkpoint_every=None), paper(), store)
    assert result.resumed_from is None and rows(store) == undisturbed[1]
    assert not (tmp_path / "checkpoint.pt").exists()


def test_another_number_of_threads_is_said_once(tmp_path):
    store = ProcessStore(tmp_path)
    for signal_at, threads in ((3, 1), (5, 2), (7, 2)):
        with pytest.raises(Interrupted):
            train(spec(threads=threads), paper(training={"signal_at": signal_at}), store)
    result = train(spec(threads=2), paper(), store)
    assert len(result.notes) == 1 and "threads 1 → 2" in result.notes[0]
    assert store.record["notes"] == list(result.notes)


def test_a_loss_that_is_not_finite_names_update_and_term_and_is_remembered(tmp_path):
    store = ProcessStore(tmp_path)
    # update 13 lies between two logged ones: nothing is read at it
    with pytest.raises(DivergedError, match=r"total became nan at update 13 of 30; not finite too: shift") as caught:
        train(spec(log_every=10), paper(training={"nan_at": 13}), store)
    assert caught.value.exit_code is ExitCode.GATE_FAILED
    assert (store.record["status"], store.record["update"]) == ("diverged", 13)
    assert [row["update"] for row in store.rows if row["split"] == "train"] == [10]
    with pytest.raises(DivergedError, match="update 13"):
        train(spec(log_every=10), paper(), store)


def test_a_report_prunes(tmp_path):
    seen = []

    def report(update, value):
        seen.append((update, value))
        return update == 20

    store = ProcessStore(tmp_path)
    result = train(spec(objective="validation/error"), paper(), store, report=report)
    assert result.status == store.record["status"] == "pruned" and result.update == 20
    assert [update for update, _ in seen] == [10, 20] and all(math.isfinite(value) for _, value in seen)
    with pytest.raises(ComponentError, match=r"objective 'train/none' is not among .* total, shift"):
        train(spec(objective="train/none"), paper(), ProcessStore(tmp_path / "b"), report=report)


def test_progress_gives_values_and_time_left(tmp_path):
    seen = []
    train(spec(updates=6), paper(), ProcessStore(tmp_path), progress=lambda *arguments: seen.append(arguments))
    assert [update for update, *_ in seen] == [2, 4, 6]
    assert set(seen[0][2]) == {"total", "shift"} and seen[0][1] == 6
    assert seen[0][3] > 0 and seen[-1][3] == 0


def test_an_evaluation_gets_trajectory_and_the_last_k_checkpoints(tmp_path):
    result = train(spec(keep_checkpoints=2), paper(), ProcessStore(tmp_path))
    assert result.metrics["kept"] == 2.0
    assert result.metrics["rows"] == 15 + 3
    assert [update for update, _ in kept_files(tmp_path)] == [20, 30]


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ({"training": {"returns": 3.0}}, "update returned a float, need a dict of scalars"),
        ({"training": {"returns": {"total": 1.0, "name": "x"}}}, "'name': a str"),
        ({"data": {"empty": True}}, r"batches\('train'\) yields nothing"),
    ],
)
def test_a_broken_promise_is_named(tmp_path, components, message):
    store = ProcessStore(tmp_path)
    with pytest.raises(ComponentError, match=message):
        train(spec(), paper(**components), store)
    assert store.record["status"] == "failed"


def test_a_device_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="got 'cuda:77'; this machine has cpu"):
        train(spec(device="cuda:77"), paper(), ProcessStore(tmp_path))


def test_faults_of_a_spec_come_all_at_once():
    with pytest.raises(ConfigError, match=r"(?s)updates: got 0.*precision: got '8'"):
        spec(updates=0, precision="8")


def test_a_full_disk_while_saving_is_said_clearly(tmp_path, monkeypatch):
    from repro.errors import RunFolderError

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", refuse)
    with pytest.raises(RunFolderError, match=r"checkpoint\.pt: No space left.*\n.*disk is full"):
        train(spec(), paper(), ProcessStore(tmp_path))


def overhead(tmp_path, repeats=4, updates=200):
    """Best time of a stretch of our loop over that of a bare one, same components."""
    fake = paper(model={"width": 64})

    def bare():
        data, model = fake.build_data(0), fake.build_model(0)
        training = fake.build_training(model, fake.build_loss())
        done = 0
        began = time.perf_counter()
        while done < updates:
            for batch in data.batches("train"):
                training.update(batch)
                done += 1
        return time.perf_counter() - began

    def ours(i):
        times = []
        train(
            spec(updates=updates, log_every=10, evaluate_every=None, checkpoint_every=None, final_split=None),
            fake, ProcessStore(tmp_path / str(i)), progress=lambda *_: times.append(time.perf_counter()),
        )  # fmt: skip
        return (times[-1] - times[0]) * updates / (updates - 10)

    pairs = [(bare(), ours(i)) for i in range(repeats)]
    return min(b for b, _ in pairs), min(o for _, o in pairs)


@pytest.mark.slow
def test_the_loop_costs_at_most_a_tenth_of_a_tiny_update(tmp_path):
    bare, ours = overhead(tmp_path)
    assert ours <= 1.10 * bare, f"{ours / bare:.3f} of the bare loop, {(ours - bare) / 200 * 1e6:.0f} µs an update"
