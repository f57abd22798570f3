"""Reproduction: the only full training, over seeds that are added in batches until every row is decided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import TYPE_CHECKING, Any

from repro.findings import Evidence, Finding, Outcome
from repro.phases import compute
from repro.phases import looks as register
from repro.phases.context import PhaseContext
from repro.phases.gate import conclude
from repro.phases.off_course import Course
from repro.phases.systems import System, systems_of
from repro.phases.verdict import judge_run
from repro.report import words
from repro.report.numbers import significant

if TYPE_CHECKING:
    from repro.sweeps.tasks import Ended, Event, Task

KIND = "reproduction"


def run(context: PhaseContext) -> Evidence:
    """Train every system over the seeds; more seeds while a row is open and `max_seeds` allows."""
    settings = context.settings["reproduction"]
    systems = systems_of(context.settings)
    register_table(context)
    first, count = int(settings["first_seed"]), int(settings["seeds"])
    most = max(count, int(settings["max_seeds"]))
    findings: dict[str, Finding] = {}
    seeds: list[int] = []
    wanted = systems
    looks = register_looks(context, count, most)
    while True:
        aim = count if len(seeds) < count else looks.after(len(seeds), most)
        batch = list(range(first + len(seeds), first + aim))
        seeds += batch
        for finding in train_seeds(context, wanted, batch, seeds):
            findings[finding.check] = finding
        register.judge(context.code_folder(), len(seeds))
        wanted = undecided_systems(context, systems, len(seeds)) if len(seeds) < most else []
        if not wanted:
            break
    for finding in solved(context, settings.get("solved"), systems):
        findings[finding.check] = finding
    for finding in findings.values():
        context.display.finding(finding)
    summary = summary_of(context, systems, seeds)
    return conclude("reproduction", context, list(findings.values()), summary, {"compute": compute.measure(context)})


def register_looks(context: PhaseContext, count: int, most: int) -> register.Looks:
    """The looks of this code's seeds: every `seed_batch` of them, or as many as workers are free at the first seed."""
    settings = context.settings["reproduction"]
    batch = int(settings.get("seed_batch") or context.pool().workers)
    fewer = {name: most_seeds(settings, name) for name in settings.get("max_seeds_of") or {}}
    return register.register(
        context.code_folder(), count, batch, most, {name: end for name, end in fewer.items() if end < most}
    )


def most_seeds(settings: Mapping[str, Any], system: str) -> int:
    """How many seeds a system may get."""
    most = int(settings["max_seeds"])
    return max(int(settings["seeds"]), min(most, int((settings.get("max_seeds_of") or {}).get(system, most))))


def register_table(context: PhaseContext) -> None:
    """Store the table as it stood before the first result; a later edit is then visible beside the verdict."""
    from repro.phases.fingerprints import source_fingerprint
    from repro.reference.schema import record_json

    if context.table is None:
        return
    context.folder.register_table(
        {
            "hash": context.table.hash,
            "source_fingerprint": source_fingerprint(context.paper),
            "records": [record_json(record) for record in context.table.records],
            "tasks": asdict(context.table.tasks) if context.table.tasks else {},
            "reproduction": dict(context.settings["reproduction"]),
        }
    )


def seed_task(context: PhaseContext, system: System, seed: int) -> Task:
    """The task that trains one seed of one system."""
    from repro.contract.paper import to_plain
    from repro.sweeps.training_task import process_task
    from repro.training.process import ProcessSpec

    composed = context.composed.with_changes(system.changes) if system.changes else context.composed
    config = to_plain(composed.config)
    settings = config["reproduction"]
    spec = ProcessSpec(
        process=system.process(seed),
        kind=KIND,
        seed=seed,
        name=system.name,
        changes=dict(system.changes),
        updates=int(settings["updates"]),
        log_every=int(settings["log_every"]),
        evaluate_every=settings["evaluate_every"],
        checkpoint_every=settings["checkpoint_every"],
        keep_checkpoints=int(settings["keep_checkpoints"]),
        keep_every=settings["keep_every"],
        evaluation_split=str(settings["evaluation_split"]),
        pictures=seed == int(settings["first_seed"]),
        device=str(config["device"]),
        devices=int(config["devices"]),
        precision=str(config["precision"]),
        threads=threads_of_a_seed(context),
    )
    return process_task(config, context.code_folder(), spec)


def threads_of_a_seed(context: PhaseContext) -> int:
    """CPU threads of each training: where this machine runs fewer trainings than it has workers, they share its cores.

    It depends on configuration and machine alone, not on what is left to train: a resumed seed keeps its number.
    """
    pool = context.pool()
    settings = context.settings
    if settings.get("threads") is not None or (settings.get("launcher") or {}).get("name") != "local":
        return pool.threads
    seeds = max(int(settings["reproduction"]["seeds"]), int(settings["reproduction"]["max_seeds"]))
    return pool.threads * max(1, pool.workers // (seeds * len(systems_of(settings))))


def train_seeds(
    context: PhaseContext, systems: Sequence[System], batch: Sequence[int], all_seeds: Sequence[int]
) -> list[Finding]:
    """Train `batch` for each system in the pool; one finding for each process that did not finish."""
    from repro.sweeps import tasks as events
    from repro.training.interruption import Interrupted

    order = longest_first(systems, seconds_of_a_seed(context))
    tasks = [seed_task(context, system, seed) for seed in batch for system in order]
    at: dict[str, tuple[int, int]] = {}
    latest: dict[str, Any] = {}
    confidence = float(context.settings["reproduction"]["confidence"])
    course = Course(context.table, context.settings, context.code_folder(), confidence, context.display.note)
    # seeds of earlier batches count too where a curve is compared over seeds
    processes = {system.process(seed): system.name for seed in all_seeds for system in systems}

    def on_event(event: Event) -> None:
        if not isinstance(event, events.Progress):
            return
        at[event.task] = (event.update, event.updates)
        course.look(event.task, event.update, processes)
        latest.update(event=event)
        done = sum(update for update, _ in at.values())
        total = max(1, event.updates) * len(tasks)
        left = (event.eta or 0.0) * (total - done) / max(1, event.updates - event.update) / max(1, len(running(at)))
        loss = event.values.get("objective")
        text = f"{event.task} update {event.update:,} of {event.updates:,}" + (
            f" · loss {loss:.3f}" if loss is not None else ""
        )
        context.progress("reproduction", text, done, total, left)

    ended = context.pool().run(tasks, on_event)
    findings = []
    for name, event in ended.items():
        if isinstance(event, events.Finished):
            # a process says how far it is before it evaluates: the last evaluation comes after its last word
            course.look(name, int(context.settings["reproduction"]["updates"]), processes)
        if isinstance(event, events.Interrupted):
            raise Interrupted(f"{name} was interrupted.", "The same command resumes it.")
        if isinstance(event, events.Diverged | events.Failed):
            findings.append(unfinished(name, event))
    return findings


def seconds_of_a_seed(context: PhaseContext) -> dict[str, float]:
    """Mean seconds of the finished seeds of each system."""
    spent: dict[str, list[float]] = {}
    for store in context.folder.processes(kind=KIND):
        if store.record.get("status") == "finished":
            spent.setdefault(str(store.record.get("name") or ""), []).append(float(store.record.get("seconds") or 0))
    return {system: fmean(seconds) for system, seconds in spent.items()}


def longest_first(systems: Sequence[System], seconds: Mapping[str, float]) -> list[System]:
    """Systems in an order that leaves no worker idle behind one long training at the end; as declared where unknown."""
    return sorted(systems, key=lambda system: -seconds.get(system.name, 0.0))


def running(at: Mapping[str, tuple[int, int]]) -> list[str]:
    return [name for name, (update, updates) in at.items() if update < updates]


def unfinished(process: str, event: Ended) -> Finding:
    from repro.sweeps.tasks import Diverged

    error = str(getattr(event, "error", ""))
    diverged = isinstance(event, Diverged)
    return Finding(
        check=f"finished {process}",
        component="training",
        outcome=Outcome.FAILED if diverged else Outcome.ERROR,
        summary=error,
        expected="every seed trains to its last update with a finite loss",
        observed="diverged" if diverged else "failed",
        family="trace",
        likely=("learning rate too high for this precision", "division by zero or log of zero in the loss")
        if diverged
        else (),
    )


def undecided_systems(context: PhaseContext, systems: Sequence[System], trained: int) -> list[System]:
    """The systems that have a row which more seeds can still decide."""
    from repro.verdict.outcome import Verdict

    names = {
        row.system
        for row in judge_run(context, whole=False).rows
        if row.verdict == Verdict.INCONCLUSIVE and row.more_seeds
    }
    budget = context.settings["reproduction"]
    return [system for system in systems if system.name in names and trained < most_seeds(budget, system.name)]


def solved(context: PhaseContext, gate: Mapping[str, Any] | None, systems: Sequence[System]) -> list[Finding]:
    """Whether the declared metric, on average over seeds, reaches what the config asks for; nothing without a gate."""
    if not gate:
        return []
    metric, wanted = str(gate["metric"]), float(gate["at_least"])
    found = []
    for system in systems:
        values = final_values(context, system.name, metric)
        mean = fmean(values.values()) if values else math.nan
        shown = ", ".join(f"{value:.4g} (seed {seed})" for seed, value in values.items())
        found.append(
            Finding(
                check="solved",
                component="evaluation",
                outcome=Outcome.PASSED if mean >= wanted else Outcome.FAILED,
                summary=f"{metric.replace('_', ' ')} {mean:.4g} over {len(values)} seeds on the held-out split",
                expected=f"at least {wanted:g} on average",
                observed=shown or "no finished seed",
                family="statistical",
                likely=(
                    "too few updates",
                    "a bug that the checks do not see: python -m repro sweep ablation",
                    "data and split",
                ),
            )
        )
    return found


def final_values(context: PhaseContext, system: str, metric: str) -> dict[int, float]:
    """The final value of a metric by seed, of the finished processes of a system."""
    values = {}
    for store in context.folder.processes(kind=KIND):
        record = store.record
        if (record.get("name") or "") == system and record.get("status") == "finished":
            value = (store.metrics.get("metrics") or {}).get(metric)
            if value is not None:
                values[int(record["seed"])] = float(value)
    return values


def summary_of(context: PhaseContext, systems: Sequence[System], seeds: Sequence[int]) -> str:
    # of one system also those that an earlier pass added: all of them are judged
    there = {int(store.record["seed"]) for store in context.folder.processes(kind=KIND)} if len(systems) == 1 else set()
    count = len(there.union(seeds))
    text = f"{count} seed{'s' if count != 1 else ''}"
    if len(systems) > 1:
        text += f" of {len(systems)} systems"
    elif context.table is not None:
        gate = context.settings["reproduction"].get("solved")
        printed = [record.metric for record in context.table.records if record.own and record.kind == "value"]
        for metric in [gate["metric"]] if gate else list(dict.fromkeys(printed))[:2]:
            if values := final_values(context, systems[0].name, metric):
                text += f" · {words.metric(metric)} {significant(fmean(values.values()))}"
    return text
