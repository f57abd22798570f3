"""Runs of one paper on several tasks, put side by side: nothing but the task may differ.

A paper declares which setting names the task and what else it decides (conf key `paper.tasks`); all other settings and
the source fingerprint of the code must be the same. What differs is left out by name. The result is a run folder of its
own with one run folder a task below it, which holds every seed's raw values, so that every report can be drawn from it:

    <runs_folder>/<paper>/tasks-<hash>/{run.json, verdict.json, tasks/<paper>/<task>/…}

Rows of all tasks are judged as one family. Low and high of a task's scale are those of the reference table.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.errors import ConfigError, ReproError
from repro.phases import looks as registered_looks
from repro.phases.measured import FromFiles, from_files, measured
from repro.phases.members import (
    Excluded,
    Member,
    copy_seeds,
    described,
    fitting,
    folder_name,
    make_folder,
    named,
)
from repro.phases.verdict import Judged, with_estimates, with_looks
from repro.tracking.run_folder import RunFolder
from repro.tracking.store import metrics_of
from repro.verdict.rows import decided_by, judge, lookup
from repro.verdict.statistic import statistic_of

if TYPE_CHECKING:
    from repro.reference.schema import Table, Tasks
    from repro.verdict.rows import Row
    from repro.verdict.side_by_side import Scores, SideBySide

#: Seed of the bootstrap: the same runs give the same interval.
BOOTSTRAP_SEED = 0
FOLDER = "tasks"


@dataclass(frozen=True)
class Rule:
    """Which setting names the task of a run, and what else a task decides; dotted keys."""

    by: str
    settings: tuple[str, ...]

    def task(self, settings: Mapping[str, Any]) -> str:
        """The task of a run with this resolved configuration; "" where it has none."""
        found = lookup(settings, self.by)
        return "" if found is None else str(found)


def rule_of(settings: Mapping[str, Any]) -> Rule | None:
    """What the paper of this resolved configuration declares; None where it declares no tasks."""
    declared = (settings.get("paper") or {}).get("tasks")
    return Rule(str(declared["by"]), tuple(map(str, declared.get("settings") or ()))) if declared else None


def side_by_side(
    members: Sequence[Member], rule: Rule, runs_folder: Path
) -> tuple[RunFolder, Judged, tuple[Excluded, ...]]:
    """Put the runs of several tasks into one run folder and judge them; what the first one ran decides what fits.

    Raises:
        ConfigError: the reference table does not say in which metric tasks are compared.
        ReproError: no run has a finished seed, so nothing is left to put together.
    """
    fit, excluded = fitting(members, (rule.by, *rule.settings))
    used = []
    for one in fit:
        states = Counter(store.status or "not begun" for store in one.folder.processes(one.source, kind="reproduction"))
        if states["finished"] or states["diverged"]:
            used.append(one)
        else:
            said = ", ".join(f"{number} {state}" for state, number in sorted(states.items())) or "none was trained"
            excluded.append(Excluded(named(one), f"{states.total()} seeds", f"no seed is finished: {said}"))
    if not used:
        reasons = "\n".join(f"  {one.what}: {one.why}" for one in excluded)
        raise ReproError(f"Nothing was put together: every run is left out.\n{reasons}", "Finish their seeds first.")
    groups: dict[str, list[Member]] = {}
    for one in used:
        groups.setdefault(rule.task(one.settings), []).append(one)
    target = target_of(used, groups, runs_folder)
    folders: dict[str, FromFiles] = {}
    for task, group in groups.items():
        folder = make_folder(group, target.root / FOLDER, slug(task), described(group))
        excluded += copy_seeds(group, folder)
        excluded += unfinished(folder, task)
        folders[task] = from_files(folder, group[0].settings)
    lead = next(iter(folders.values()))
    if lead.table is None or lead.table.tasks is None:
        raise ConfigError(
            f"The reference table of {used[0].folder.paper} does not say in which metric tasks are compared.",
            "Give it a section `tasks:` with metric, split, direction and scores.",
        )
    scores = [scores_of(task, one, lead.table.tasks) for task, one in folders.items()]
    judged, compared = judge_tasks(folders, scores, lead.table, lead.table.tasks, target)
    record = {
        **judged.to_json(),
        "excluded": [vars(one) for one in excluded],
        "tasks": compared_json(compared, scores, folders, lead.table.tasks, judged.rows),
    }
    target.write_verdict(record)
    return target, judged, tuple(excluded)


def slug(task: str) -> str:
    return re.sub(r"[^\w.-]+", "-", task) or "task"


def target_of(used: Sequence[Member], groups: Mapping[str, Sequence[Member]], runs_folder: Path) -> RunFolder:
    """The folder that holds the tasks, emptied of what an earlier call put there."""
    lead = used[0]
    data = dict.fromkeys(str(one.folder.description.get("data", "")) for one in used)
    tasks = [
        {
            "task": task,
            "folder": f"{FOLDER}/{lead.folder.paper}/{slug(task)}",
            "runs": [str(o.folder.root) for o in group],
        }
        for task, group in groups.items()
    ]
    description = described(used) | {"data": ", ".join(filter(None, data)), "tasks": tasks, "overrides": []}
    return make_folder(used, runs_folder, folder_name("tasks", used), description, emptied=(FOLDER,))


def unfinished(folder: RunFolder, task: str) -> list[Excluded]:
    """Seeds of a task that did not end as planned; one that diverged takes the whole task out, which its score says."""
    return [
        Excluded(f"{task}, {store.folder.name}", f"update {store.record.get('update') or 0}", f"it is {store.status}")
        for store in folder.processes(kind="reproduction")
        if store.status not in ("finished", "diverged")
    ]


def judge_tasks(
    folders: Mapping[str, FromFiles], scores: Sequence[Scores], table: Table, tasks: Tasks, target: RunFolder
) -> tuple[Judged, SideBySide]:
    """Rows of all tasks as one family, and the tasks side by side."""
    import numpy as np

    from repro.reference.audit import audit
    from repro.reference.schema import record_json
    from repro.verdict import registration
    from repro.verdict.sentence import exit_code, sentences
    from repro.verdict.side_by_side import side_by_side as compare

    runs = list(folders.values())
    lead = runs[0].settings
    confidence = float(lead["reproduction"]["confidence"])
    looks = [registered_looks.read(one.folder) for one in runs]
    taken = [measured(one, seen) for one, seen in zip(runs, looks, strict=True)]
    rows: list[Row] = []
    for record, row in zip(table.records, judge(table, taken, audit(table), confidence), strict=True):
        place = decided_by(record, taken)
        rows += with_estimates(runs[place], with_looks([row], looks[place], confidence))
    compared = compare(scores, np.random.default_rng(BOOTSTRAP_SEED), confidence)
    registered = target.registered_table
    records = [record_json(record) for record in table.records]
    edits = registration.row_edits(registered, records)
    others = [*registration.removed(registered, records), *registration.scale_edits(registered, asdict(tasks))]
    for task, one in folders.items():
        budget = registration.budget_edits(one.folder.registered_table, one.settings["reproduction"])
        others += [(f"{task}: {key}", before, now) for key, before, now in budget]
    first, *rest = sentences(rows, next(iter(folders)))  # ablations are read from the first task that has them
    said = [first, sentence(compared), *rest, registration.sentence(edits, others)]
    code = exit_code(rows, lead["reproduction"].get("require") or ())
    return Judged(tuple(rows), tuple(filter(None, said)), code, edits, tuple(others)), compared


def sentence(compared: SideBySide) -> str:
    """How the tasks came out together, and which the number does not count."""
    if len(compared.tasks) == 1:
        return f"Nothing was put together: only {compared.tasks[0].task} is left."
    found = compared.aggregate
    if found is None:
        return f"{len(compared.tasks)} tasks side by side, without an aggregate: {compared.why_none}."
    low, high = found.interval
    bounds = f", {100 * found.confidence:g} % interval [{low:.2f}, {high:.2f}]" if low == low else ""
    lost = [one.task for one in compared.tasks if one.why_not]
    return (
        f"{found.tasks} tasks side by side: interquartile mean of normalised scores {found.value:.2f}{bounds} "
        f"(0 a random policy, 1 documented)" + (f", without {', '.join(lost)}." if lost else ".")
    )


def scores_of(task: str, context: FromFiles, tasks: Tasks) -> Scores:
    """The last value of the metric of each finished seed; a seed that diverged or lacks the metric is a fault."""
    from repro.verdict.methods import NORMAL, Scale
    from repro.verdict.side_by_side import Scores

    values: dict[int, float] = {}
    diverged, lacking = [], []
    for store in context.folder.processes(kind="reproduction"):
        seed = int(store.record["seed"])
        if store.status == "diverged":
            diverged.append(seed)
        if store.status != "finished":
            continue
        rows = (row for row in store.rows if row["split"] == tasks.split)
        course = {row["update"]: value for row in rows if (value := metrics_of(row).get(tasks.metric)) is not None}
        value = statistic_of(course, "last", tasks.direction)
        if value is None:
            lacking.append(seed)
        else:
            values[seed] = value
    fault = ""
    if diverged:
        fault = f"seed {listed(diverged)} diverged: a mean over the seeds that did not would flatter the result"
    elif lacking or not values:
        fault = f"seed {listed(lacking)} logged no {tasks.metric} on {tasks.split}"
    scale = tasks.of(task)
    if scale is None:
        return Scores(task, values, fault=fault)
    record = context.table.record(scale.high.record) if context.table and scale.high.record else None
    law = Scale(record.method, *record.bounds) if record else NORMAL
    return Scores(task, values, scale.low.printed.number, scale.high.printed.number, law, fault)


def listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def compared_json(
    compared: SideBySide, scores: Sequence[Scores], folders: Mapping[str, FromFiles], tasks: Tasks, rows: Sequence[Row]
) -> dict[str, Any]:
    """What verdict.json says of the tasks; the report draws its section from this and the folders."""
    verdicts = {row.id: str(row.verdict) for row in rows if row.n}
    entries = []
    for one, given, context in zip(compared.tasks, scores, folders.values(), strict=True):
        scale = tasks.of(one.task)
        ends = {}
        for end in ("low", "high"):
            anchor = getattr(scale, end) if scale else None
            ends[end] = anchor.printed.number if anchor else None
            ends[f"{end}_source"] = anchor.source if anchor else ""
        entries.append(
            {
                "task": one.task,
                "folder": str(context.folder.root.relative_to(context.folder.root.parents[2])),
                "runs": [str(root) for root in context.folder.description["together"]],
                "values": {str(seed): value for seed, value in given.values.items()},
                "mean": one.mean,
                "interval": one.interval,
                "normalised": {str(seed): value for seed, value in one.normalised.items()},
                **ends,
                "verdict": verdicts.get(scale.high.record, "") if scale else "",
                "why_not": one.why_not,
            }
        )
    found = compared.aggregate
    interval = found.interval if found and found.interval[0] == found.interval[0] else None
    return {
        "metric": tasks.metric,
        "split": tasks.split,
        "direction": tasks.direction,
        "aggregate": None if found is None else {**asdict(found), "interval": interval},
        "why_none": compared.why_none,
        "tasks": entries,
    }
