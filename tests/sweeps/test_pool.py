"""Workers run tasks, and no failure, no kill and no dead controller loses one or leaves a process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.errors import ConfigError, HarnessError
from repro.sweeps import cores
from repro.sweeps.cores import share_cores
from repro.sweeps.pool import Pool, named_exit
from repro.sweeps.tasks import (
    Died,
    Diverged,
    Event,
    Failed,
    Finished,
    Interrupted,
    Progress,
    Pruned,
    Started,
    Task,
)

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


def pool(workers: int = 1, **options: object) -> Pool:
    return Pool(workers, 1, import_torch=False, **options)  # type: ignore[arg-type]


def counting(name: str, folder: Path, updates: int) -> Task:
    (folder / name).mkdir()
    return Task(name, "fake_tasks:count", {"folder": str(folder / name), "updates": updates})


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if Path("/proc/self").exists() else True


def gone(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(alive, pids))


def test_workers_import_once_and_print_nothing(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    events: list[Event] = []
    with pool(2, log_folder=tmp_path) as workers:
        tasks = [Task(f"t{i}", "fake_tasks:double", {"number": i}) for i in range(8)]
        ended = workers.run(tasks, events.append)
    assert list(ended) == [task.id for task in tasks]
    assert [ended[f"t{i}"].result["double"] for i in range(8)] == [0, 2, 4, 6, 8, 10, 12, 14]
    assert len({end.result["pid"] for end in ended.values()}) <= 2
    assert {end.result["threads"] for end in ended.values()} == {"1"}
    assert sum(isinstance(event, Started) for event in events) == 8
    assert Progress("t3", 1, 1, {"loss": 3.0}, None) in events
    assert "must not reach" in "".join(log.read_text() for log in tmp_path.glob("worker-*.log"))
    assert capfd.readouterr() == ("", "")


def test_no_failure_is_lost() -> None:
    with pool() as workers:
        tasks = [
            Task(how, "fake_tasks:fail", {"how": how}) for how in ("repro", "diverge", "exit", "unpicklable", "bug")
        ]
        ended = workers.run(
            [*tasks, Task("missing", "no_such_module:f"), Task("good", "fake_tasks:double", {"number": 1})]
        )
    assert ended["repro"] == Failed("repro", "model.width: got 0, need at least 1")
    assert ended["diverge"] == Diverged("diverge", "loss term total is NaN at update 7")
    assert ended["exit"] == Failed("exit", "the code called sys.exit(3)")
    assert isinstance(ended["unpicklable"], Failed) and "cannot be sent" in ended["unpicklable"].error
    assert isinstance(ended["bug"], Failed)
    assert "ZeroDivisionError: own bug" in ended["bug"].error and "fake_tasks.py" in ended["bug"].error
    assert isinstance(ended["missing"], Failed) and "no_such_module" in ended["missing"].error
    assert isinstance(ended["good"], Finished)


def test_a_killed_workers_task_resumes_in_another(tmp_path: Path) -> None:
    events: list[Event] = []
    killed = False
    with pool(2) as workers:
        for name in ("a", "b"):
            workers.submit(counting(name, tmp_path, 12))
        for event in workers.events():
            events.append(event)
            if isinstance(event, Progress) and event.task == "a" and event.update == 4 and not killed:
                os.kill(workers.process_ids["a"], signal.SIGKILL)
                killed = True
    assert [event for event in events if isinstance(event, Died)] == [
        Died("a", "its worker was killed by SIGKILL", True)
    ]
    assert [event for event in events if isinstance(event, Finished)] == sorted(
        [Finished("a", {"count": 12}), Finished("b", {"count": 12})], key=lambda e: events.index(e)
    )
    assert len((tmp_path / "a" / "started").read_text().split()) == 2
    updates = [event.update for event in events if isinstance(event, Progress) and event.task == "a"]
    assert updates[-1] == 12 and updates.count(1) == 1, "it went on from its checkpoint"


def test_sigterm_to_a_worker_alone_is_a_death_after_a_checkpoint(tmp_path: Path) -> None:
    events: list[Event] = []
    with pool() as workers:
        workers.submit(counting("a", tmp_path, 10))
        for event in workers.events():
            events.append(event)
            if isinstance(event, Progress) and event.update == 3 and len(workers.process_ids) == 1:
                os.kill(workers.process_ids["a"], signal.SIGTERM)
    assert any(isinstance(event, Died) for event in events)
    assert events[-1] == Finished("a", {"count": 10})


def test_a_task_that_always_kills_its_worker_fails_in_the_end() -> None:
    with pool(retries=1) as workers:
        ended = workers.run([Task("a", "fake_tasks:die", {"code": 7}), Task("b", "fake_tasks:double", {"number": 2})])
    assert ended["a"] == Failed("a", "its worker exited with code 7, 2 times\nlast words")
    assert isinstance(ended["b"], Finished)


def test_prune_stops_one_task(tmp_path: Path) -> None:
    with pool(2) as workers:
        workers.submit(counting("a", tmp_path, 10_000))
        workers.submit(counting("b", tmp_path, 10))
        last = {}
        for event in workers.events():
            last[event.task] = event
            if isinstance(event, Progress) and event.task == "a" and event.update == 3:
                workers.prune("a")
    assert last == {"a": Pruned("a"), "b": Finished("b", {"count": 10})}


def test_leaving_by_ctrl_c_checkpoints_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), pool(1) as workers:
        workers.submit(counting("a", tmp_path, 10_000))
        workers.submit(counting("b", tmp_path, 10_000))
        for event in workers.events():
            if isinstance(event, Progress) and event.update == 3:
                pids = list(workers.process_ids.values())
                raise KeyboardInterrupt
    assert gone(pids, 0.5)
    assert [event for event in workers.happened] == []
    assert int((tmp_path / "a" / "count").read_text()) >= 3
    assert not (tmp_path / "b" / "started").exists()


def test_stop_ends_every_task_as_interrupted(tmp_path: Path) -> None:
    with pool(1) as workers:
        workers.submit(counting("a", tmp_path, 10_000))
        workers.submit(counting("b", tmp_path, 10_000))
        while not any(isinstance(event, Progress) for event in workers.wait()):
            pass
        ended = [event for event in workers.stop() if isinstance(event, Interrupted)]
    assert sorted(event.task for event in ended) == ["a", "b"]
    assert workers.outstanding == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_leave_when_the_controller_does(tmp_path: Path, number: int) -> None:
    controller = subprocess.Popen(
        [sys.executable, str(HERE / "controller.py"), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with controller:
        assert controller.stdout is not None
        pids = [int(controller.stdout.readline()) for _ in range(2)]
        controller.send_signal(number)
    assert gone(pids, 5)
    assert controller.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: -2}[number]


def test_workers_that_cannot_start_are_an_error_with_their_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.sweeps.pool.BOOTSTRAP", "raise SystemExit('no such wheel')")
    with (
        pytest.raises(HarnessError, match=r"3 workers in a row.*exited with code 1\nno such wheel"),
        pool() as workers,
    ):
        workers.run([Task("a", "fake_tasks:double", {"number": 1})])


@pytest.fixture
def torch_pool() -> Iterator[Pool]:
    with Pool(1, 2) as workers:
        yield workers


def test_threads_reach_torch(torch_pool: Pool) -> None:
    ended = torch_pool.run([Task("a", "fake_tasks:torch_threads")])
    assert ended["a"] == Finished("a", {"threads": 2})


@pytest.mark.parametrize(
    ("workers", "threads", "of", "expected"),
    [
        (None, None, 2, (2, 1)),
        (1, None, 2, (1, 2)),
        (3, None, 2, (3, 1)),  # more workers than cores: one thread each
        (None, 4, 16, (4, 4)),
        (None, 4, 2, (1, 4)),
        (5, 7, 2, (5, 7)),
    ],
)
def test_cores_are_shared(workers: int | None, threads: int | None, of: int, expected: tuple[int, int]) -> None:
    assert share_cores(workers, threads, of) == expected


@pytest.mark.parametrize(
    ("limit", "usable"),
    [("max 100000", 64), ("150000 100000", 2), ("50000 100000", 1), ("9900000 100000", 64), ("", 64)],
)
def test_the_quota_of_a_container_limits_the_cores(
    limit: str, usable: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: range(64), raising=False)
    monkeypatch.setattr(cores, "CGROUP_LIMIT", tmp_path / "cpu.max")
    (tmp_path / "cpu.max").write_text(limit)
    assert cores.available_cores() == usable


def test_no_workers_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="workers: got 0"):
        share_cores(0, None, 2)


def test_exits_are_named() -> None:
    assert named_exit(-9) == "was killed by SIGKILL"
    assert named_exit(3) == "exited with code 3"
