"""Read a run folder into a `Report`: JSON and YAML only, so that it needs neither torch nor pandas."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from repro.arithmetic import evaluate
from repro.errors import RunFolderError
from repro.phases import ORDER
from repro.report import finals, tree
from repro.report.numbers import significant
from repro.report.tasks import tasks_of
from repro.session.keep import read as read_pages
from repro.tracking.files import decode_number, read_json
from repro.tracking.run_folder import RunFolder
from repro.tracking.store import ProcessStore, metrics_of

MOST_PICTURE_BYTES = 900_000  # all pictures of a page together, before base64 adds a third
MOST_POINTS = 120  # a seed and a metric; the page says how many were recorded


def collect(folder: Path) -> tree.Report:
    """Everything the report shows, from the files in `folder`.

    Only run.json is needed: a run that stopped at its first gate has a report too. Raises RunFolderError where a file
    is there and cannot be read.
    """
    store = RunFolder(folder)
    run = store.description
    if not run:
        raise RunFolderError(
            f"{folder} is not a run folder: run.json is missing.", "python -m repro status lists the runs."
        )
    config = store.settings
    verdict = store.verdict
    registered = store.registered_table
    phases = tuple(phase for name in ORDER if (phase := read_json(folder / "evidence" / f"{name}.json")))
    source = store.code() if store.newest_code else None
    older = sorted(path for path in folder.glob("code/*") if path.is_dir() and path != source)
    processes = read_processes(source) if source else []
    environment = store.environment() if source else {}

    rows = edited(tuple(row(entry) for entry in verdict.get("rows", ())), registered)
    reproduction = [one for one in processes if one["kind"] == "reproduction"]
    packages = environment.get("packages")
    # of the full training, where there is one: trials that run beside each other have fewer
    threads = max((int(one["threads"]) for one in reproduction or processes if one.get("threads")), default=None)
    return tree.Report(
        header=header(run, config, verdict, phases, threads),
        sentences=tuple(verdict.get("sentences") or filter(None, [verdict.get("sentence", "")])),
        rows=rows,
        gaps=tuple(gap(entry) for entry in verdict.get("gaps", ())),
        finals=finals.collect(reproduction),
        panels=panels(reproduction, rows, section(section(config, "paper"), "steps")),
        pictures=tuple(pictures(folder, reproduction)),
        picture_faults=tuple(fault for one in reproduction if (fault := ProcessStore(one["folder"]).pictures[1])),
        rates=rate_study(source, config),
        effects=effects(source, verdict),
        audit=audit(phases, rows),
        phases=tuple(phase_of(entry) for entry in phases),
        tables=tuple(tables(phases)),
        tricky=tuple(tricky(config, map(phase_of, phases))),
        environment=tuple((key, str(value)) for key, value in flat(environment) if not key.startswith("packages")),
        packages=tuple(sorted((str(k), str(v)) for k, v in packages.items())) if isinstance(packages, dict) else (),
        seeds=tuple(sorted({int(one["seed"]) for one in reproduction if one.get("seed") is not None})),
        commands=tuple(commands(run, rows)),
        left_out=(*left_out(processes, older), *excluded(verdict)),
        edits=tuple(changed(config, registered, verdict)),
        registered={
            key: str(registered[key]) for key in ("hash", "registered", "source_fingerprint") if key in registered
        },
        source=source.name if source else "",
        tasks=tasks_of(folder, verdict),
        sessions=tuple(read_pages(folder)),
    )


# ---- values of JSON ---------------------------------------------------------------------------------------------


def number(value: Any) -> float | None:
    """A float from JSON, where non-finite values are strings; None stays None."""
    value = decode_number(value)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def whole(value: Any) -> int | None:
    amount = number(value)
    return int(amount) if amount is not None and math.isfinite(amount) else None


def pair(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return None
    low, high = number(value[0]), number(value[1])
    return None if low is None or high is None else (low, high)


def flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        elif value is not None and value != "":
            yield f"{prefix}{key}", ", ".join(map(str, value)) if isinstance(value, list) else value


# ---- run --------------------------------------------------------------------------------------------------------


def read_processes(code: Path) -> list[dict[str, Any]]:
    """process.json of each process of one version of the code, with its folder; seeds in order of their number."""
    found = [(read_json(path) or {}) | {"folder": path.parent} for path in code.glob("processes/*/process.json")]
    for process in found:
        process.setdefault("kind", "")
        process.setdefault("process", process["folder"].name)
    return sorted(found, key=lambda one: (one["kind"], one.get("seed") or 0, str(one["process"])))


def header(
    run: Mapping[str, Any],
    config: Mapping[str, Any],
    verdict: Mapping[str, Any],
    phases: Iterable[Mapping[str, Any]],
    threads: int | None,
) -> tree.Header:
    paper = section(config, "paper")
    dataset = section(config, "dataset")
    compute = section(paper, "compute")
    code = verdict.get("exit_code")
    return tree.Header(
        run=str(run.get("run", "")),
        paper=str(run.get("paper", "")),
        title=str(run.get("title") or paper.get("title") or run.get("paper", "")),
        arxiv=str(run.get("arxiv") or paper.get("arxiv") or ""),
        scale=str(run.get("scale", "")),
        data=str(run.get("data", "")),
        created=str(run.get("created", "")),
        command=str(run.get("command", "")),
        version=str(run.get("harness_version", "")),
        overrides=tuple(map(str, run.get("overrides", ()))),
        exit_code=int(code) if code is not None else None,
        seconds=sum(number(phase.get("seconds")) or 0.0 for phase in phases),
        threads=threads,
        licence=str(dataset.get("licence", "") or ""),
        stripped_away=tuple(map(str, paper.get("stripped_away") or ())),
        reported_compute=str(compute.get("text", "") or ""),
    )


def section(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = config.get(key)
    return value if isinstance(value, Mapping) else {}


# ---- rows -------------------------------------------------------------------------------------------------------


def row(entry: Mapping[str, Any]) -> tree.Row:
    """A row of verdict.json; keys that a newer harness adds are ignored."""
    known = {one.name for one in fields(tree.Row)}
    values = {key: value for key, value in entry.items() if key in known and value is not None}
    for key in ("paper", "tolerance", "ours", "confidence", "difference", "p_one_distribution"):
        values[key] = number(entry.get(key))
    values["values"] = tuple(one for one in map(number, entry.get("values") or ()) if one is not None)
    values["interval"] = pair(entry.get("interval"))
    values["notes"] = tuple(map(str, entry.get("notes") or ()))
    values["edits"] = tuple(tuple(map(str, edit)) for edit in entry.get("edits") or ())
    values["points"] = tuple((float(a), float(b), float(c)) for a, b, c in entry.get("points") or ())
    values["n"] = int(entry.get("n") or 0)
    values["stricter"] = entry.get("stricter") is True
    values["own"] = entry.get("own") is not False
    for one in fields(tree.Row):
        if one.type == "str" and one.name in values:
            values[one.name] = str(values[one.name])
    values.setdefault("id", "")
    values["label"] = values.get("label") or values["id"]
    values.setdefault("verdict", "not_run")
    return tree.Row(**values)


def edited(rows: tuple[tree.Row, ...], registered: Mapping[str, Any]) -> tuple[tree.Row, ...]:
    """Each row with what was changed in it since the table was registered with the first seed."""
    from dataclasses import replace

    before = {str(record.get("id")): record for record in registered.get("records", ()) if isinstance(record, Mapping)}
    if not before:
        return rows
    result = []
    for one in rows:
        record = before.get(one.id)
        if record is None:
            if any(edit[0] == "record" for edit in one.edits):
                result.append(one)
                continue
            result.append(replace(one, edits=(*one.edits, ("record", "absent", "added after the first seed"))))
            continue
        edits = []
        said = record.get("printed") or record.get("value") or ""
        printed = str(said.get("text", "")) if isinstance(said, Mapping) else str(said)
        if printed and one.printed and printed != one.printed:
            edits.append(("printed value", printed, one.printed))
        for name in ("unit", "direction", "setting", "kind", "metric"):
            before_it, now_it = record.get(name), getattr(one, name)
            if before_it is not None and now_it and str(before_it) != now_it:
                edits.append((name, str(before_it), now_it))
        tolerance = record.get("tolerance")
        if isinstance(tolerance, Mapping):
            kind, size = str(tolerance.get("kind") or "absolute"), number(tolerance.get("value"))
            if kind == "relative" and size is not None and one.paper is not None:
                size *= abs(one.paper)
            if size is not None and one.tolerance is not None and not math.isclose(size, one.tolerance, rel_tol=1e-6):
                edits.append(("tolerance", f"±{size:g}", f"±{one.tolerance:g}"))
        known = {edit[0] for edit in one.edits}
        result.append(replace(one, edits=(*one.edits, *(edit for edit in edits if edit[0] not in known))))
    return tuple(result)


def budget_edits(config: Mapping[str, Any], registered: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """What was changed in the budget of seeds and the confidence since the first seed."""
    from repro.verdict import registration

    yield from registration.budget_edits(registered, section(config, "reproduction"))


def changed(
    config: Mapping[str, Any], registered: Mapping[str, Any], verdict: Mapping[str, Any]
) -> Iterable[tuple[str, str, str]]:
    """Edits that belong to no row: those that the verdict noted, and a budget that was changed since."""
    noted = [tuple(map(str, edit)) for edit in verdict.get("edits") or ()]
    yield from ((edit[0], edit[1], edit[2]) for edit in noted)
    yield from (edit for edit in budget_edits(config, registered) if edit[0] not in {one[0] for one in noted})


def excluded(verdict: Mapping[str, Any]) -> Iterable[tree.LeftOut]:
    """Runs and seeds that were left out when several runs were put together."""
    for entry in verdict.get("excluded") or ():
        yield tree.LeftOut(str(entry.get("what", "")), str(entry.get("contains", "")), str(entry.get("why", "")))


def gap(entry: Mapping[str, Any]) -> tree.Gap:
    causes = tuple(
        tree.Cause(
            label=str(cause.get("label", "")),
            detail=str(cause.get("detail") or ""),
            effect=number(cause.get("effect")),
            interval=pair(cause.get("interval")),
            values=tuple(one for one in map(number, cause.get("values") or ()) if one is not None),
            share=str(cause.get("share") or ""),
            note=str(cause.get("note") or ""),
        )
        for cause in entry.get("causes", ())
    )
    return tree.Gap(
        row=str(entry.get("row", "")),
        gap=number(entry.get("gap")),
        interval=pair(entry.get("interval")),
        sentence=str(entry.get("sentence") or ""),
        causes=causes,
        next=str(entry.get("next") or ""),
    )


def commands(run: Mapping[str, Any], rows: tuple[tree.Row, ...]) -> Iterable[tree.Command]:
    """The run itself, then each further command with the rows that it gives."""
    own = str(run.get("command", ""))
    if own:
        yield tree.Command(own, "everything on this page")
    gives: dict[str, list[tree.Row]] = {}
    for one in rows:
        # a number of another system is context: no command of ours gives it
        if one.own and one.command and one.command != own:
            gives.setdefault(one.command, []).append(one)
    for command, asked in gives.items():
        names = [f"{one.label} ({one.group})" if one.group else one.label for one in asked]
        shown = "; ".join(names[:4]) + (f"; {len(names) - 4} more rows" if len(names) > 4 else "")
        costs = sorted({one.estimate or one.compute for one in asked if one.estimate or one.compute})
        yield tree.Command(command, shown + (f" · {costs[0]}" if len(costs) == 1 else ""))


# ---- trajectories -----------------------------------------------------------------------------------------------


def trajectory(folder: Path) -> dict[tuple[str, str], dict[int, float]]:
    """(split, metric) → {update: value} of one process, from the rows that hold after every resume."""
    series: dict[tuple[str, str], dict[int, float]] = {}
    for entry in ProcessStore(folder).rows:
        for metric, value in metrics_of(entry).items():
            if value is not None:
                series.setdefault((entry["split"], metric), {})[entry["update"]] = value
    return series


def thin(updates: list[int], most: int = MOST_POINTS) -> list[int]:
    """At most `most` of the updates, evenly spaced, first and last kept."""
    if len(updates) <= most:
        return updates
    step = (len(updates) - 1) / (most - 1)
    return [updates[round(place * step)] for place in range(most)]


def axis_of(steps: Mapping[str, Any]) -> tuple[str, float]:
    """What trajectories are drawn over and how much of it an update is, as `paper.steps` of a configuration says."""
    if not steps:
        return "updates", 1.0
    return str(steps["unit"]), float(evaluate(str(steps["per_update"]), steps.get("names") or {}))


def panels(
    processes: list[dict[str, Any]], rows: tuple[tree.Row, ...], steps: Mapping[str, Any] = MappingProxyType({})
) -> tuple[tree.Panel, ...]:
    """One panel for each metric, split and system of the reproduction: evaluation first, then losses, then the rest."""
    unit, per_update = axis_of(steps)
    seeds: dict[tuple[str, str, str], list[tuple[dict[str, Any], dict[int, float]]]] = {}
    for process in processes:
        for (split, metric), values in trajectory(process["folder"]).items():
            seeds.setdefault((str(process.get("name") or ""), split, metric), []).append((process, values))
    result = []
    for (system, split, metric), found in seeds.items():
        # a seed that diverged or still runs would cut the mean short, so the mean is of those that ended as planned
        whole = [values for process, values in found if process.get("status") == "finished"] or [
            values for _, values in found
        ]
        shared = sorted(set.intersection(*map(set, whole)))
        grid = thin(shared)
        curves = []
        for process, values in found:
            own = sorted(values)
            # seeds that recorded the same updates share the thinned grid, so that the mean passes between them
            chosen = grid if len(own) == len(shared) else thin(own)
            curves.append(
                tree.Curve(
                    seed=int(process.get("seed") or 0),
                    points=tuple((at, values[at]) for at in chosen),
                    recorded=len(own),
                    status=str(process.get("status", "finished")),
                )
            )
        mean = tuple((at, math.fsum(values[at] for values in whole) / len(whole)) for at in grid)
        about = [one for one in rows if (one.metric, one.system) == (metric, system)]
        printed = tuple(
            (one.where or one.group or "paper", one.paper, one.tolerance)
            for one in about
            if one.counted and one.paper is not None and one.n and (split != "train" or one.split == "train")
        )
        if len(printed) > 2:  # many lines: none would say whose it is
            printed = ()
        curve = next((one for one in about if one.kind == "curve" and one.split == split and one.n), None)
        result.append(
            tree.Panel(
                metric,
                split,
                tuple(curves),
                mean,
                printed,
                system,
                curve.points if curve else (),
                ("printed in the paper" if curve.counted else "recorded from a run of ours") if curve else "",
                unit,
                per_update,
                any(one.counted and one.split == split for one in about),
                about[0].direction if about else "",
            )
        )
    return tuple(sorted(result, key=panel_order))


def panel_order(panel: tree.Panel) -> tuple[int, str, str, str]:
    """What the paper reports and evaluation metrics before losses of evaluation, training losses, and the rest."""
    loss = "loss" in panel.metric or "total" in panel.metric
    held_out = panel.split != "train"
    if panel.metric.startswith(("learning_rate", "lr", "gradient", "grad", "time", "tokens")):
        rank = 5
    elif panel.reported:
        rank = 0
    elif held_out:
        rank = 1 if loss else 0
    else:
        rank = 2 if panel.metric in ("total", "loss", "loss.total") else 3 if loss else 4
    return rank, panel.split, panel.metric, panel.system


# ---- pictures ---------------------------------------------------------------------------------------------------


def pictures(folder: Path, processes: Iterable[Mapping[str, Any]]) -> Iterable[tree.Picture]:
    """What the processes drew, in order; bytes are taken as long as the page has room for them."""
    room = MOST_PICTURE_BYTES
    for process in processes:
        entries, _ = ProcessStore(process["folder"]).pictures
        for entry in entries:
            data = {}
            for kind in ("file", "still"):
                if entry.get(kind) and (path := process["folder"] / str(entry[kind])).is_file():
                    data[kind] = path.read_bytes()
            size = sum(map(len, data.values()))
            fits = size <= room
            room -= size if fits else 0
            file = str((process["folder"] / str(entry["file"])).relative_to(folder)) if entry.get("file") else ""
            note = str(entry.get("note") or "")
            if not fits:
                note = f"left out of the page, which carries {MOST_PICTURE_BYTES // 1000:,} kB of pictures: {file}"
            elif file and "file" not in data:
                note = f"its file is missing: {file}"
            uris = {kind: f"data:image/png;base64,{b64encode(one).decode()}" for kind, one in data.items() if fits}
            yield tree.Picture(
                name=str(entry.get("name", "")),
                kind=str(entry.get("kind", "")),
                caption=str(entry.get("caption") or ""),
                note=note,
                system=str(process.get("name") or ""),
                seed=int(process.get("seed") or 0),
                width=int(entry.get("width") or 0),
                height=int(entry.get("height") or 0),
                frames=int(entry.get("frames") or 0),
                seconds=number(entry.get("seconds")) or 0.0,
                file=file,
                data=uris.get("file", ""),
                still=uris.get("still", ""),
                values=tuple(
                    tuple(math.nan if (one := number(value)) is None else one for value in line)
                    for line in entry.get("values") or ()
                ),
            )


# ---- gauntlet ---------------------------------------------------------------------------------------------------


def rate_study(source: Path | None, config: Mapping[str, Any]) -> tree.RateStudy | None:
    study = read_json(source / "studies" / "learning_rate.json") if source else None
    if study is None:
        return None
    trials: list[tree.Trial] = []
    for entry in study.get("trials", ()):
        params = entry.get("params") or {}
        rate = number(params.get("learning_rate") or next(iter(params.values()), None))
        if rate is None or not rate > 0:
            continue
        value = number(entry.get("value"))
        trials.append(
            tree.Trial(
                number=int(entry.get("number", len(trials))),
                rate=rate,
                value=value if value is not None and math.isfinite(value) else None,
                state=str(entry.get("state", "")).lower(),
                error=str(entry.get("error") or ""),
            )
        )
    return tree.RateStudy(
        objective=str(study.get("objective") or "loss"),
        direction=str(study.get("direction") or "minimize"),
        trials=tuple(sorted(trials, key=lambda trial: trial.rate)),
        usable=pair(study.get("usable")),
        paper=number(study.get("paper_value")),
        updates=whole((study.get("definition") or {}).get("updates")),
        full_updates=whole((config.get("reproduction") or {}).get("updates")),
    )


def effects(source: Path | None, verdict: Mapping[str, Any]) -> tuple[tree.Effect, ...]:
    """The effects that the ablation study found: metrics that a claim names first, in each the largest first."""
    study = read_json(source / "studies" / "ablation.json") if source else None
    if study is None:
        return ()
    runs = {str(run.get("name")): run for run in study.get("runs", ())}
    bases: dict[str, list[float]] = {}
    for trial in study.get("trials", ()):
        if (trial.get("params") or {}).get("ablation") == "baseline":
            for metrics in (trial.get("metrics_by_seed") or {}).values():
                for metric, value in metrics.items():
                    if (amount := number(value)) is not None and math.isfinite(amount):
                        bases.setdefault(metric, []).append(amount)
    named = [str(entry.get("metric")) for entry in verdict.get("rows", ()) if entry.get("kind") == "claim"]
    order = list(dict.fromkeys([*named, *bases]))
    result = []
    for entry in study.get("effects", ()):
        run = runs.get(str(entry.get("name")), {})
        metric = str(entry.get("metric", ""))
        lost = [str(seed) for seed in entry.get("missing") or ()]
        missing = f"without {'seed' if len(lost) == 1 else 'seeds'} {', '.join(lost)}" if lost else ""
        if missing and run.get("state") not in (None, "complete"):
            missing += f": {run.get('state')} {run.get('error') or ''}".rstrip()
        base = bases.get(metric, [])
        result.append(
            tree.Effect(
                name=str(entry.get("name", "")),
                metric=metric,
                changes=", ".join(f"{key}={value}" for key, value in sorted((run.get("changes") or {}).items())),
                says=str(run.get("says") or ""),
                differences=tuple(one for one in map(number, (entry.get("values") or {}).values()) if one is not None),
                mean=number(entry.get("mean")),
                interval=pair(entry.get("interval")),
                confidence=number(entry.get("confidence")),
                baseline=math.fsum(base) / len(base) if base else None,
                missing=missing,
            )
        )
    place = {metric: index for index, metric in enumerate(order)}
    return tuple(
        sorted(result, key=lambda one: (place.get(one.metric, len(place)), one.mean is None, -abs(one.mean or 0.0)))
    )


# ---- phases -----------------------------------------------------------------------------------------------------


def phase_of(entry: Mapping[str, Any]) -> tree.Phase:
    known = {one.name for one in fields(tree.Check)}
    checks = []
    for finding in entry.get("findings", ()):
        values = {key: value for key, value in finding.items() if key in known and value is not None}
        values["likely"] = tuple(map(str, values.get("likely", ())))
        checks.append(tree.Check(**values))
    questions = entry.get("questions") or {}
    return tree.Phase(
        name=str(entry.get("phase", "")),
        outcome=str(entry.get("outcome", "not_run")),
        summary=str(entry.get("summary", "")),
        checks=tuple(checks),
        seconds=number(entry.get("seconds")) or 0.0,
        created=str(entry.get("created", "")),
        answered=int(questions.get("answered", 0)),
        questions=int(questions.get("total", 0)),
    )


def audit(phases: Iterable[Mapping[str, Any]], rows: tuple[tree.Row, ...]) -> tuple[tree.AuditLine, ...]:
    """What analysis re-derived; where it left no table, the rows that carry arithmetic."""
    labels = {one.id: one for one in rows}
    for phase in phases:
        if phase.get("phase") == "analysis" and isinstance(found := section(phase, "data").get("audit"), list):
            return tuple(audit_line(entry, labels) for entry in found)
    return tuple(
        tree.AuditLine(
            one.id,
            f"{one.label}, {one.group}" if one.group else one.label,
            one.printed,
            "" if one.ours is None else significant(one.ours, 4),
            one.verdict if one.verdict == "paper_inconsistent" else "agrees",
            one.arithmetic,
            one.assumption,
        )
        for one in rows
        if one.arithmetic
    )


def audit_line(entry: Mapping[str, Any], labels: Mapping[str, tree.Row]) -> tree.AuditLine:
    record = str(entry.get("record") or entry.get("id") or "")
    known = labels.get(record)
    derived = entry.get("derived")
    verdict = str(entry.get("verdict") or ("agrees" if entry.get("holds") else "paper_inconsistent"))
    return tree.AuditLine(
        record=record,
        label=f"{known.label}, {known.group}" if known and known.group else known.label if known else record,
        printed=str(entry.get("printed") or (known.printed if known else "")),
        derived=""
        if derived is None
        else significant(derived, 4)
        if isinstance(derived, (int, float))
        else str(derived),
        verdict=verdict,
        arithmetic=str(entry.get("arithmetic") or ""),
        assumption=str(entry.get("assumption") or ""),
        needs=str(entry.get("needs") or ""),
    )


def tables(phases: Iterable[Mapping[str, Any]]) -> Iterable[tree.Table]:
    """Every list of flat objects that a phase left in its data, as a table; the audit has its own place."""
    for phase in phases:
        for name, value in section(phase, "data").items():
            if name == "audit" or not isinstance(value, list) or not value:
                continue
            if not all(isinstance(entry, Mapping) for entry in value):
                continue
            columns = tuple(dict.fromkeys(key for entry in value for key in entry))
            rows = tuple(tuple(entry.get(column) for column in columns) for entry in value)
            yield tree.Table(str(phase.get("phase", "")), name, columns, rows)


def tricky(config: Mapping[str, Any], phases: Iterable[tree.Phase]) -> Iterable[tuple[str, str, str]]:
    """(part, where the paper hides it, what guards it); a check that could not run guards nothing, and that is said."""
    outcomes: dict[str, set[str]] = {}
    for check in (check for phase in phases for check in phase.checks):
        outcomes.setdefault(check.check, set()).add(check.outcome)
    for entry in section(config, "paper").get("tricky_parts") or ():
        if isinstance(entry, Mapping):
            guard = entry.get("guard", "")
            names = map(str, guard if isinstance(guard, list) else [guard])
            guards = ", ".join(f"{name} (did not run)" if outcomes.get(name) == {"not_run"} else name for name in names)
            yield str(entry.get("part", "")), str(entry.get("hidden_in", "")), guards


def left_out(processes: list[dict[str, Any]], older: list[Path]) -> Iterable[tree.LeftOut]:
    """Processes that did not finish, and results of older code; none is left out because of its result."""
    reasons = {
        "running": "not finished when this report was made",
        "interrupted": "interrupted; the same command resumes it",
        "failed": "failed",
        "diverged": "diverged; kept as not testable, its trajectory is drawn",
        "pruned": "pruned by the sweep",
    }
    for process in processes:
        status = str(process.get("status", "finished"))
        if status == "finished" or process["kind"] in ("learning_rate",):
            continue
        done = f"update {int(process.get('update') or 0):,} of {int(process.get('updates') or 0):,}"
        error = str(process.get("error") or "").strip().splitlines()
        why = reasons.get(status, status) + (f": {error[-1]}" if error else "")
        yield tree.LeftOut(str(process["process"]), done, why)
    for path in older:
        found = len(list(path.glob("processes/*/process.json")))
        yield tree.LeftOut(
            f"code {path.name}", f"{found} processes", "older version of the paper’s code; never mixed with a newer one"
        )
