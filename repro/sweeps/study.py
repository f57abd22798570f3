"""One study: Optuna asks and is told by a single controller, workers run the trials, a JSON file shows the state.

Asynchronous: a worker that is free gets the next trial, no trial waits for others. Resumable after any death: what was
told stays told, what was running is run again under its own number (its processes continue from their checkpoints), and
no trial is told twice.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from repro.errors import ConfigError
from repro.sweeps.storage import exclusively, journal_storage
from repro.sweeps.tasks import Died, Diverged, Event, Failed, Finished, Interrupted, Progress, Pruned, Task
from repro.sweeps.training_task import OBJECTIVE
from repro.tracking.files import read_json, write_json
from repro.tracking.store import now

if TYPE_CHECKING:
    import optuna

    from repro.sweeps.pool import Pool

Params = dict[str, Any]
REPORTS = 20  # intermediate values of a trial, at most
WRITE_EVERY = 1.0  # seconds between writes of the state while trials only progress


@dataclass(frozen=True)
class Interval:
    """A number between `low` and `high`, searched on a logarithmic scale if `log`."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Plan:
    """What a study does.

    `space` names each parameter and its values: an `Interval` or a tuple of choices. `points` come first, in order;
    the sampler (TPE) chooses what is missing to `trials`. Each trial runs once for every seed; its value is the mean.
    With `prune`, a trial is stopped when its first seed is worse than the median of the others at the same update, and
    the further seeds start only after the first. `updates` of one process serve the estimate of the time left.
    """

    name: str
    kind: str
    objective: str
    space: Mapping[str, Interval | tuple[Any, ...]]
    trials: int
    updates: int
    direction: Literal["minimize", "maximize"] = "minimize"
    points: tuple[Params, ...] = ()
    seeds: tuple[int, ...] = (0,)
    prune: bool = False
    sampler_seed: int = 0
    retry_failed: bool = False
    #: Of a study whose processes say themselves what they train: what else defines it. Where this or the space is
    #: another than before, the study begins anew, and finds what was trained already.
    declared: Params | None = None

    def definition(self) -> dict[str, Any]:
        """What must not change when the study is resumed; more trials may always be asked for."""
        space = {
            name: asdict(values) if isinstance(values, Interval) else list(values)
            for name, values in self.space.items()
        }
        return {
            "kind": self.kind,
            "objective": self.objective,
            "direction": self.direction,
            "space": space,
            "seeds": list(self.seeds),
            "updates": self.updates,
            **({} if self.declared is None else {"declared": self.declared}),
        }


@dataclass
class Outcome:
    """What one trial has come to so far."""

    number: int
    params: Params
    trial: optuna.trial.Trial
    seeds: deque[int]
    running: dict[str, int] = field(default_factory=dict)  # task id → seed
    done: dict[str, int] = field(default_factory=dict)  # running task id → updates done
    values: dict[int, float] = field(default_factory=dict)
    metrics: dict[int, dict[str, float]] = field(default_factory=dict)
    details: dict[int, dict[str, Any]] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    diverged: dict[int, str] = field(default_factory=dict)
    deaths: list[str] = field(default_factory=list)
    intermediate: dict[int, float] = field(default_factory=dict)
    processes: list[str] = field(default_factory=list)
    pruned: bool = False

    def result(self) -> dict[str, Any]:
        """The JSON-able part that is kept with the trial in Optuna's storage."""
        return {
            "values_by_seed": {
                str(seed): self.values.get(seed) for seed in [*self.values, *self.errors, *self.diverged]
            },
            "metrics_by_seed": {str(seed): dict(metrics) for seed, metrics in self.metrics.items()},
            "details_by_seed": {str(seed): details for seed, details in self.details.items()},
            "errors_by_seed": {str(seed): error for seed, error in {**self.errors, **self.diverged}.items()},
            "intermediate": sorted([update, value] for update, value in self.intermediate.items()),
            "processes": self.processes,
            "deaths": self.deaths,
        }


@dataclass(frozen=True)
class Measured:
    """What a finished process is worth: the objective, its other metrics, and whatever the study's report shows."""

    value: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


#: (number of the trial, its parameters, seed) → the task to run; the same arguments must give the same task.
MakeTask = Callable[[int, Params, int], Task]
#: (task id, its result) → what it is worth.
Measure = Callable[[str, Mapping[str, Any]], Measured]


class Study:
    """One study in `folder` (<name>.journal and <name>.json).

    `conclude` adds the study's own findings (usable range, effects) to the record each time it is written.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        make_task: MakeTask,
        measure: Measure,
        conclude: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self.plan, self.folder, self.make_task, self.measure = plan, folder, make_task, measure
        self.conclude = conclude or (lambda record: {})
        self.open_trials: dict[int, Outcome] = {}
        self.leftover: deque[optuna.trial.Trial] = deque()
        self.failed_now: set[int] = set()
        self.started = time.monotonic()
        self.written = 0.0
        self.updates_now = 0
        self.status = "running"

    @property
    def path(self) -> Path:
        return self.folder / f"{self.plan.name}.json"

    def run(self, pool: Pool, progress: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
        """Run what is missing and return the record of studies/<name>.json; `progress` gets it whenever it is written.

        Raises:
            RunFolderError: another controller runs this study.
            ConfigError: a study of this name was defined otherwise.
        """
        complete = self.complete_record()
        if complete is not None:
            return complete
        with exclusively(self.folder / f"{self.plan.name}.journal"):
            self.open()
            try:
                self.loop(pool, progress)
                self.status = "finished"
            except (KeyboardInterrupt, SystemExit):
                self.status = "interrupted"
                raise
            except BaseException:
                self.status = "failed"
                raise
            finally:
                record = self.write(progress)
            return record

    def complete_record(self) -> dict[str, Any] | None:
        """The record of a study that has nothing left to do, found without opening Optuna."""
        record = read_json(self.path)
        if not record or record["status"] != "finished" or record["definition"] != self.plan.definition():
            return None
        if record["counts"]["failed"] and self.plan.retry_failed:
            return None
        asked = [trial["params"] for trial in record["trials"]]
        enough = len(asked) >= self.plan.trials and all(point in asked for point in self.plan.points)
        return record if enough else None

    # the start

    def open(self) -> None:
        """Open the storage, adopt what a dead controller left running, and queue the planned points."""
        import optuna

        plan = self.plan
        self.folder.mkdir(parents=True, exist_ok=True)
        storage = journal_storage(self.folder / f"{plan.name}.journal")
        self.drop_what_was_declared_otherwise(storage)
        self.optuna = optuna.create_study(
            storage=storage,
            study_name=plan.name,
            load_if_exists=True,
            direction=plan.direction,
            sampler=optuna.samplers.TPESampler(
                seed=plan.sampler_seed, n_startup_trials=min(10, max(1, plan.trials // 2))
            ),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=plan.updates // 4)
            if plan.prune
            else optuna.pruners.NopPruner(),
        )
        before = self.optuna.user_attrs.get("definition")
        if before is None:
            self.optuna.set_user_attr("definition", plan.definition())
            self.optuna.set_user_attr("started", now())
        elif before != plan.definition():
            changed = [key for key, value in plan.definition().items() if before.get(key) != value]
            raise ConfigError(
                f"The study {plan.name} in {self.folder} was begun with another {' and '.join(changed)}.",
                "Give the earlier settings again, or remove the study's .journal and .json to begin anew.",
            )
        trials = self.optuna.get_trials(deepcopy=False)
        for frozen in trials:
            if frozen.state == optuna.trial.TrialState.RUNNING:
                self.leftover.append(optuna.trial.Trial(self.optuna, frozen._trial_id))
        for point in plan.points:
            self.optuna.enqueue_trial(point, skip_if_exists=True)
        if plan.retry_failed:
            self.retry([trial for trial in trials if trial.state == optuna.trial.TrialState.FAIL])

    def drop_what_was_declared_otherwise(self, storage: optuna.storages.BaseStorage) -> None:
        """Delete the study of this name where only what its plan `declared` (and so its space) has changed."""
        import optuna

        new = self.plan.definition()
        if self.plan.declared is None or self.plan.name not in optuna.get_all_study_names(storage):
            return
        old = optuna.load_study(study_name=self.plan.name, storage=storage).user_attrs.get("definition") or {}
        changed = {key for key in {*old, *new} if old.get(key) != new.get(key)}
        if "declared" in changed and changed <= {"declared", "space"}:
            optuna.delete_study(study_name=self.plan.name, storage=storage)

    def retry(self, failed: Sequence[optuna.trial.FrozenTrial]) -> None:
        """Queue failed parameters once more, unless a later trial has tried them."""
        trials = self.optuna.get_trials(deepcopy=False)
        for trial in failed:
            later = any(self.params_of(other) == self.params_of(trial) for other in trials[trial.number + 1 :])
            if not later:
                self.optuna.enqueue_trial(self.params_of(trial), user_attrs={"retries": trial.number})

    def params_of(self, trial: optuna.trial.FrozenTrial) -> Params:
        """Parameters of a trial, also of one that waits."""
        return dict(trial.params or trial.system_attrs.get("fixed_params", {}))

    # the loop

    def loop(self, pool: Pool, progress: Callable[[dict[str, Any]], None] | None) -> None:
        self.write(progress)
        while True:
            while pool.free and (task := self.next_task()) is not None:
                pool.submit(task)
            if not any(outcome.running for outcome in self.open_trials.values()):
                return
            told = False
            for event in pool.wait():
                told |= self.handle(event, pool)
            if told or time.monotonic() - self.written > WRITE_EVERY:
                self.write(progress)

    def next_task(self) -> Task | None:
        """The next process: a further seed of a trial that has begun, a trial left by a dead controller, a new one."""
        for outcome in self.open_trials.values():
            if outcome.seeds and not (self.plan.prune and outcome.running):
                return self.begin_seed(outcome)
        if self.leftover:
            return self.begin_seed(self.begin_trial(self.leftover.popleft()))
        waiting = self.optuna.get_trials(deepcopy=False, states=(self.trial_state.WAITING,))
        if waiting or len(self.optuna.get_trials(deepcopy=False)) < self.wanted_trials():
            return self.begin_seed(self.begin_trial(self.optuna.ask()))
        return None

    @property
    def trial_state(self) -> type[optuna.trial.TrialState]:
        from optuna.trial import TrialState

        return TrialState

    def wanted_trials(self) -> int:
        """Planned trials; one that retries another's parameters comes on top."""
        retries = sum("retries" in trial.user_attrs for trial in self.optuna.get_trials(deepcopy=False))
        return max(self.plan.trials, len(self.plan.points)) + retries

    def begin_trial(self, trial: optuna.trial.Trial) -> Outcome:
        params: Params = {}
        for name, values in self.plan.space.items():
            if isinstance(values, Interval):
                params[name] = trial.suggest_float(name, values.low, values.high, log=values.log)
            else:
                params[name] = trial.suggest_categorical(name, values)
        outcome = Outcome(trial.number, params, trial, deque(self.plan.seeds))
        outcome.intermediate = dict(self.optuna.get_trials(deepcopy=False)[trial.number].intermediate_values)
        self.open_trials[trial.number] = outcome
        return outcome

    def begin_seed(self, outcome: Outcome) -> Task:
        seed = outcome.seeds.popleft()
        task = self.make_task(outcome.number, outcome.params, seed)
        outcome.running[task.id] = seed
        outcome.processes.append(task.id)
        return task

    def handle(self, event: Event, pool: Pool) -> bool:
        """Take one event; True when it ended a trial."""
        outcome = next((one for one in self.open_trials.values() if event.task in one.running), None)
        if outcome is None:
            return False
        seed = outcome.running[event.task]
        if isinstance(event, Progress):
            self.progressed(outcome, seed, event, pool)
            return False
        if isinstance(event, Died):
            outcome.deaths.append(f"{event.task}: {event.reason}" + ("; run again" if event.again else ""))
            return False
        if isinstance(event, Finished):
            self.measured(outcome, seed, event)
        elif isinstance(event, Diverged):
            outcome.diverged[seed] = event.error
        elif isinstance(event, Failed):
            outcome.errors[seed] = event.error
        elif isinstance(event, Pruned):
            outcome.pruned = True
            outcome.seeds.clear()
        elif isinstance(event, Interrupted):
            return False  # stays RUNNING in the storage: the next controller adopts it
        else:
            return False
        del outcome.running[event.task]
        outcome.done.pop(event.task, None)
        if outcome.seeds or outcome.running:
            return False
        self.tell(outcome)
        return True

    def progressed(self, outcome: Outcome, seed: int, event: Progress, pool: Pool) -> None:
        self.updates_now += max(0, event.update - outcome.done.get(event.task, event.update - 1))
        outcome.done[event.task] = event.update
        value = event.values.get(OBJECTIVE)
        # one seed for all trials: the comparison is paired, and needs no other seed to be done
        if value is None or seed != self.plan.seeds[0] or not math.isfinite(value):
            return
        # few, since each report is forced to the disk, and at the same updates in every trial
        every = max(1, self.plan.updates // REPORTS)
        if event.update // every <= max(outcome.intermediate, default=0) // every:
            return
        outcome.intermediate[event.update] = value
        if self.plan.prune:
            outcome.trial.report(value, event.update)
            if outcome.trial.should_prune():
                pool.prune(event.task)

    def measured(self, outcome: Outcome, seed: int, event: Finished) -> None:
        try:
            measured = self.measure(event.task, event.result)
        except ConfigError as error:
            outcome.errors[seed] = str(error)
            return
        outcome.metrics[seed] = dict(measured.metrics)
        outcome.details[seed] = dict(measured.details)
        if math.isfinite(measured.value):
            outcome.values[seed] = measured.value
        else:
            outcome.diverged[seed] = f"{self.plan.objective} is {measured.value:g}"

    def tell(self, outcome: Outcome) -> None:
        """Tell Optuna once. A diverged trial counts as the worst possible, so that the sampler learns from it."""
        del self.open_trials[outcome.number]
        states = self.trial_state
        if outcome.errors:
            state, kind, value = states.FAIL, "failed", None
            self.failed_now.add(outcome.number)
        elif outcome.pruned:
            state, kind, value = states.PRUNED, "pruned", None
        elif outcome.diverged:
            worst = math.inf if self.plan.direction == "minimize" else -math.inf
            state, kind, value = states.COMPLETE, "diverged", worst
        else:
            state, kind = states.COMPLETE, "complete"
            value = math.fsum(outcome.values.values()) / len(outcome.values)
        # attributes first: a death in between leaves the trial running, to be run again, and never told without them
        outcome.trial.set_user_attr("kind", kind)
        outcome.trial.set_user_attr("result", outcome.result())
        self.optuna.tell(outcome.trial, value, state=state)

    # what it shows

    def record(self) -> dict[str, Any]:
        """The state of the study as `studies/<name>.json` holds it."""
        trials = [self.trial_record(trial) for trial in self.optuna.get_trials(deepcopy=False)]
        planned = max(self.wanted_trials(), len(trials))
        counts = {state: 0 for state in ("complete", "diverged", "pruned", "failed", "running", "queued")}
        for trial in trials:
            counts[trial["state"]] += 1
        counts["queued"] += planned - len(trials)
        complete = [trial for trial in trials if trial["state"] == "complete"]
        sign = 1 if self.plan.direction == "minimize" else -1
        best = min(complete, key=lambda trial: sign * trial["value"], default=None)
        record = {
            "study": self.plan.name,
            "kind": self.plan.kind,
            "status": self.status,
            "direction": self.plan.direction,
            "objective": self.plan.objective,
            "definition": self.plan.definition(),
            "started": self.optuna.user_attrs.get("started"),
            "updated": now(),
            "planned": planned,
            "counts": counts,
            "best": None if best is None else {key: best[key] for key in ("number", "params", "value")},
            "seconds_left": self.seconds_left(counts),
            "trials": trials,
        }
        return record | self.conclude(record)

    def trial_record(self, trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
        """A trial as studies/<name>.json tells it; of one that runs or ran, what its open outcome holds so far."""
        states = self.trial_state
        result: dict[str, Any] = trial.user_attrs.get("result") or {}
        outcome = self.open_trials.get(trial.number)
        if trial.state == states.RUNNING:
            running = outcome is not None and outcome.running and self.status == "running"
            state = "running" if running else "queued"
            result = outcome.result() if outcome else {}
        elif trial.state == states.WAITING:
            state = "queued"
        else:
            state = trial.user_attrs["kind"]
        errors = result.get("errors_by_seed") or {}
        several = len(self.plan.seeds) > 1
        processes = result.get("processes") or []
        return {
            "number": trial.number,
            "state": state,
            "params": self.params_of(trial),
            "value": trial.value if state == "complete" else None,
            "values_by_seed": result.get("values_by_seed") or {},
            "metrics_by_seed": result.get("metrics_by_seed") or {},
            "details_by_seed": result.get("details_by_seed") or {},
            "error": "; ".join(f"seed {seed}: {error}" if several else error for seed, error in errors.items()),
            "deaths": result.get("deaths") or [],
            "process": processes[0] if processes else None,
            "processes": processes,
            "intermediate": result.get("intermediate") or [],
        }

    def seconds_left(self, counts: Mapping[str, int]) -> float | None:
        """From the updates per second of this controller's life; None while its start weighs more than its updates."""
        if self.status != "running":
            return 0.0 if self.status == "finished" else None
        if not self.updates_now or 10 * self.updates_now < self.plan.updates:
            return None
        if not counts["running"] + counts["queued"]:
            return 0.0
        each = self.plan.updates * len(self.plan.seeds)
        left = (counts["running"] + counts["queued"]) * each
        for outcome in self.open_trials.values():
            ended = len(self.plan.seeds) - len(outcome.seeds) - len(outcome.running)
            left -= sum(outcome.done.values()) + ended * self.plan.updates
        return max(0, left) * (time.monotonic() - self.started) / self.updates_now

    def write(self, progress: Callable[[dict[str, Any]], None] | None) -> dict[str, Any]:
        record = self.record()
        write_json(self.path, record)
        self.written = time.monotonic()
        if progress is not None:
            progress(record)
        return record
