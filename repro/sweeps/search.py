"""A study over any keys of the config, as a file of conf/sweep/ describes it.

name: width
objective: test/exact_match          # a metric of the evaluation, or training_loss
direction: maximize
parameters:
  model.width: [32, 64, 128]                         # choices
  model.dropout: {from: 0.0, to: 0.5}                # an interval
  training.peak: {from: 1.0e-4, to: 1.0e-2, log: true}
trials: 20
updates: 300
seeds: 1
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from repro.errors import ConfigError
from repro.sweeps.falling import fall
from repro.sweeps.processes import ShowProgress, changed_process, code_folder, plain, shown
from repro.sweeps.study import Interval, Measured, Plan, Study
from repro.sweeps.tasks import Task
from repro.sweeps.training_task import training_losses
from repro.tracking.store import ProcessStore

if TYPE_CHECKING:
    from repro.configuration.compose import Composed
    from repro.sweeps.pool import Pool
    from repro.tracking.run_folder import RunFolder

TRAINING_LOSS = "training_loss"


def search_study(
    composed: Composed,
    run_folder: RunFolder,
    pool: Pool,
    options: Mapping[str, Any],
    name: str,
    progress: ShowProgress | None = None,
) -> dict[str, Any]:
    """Search the declared parameters; the record of studies/<name>.json.

    Where all parameters are lists of choices and no number of trials is given, every combination is run.

    Raises:
        ConfigError: every fault of the description, all at once.
    """
    settings = plain(composed)
    space = read_space(options)
    folder = code_folder(composed, run_folder, pool.threads)
    objective = str(options.get("objective") or TRAINING_LOSS)
    split, _, metric = objective.rpartition("/")
    updates = int(options["updates"])
    first = int(settings["reproduction"]["first_seed"])

    def task(number: int, params: Mapping[str, Any], seed: int) -> Task:
        return changed_process(
            composed,
            folder,
            pool,
            process=f"{name}-{number:03d}" + ("" if seed == first else f"-seed-{seed}"),
            kind=name,
            name=name,
            seed=seed,
            updates=updates,
            changes=params,
            log_every=int(settings["reproduction"]["log_every"]),
            final_split=None if metric == TRAINING_LOSS else split or "test",
        )

    def measure(process: str, result: Mapping[str, Any]) -> Measured:
        if metric == TRAINING_LOSS:
            _, losses = training_losses(ProcessStore(folder / "processes" / process).rows, process)
            return Measured(fall(losses).final)
        if metric not in result["metrics"]:
            known = ", ".join(result["metrics"]) or "none"
            raise ConfigError(f"sweep.objective: the evaluation gives no {metric!r}; it gives {known}.")
        return Measured(result["metrics"][metric], result["metrics"])

    choices = [values for values in space.values() if not isinstance(values, Interval)]
    points: tuple[dict[str, Any], ...] = ()
    if len(choices) == len(space) and options.get("trials") is None:
        points = tuple(dict(zip(space, values, strict=True)) for values in itertools.product(*choices))
    plan = Plan(
        name=name,
        kind="search",
        objective=objective,
        direction=options.get("direction") or "minimize",
        space=space,
        trials=int(options.get("trials") or len(points)),
        updates=updates,
        points=points,
        seeds=tuple(range(first, first + int(options.get("seeds") or 1))),
    )
    study = Study(plan, folder / "studies", task, measure)
    return study.run(pool, lambda record: shown(record, name, progress))


def read_space(options: Mapping[str, Any]) -> dict[str, Interval | tuple[Any, ...]]:
    """The search space of a sweep file. Raises `ConfigError` that lists every fault."""
    faults: list[str] = []
    space: dict[str, Interval | tuple[Any, ...]] = {}
    parameters = options.get("parameters")
    if not isinstance(parameters, Mapping) or not parameters:
        faults.append("sweep.parameters: need a mapping of config keys to [choices] or {from, to, log}")
        parameters = {}
    for key, values in parameters.items():
        if isinstance(values, list) and values:
            space[key] = tuple(values)
        elif (
            isinstance(values, Mapping) and isinstance(values.get("from"), int | float) and values.get("to") is not None
        ):
            low, high, log = float(values["from"]), float(values["to"]), bool(values.get("log"))
            if low >= high or (log and low <= 0):
                faults.append(f"sweep.parameters.{key}: got {low:g} to {high:g}, need from < to" + " and > 0" * log)
            space[key] = Interval(low, high, log)
        else:
            faults.append(f"sweep.parameters.{key}: got {values!r}, need [choices] or {{from, to, log}}")
    if not isinstance(options.get("updates"), int):
        faults.append(f"sweep.updates: got {options.get('updates')!r}, need the updates of each trial")
    if options.get("direction") not in (None, "minimize", "maximize"):
        faults.append(f"sweep.direction: got {options['direction']!r}, need minimize or maximize")
    if options.get("trials") is None and any(isinstance(values, Interval) for values in space.values()):
        faults.append("sweep.trials: missing; an interval has no end of values")
    if faults:
        raise ConfigError(f"The sweep has {len(faults)} fault{'s' * (len(faults) > 1)}:\n  " + "\n  ".join(faults))
    return space
