"""Read a run folder into a `Report`: JSON and YAML only, so that it needs neither torch nor pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from repro.configuration.identity import flat
from repro.errors import RunFolderError
from repro.phases import ORDER
from repro.report import finals, tree
from repro.report.collecting.phases import audit, phase_of, tables, tricky
from repro.report.collecting.pictures import pictures
from repro.report.collecting.rows import edits_of, gap, row
from repro.report.collecting.studies import effects, rate_study
from repro.report.collecting.tasks import tasks_of
from repro.report.collecting.trajectories import panels
from repro.report.collecting.values import number, section
from repro.session.keep import read as read_pages
from repro.tracking.files import read_json
from repro.tracking.run_folder import RunFolder
from repro.tracking.store import ProcessStore


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

    rows = tuple(row(entry) for entry in verdict.get("rows", ()))
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
        edits=edits_of(verdict),
        registered={
            key: str(registered[key]) for key in ("hash", "registered", "source_fingerprint") if key in registered
        },
        source=source.name if source else "",
        tasks=tasks_of(folder, verdict, lambda of_task: collect(of_task).panels),
        sessions=tuple(read_pages(folder)),
    )


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


def excluded(verdict: Mapping[str, Any]) -> Iterable[tree.LeftOut]:
    """Runs and seeds that were left out when several runs were put together."""
    for entry in verdict.get("excluded") or ():
        yield tree.LeftOut(str(entry.get("what", "")), str(entry.get("contains", "")), str(entry.get("why", "")))


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
