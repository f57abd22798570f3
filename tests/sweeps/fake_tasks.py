"""Tasks that the tests of the pool run in real worker processes."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from repro.errors import ConfigError, DivergedError
from repro.sweeps.tasks import Stopped
from repro.sweeps.worker import Control


def double(control: Control, number: int) -> dict[str, Any]:
    print("this must not reach the terminal")
    control.progress(1, 1, {"loss": float(number)})
    return {"double": 2 * number, "pid": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"]}


def fail(control: Control, how: str) -> dict[str, Any]:
    if how == "repro":
        raise ConfigError("model.width: got 0, need at least 1")
    if how == "diverge":
        raise DivergedError("loss term total is NaN at update 7")
    if how == "exit":
        sys.exit(3)
    if how == "unpicklable":
        return {"function": lambda: None}
    raise ZeroDivisionError("own bug")


def die(control: Control, code: int) -> dict[str, Any]:
    print("last words", flush=True)
    os._exit(code)


def count(control: Control, folder: str, updates: int, seconds: float = 0.02) -> dict[str, Any]:
    """Counts in a file, which is its checkpoint; `started` gets a line for each attempt."""
    state = Path(folder, "count")
    with open(Path(folder, "started"), "a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    done = int(state.read_text()) if state.exists() else 0
    while done < updates:
        if control.should_stop():
            raise Stopped(control.stop_reason or "")
        done += 1
        temporary = state.with_name("count.new")
        temporary.write_text(str(done))
        temporary.replace(state)
        control.progress(done, updates, {"loss": 1.0 / done}, (updates - done) * seconds)
        time.sleep(seconds)
    return {"count": done}


def torch_threads(control: Control) -> dict[str, Any]:
    import torch

    return {"threads": torch.get_num_threads()}


def square(control: Control, folder: str, x: float, seed: int, updates: int, seconds: float) -> dict[str, Any]:
    """x² + seed, with a checkpoint at each update; negative x go wrong, each in its own way."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    if x == -1:
        raise ZeroDivisionError("own bug")
    if x == -2:
        raise DivergedError("loss is NaN at update 2")
    if x == -4:
        os._exit(9)
    state = Path(folder, "count")
    with open(Path(folder, "started"), "a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    done = int(state.read_text()) if state.exists() else 0
    while done < updates:
        if control.should_stop():
            raise Stopped(control.stop_reason or "")
        done += 1
        temporary = state.with_name("count.new")
        temporary.write_text(str(done))
        temporary.replace(state)
        control.progress(done, updates, {"objective": x * x + 1 / done}, (updates - done) * seconds)
        time.sleep(seconds)
    return {"value": float("nan") if x == -3 else x * x + seed}


def fake_study(folder: Path, updates: int = 3, seconds: float = 0.0, **plan: Any) -> Any:
    """A study of x² over 0 ≤ x ≤ 10 in real workers."""
    from repro.sweeps.study import Interval, Measured, Plan, Study
    from repro.sweeps.tasks import Task

    def make_task(number: int, params: dict[str, Any], seed: int) -> Task:
        name = f"fake-{number:03d}-{seed}"
        place = str(folder / "processes" / name)
        arguments = {"folder": place, "x": params["x"], "seed": seed, "updates": updates, "seconds": seconds}
        return Task(name, "fake_tasks:square", arguments)

    def measure(task: str, result: Any) -> Measured:
        return Measured(result["value"], {"square": result["value"]})

    space = {"x": Interval(-10.0, 10.0)}
    return Study(Plan("fake", "test", "loss", space, updates=updates, **plan), folder, make_task, measure)
