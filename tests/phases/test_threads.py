"""How many CPU threads a seed's training gets: all cores are used where fewer trainings than workers run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from repro.configuration import compose
from repro.contract.paper import Paper
from repro.phases.reproduction import seed_task, threads_of_a_seed
from repro.phases.systems import systems_of
from repro.sweeps.cores import share_cores


def context_of(cores: int, *overrides: str) -> Any:
    """A phase's context on a machine with that many cores, as far as a training's task looks at it."""
    composed = compose(list(overrides))
    settings = Paper.from_config(composed.config).settings
    workers, threads = share_cores(settings["workers"], settings["threads"], cores)
    pool = SimpleNamespace(workers=workers, threads=threads)
    return SimpleNamespace(composed=composed, settings=settings, pool=lambda: pool, code_folder=lambda: Path("code"))


@pytest.mark.parametrize(
    "cores, overrides, threads",
    [
        (2, ["paper=transformer", "reproduction.max_seeds=1", "reproduction.seeds=1"], 2),
        (8, ["paper=transformer", "reproduction.max_seeds=1", "reproduction.seeds=1"], 8),
        (8, ["paper=transformer", "reproduction.max_seeds=1", "reproduction.seeds=1", "workers=4"], 8),
        (8, ["paper=transformer", "reproduction.max_seeds=3"], 2),  # three trainings of two threads
        (2, ["paper=transformer", "reproduction.max_seeds=3"], 1),
        (8, ["paper=transformer", "reproduction.seeds=1", "reproduction.max_seeds=9"], 1),  # nine may still come
        (8, ["paper=mnist1d"], 1),  # eight systems
        (8, ["paper=transformer", "reproduction.max_seeds=1", "reproduction.seeds=1", "threads=3"], 3),  # as asked
        (8, ["paper=transformer", "scale=smoke"], 1),
    ],
)
def test_cores_that_no_training_would_use_are_shared(cores: int, overrides: list[str], threads: int) -> None:
    assert threads_of_a_seed(context_of(cores, *overrides)) == threads


def test_a_cluster_node_keeps_what_its_launcher_gives() -> None:
    context = context_of(8, "paper=transformer", "reproduction.seeds=1", "reproduction.max_seeds=1")
    context.settings["launcher"] = {"name": "cluster"}
    assert threads_of_a_seed(context) == 1


def test_the_task_of_a_seed_is_told() -> None:
    context = context_of(2, "paper=transformer", "reproduction.seeds=1", "reproduction.max_seeds=1")
    (system,) = systems_of(context.settings)
    assert seed_task(context, system, 0).arguments["spec"].threads == 2
