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
            raise Stopped
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
