"""What a row that was not run would take here: the operations of its updates, at the pace of measured ones.

Operations are counted on the meta device, where shapes are computed and numbers are not, so that the largest model of a
paper is counted in a fraction of a second. What is counted are products of matrices and convolutions, which is nearly
all of an update; backward takes two such products for each of forward. The pace is that of this run's own seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from repro.arithmetic import ExpressionError, evaluate
from repro.contract.paper import Paper
from repro.errors import ConfigError, ReproError

if TYPE_CHECKING:
    from repro.configuration.compose import Composed
    from repro.phases.context import PhaseContext
    from repro.reference.schema import Record
    from repro.tracking.store import ProcessStore

#: Products of an update for each of the forward pass: itself, the gradient of its input, that of its weights.
PASSES = 3


def measure(context: PhaseContext) -> dict[str, Any]:
    """What the run's rows would take, by the command that gives them; {} where no seed was measured or none is open.

    {"pace": operations a second on all of `on`, "on": "these 2 cores", "commands": {command: {"seconds": of one seed,
    "updates": …, "printed": "about 11 hours on 8 P100 …"} or {"error": why there is no estimate}}}
    """
    from repro.sweeps.cores import available_cores
    from repro.verdict.rows import command

    smoke = (context.settings.get("scale") or {}).get("name") == "smoke"
    if context.table is None or smoke:  # the pace of a handful of updates of a tiny model says nothing of a large one
        return {}
    wanted: dict[str, Record] = {}
    for record in context.table.records:
        text = command(context.table, record)
        if text and record.own and record.kind in ("value", "curve") and record.requires.scale:
            wanted.setdefault(text, record)
    found = pace(context) if wanted else None
    if found is None:
        return {}
    per_thread, threads, device = found
    cores = available_cores()
    whole = per_thread * cores if device == "cpu" else per_thread * threads
    on = f"{'this core' if cores == 1 else f'these {cores} cores'}" if device == "cpu" else f"this {device}"
    before = measured_before(context)
    if (before.get("pace"), before.get("on")) == (whole, on):
        return dict(before)
    return {"pace": whole, "on": on, "commands": dict(estimates(context, wanted, whole))}


def measured_before(context: PhaseContext) -> Mapping[str, Any]:
    """What an earlier pass of this run found, of the same code, configuration and table; {} where there is none."""
    from repro.phases.fingerprints import phase_fingerprint

    before = context.folder.read_evidence("reproduction")
    table = context.table.hash if context.table else ""
    if before is None or before.fingerprint != phase_fingerprint("reproduction", context.paper, table):
        return {}
    return before.data.get("compute") or {}


def estimates(context: PhaseContext, wanted: Mapping[str, Record], pace: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """(command, what it would take) for one record of each command."""
    printed = printed_pace(context)
    for number, (text, record) in enumerate(wanted.items()):
        context.progress("reproduction", "operations of the rows that were not run", number, len(wanted))
        try:
            paper = paper_of_record(context, record)
            operations, updates = update_operations(paper, context), int(paper.settings["reproduction"]["updates"])
        except ReproError as fault:
            yield text, {"error": str(fault)}
            continue
        entry: dict[str, Any] = {"seconds": updates * operations / pace, "updates": updates, "operations": operations}
        if printed is not None:
            reference, settings = printed
            seconds = updates * float(settings["seconds_per_update"]) * operations / reference
            entry["printed"] = f"{spell(seconds)} on {settings['devices']}"
            entry["from"] = f"{settings['seconds_per_update']} s an update, {settings['where']}"
        yield text, entry


def in_words(found: Mapping[str, Any], command: str) -> str:
    """ "about 460 hours a seed on these 2 cores, from a measured update; …"; "" for a command without an estimate."""
    entry = (found.get("commands") or {}).get(command)
    if entry is None:
        return ""
    if "error" in entry:
        return f"not estimated: {entry['error']}"
    text = f"about {spell(entry['seconds'])} a seed on {found['on']}, from a measured update"
    return text + (f"; {entry['printed']}, from the paper's {entry['from']}" if "printed" in entry else "")


def spell(seconds: float) -> str:
    """Two digits, for an estimate: "40 seconds", "25 minutes", "460 hours"."""
    units = (("second", 1, 100), ("minute", 60, 100), ("hour", 3600, math.inf))
    value, unit = next((seconds / size, unit) for unit, size, most in units if seconds / size < most)
    shown = f"{value:.2g}" if value < 9.95 else f"{float(f'{value:.2g}'):,.0f}"
    return f"{shown} {unit}{'' if shown == '1' else 's'}"


# --- the pace that was measured ---------------------------------------------------------------------------------------


def pace(context: PhaseContext) -> tuple[float, int, str] | None:
    """(operations a second of one thread, threads, device) of this run's seeds; None if none of them shows a pace."""
    from repro.phases.systems import paper_of, systems_of

    systems = {system.name: system for system in systems_of(context.settings)}
    for store in context.folder.processes(kind="reproduction"):
        record = store.record
        system = systems.get(str(record.get("name") or ""))
        seconds = seconds_per_update(store)
        if system is None or seconds is None:
            continue
        try:
            operations = update_operations(paper_of(context, system), context)
        except ReproError:
            continue
        threads = int(record.get("threads") or 1)
        return operations / seconds / threads, threads, str(record.get("device") or "cpu")
    return None


def seconds_per_update(store: ProcessStore) -> float | None:
    """Median over the stretches between two logged updates, so that an evaluation in one of them does not count."""
    logged = [row for row in store.rows if row["split"] == "train"]
    paces = [
        (after["time"] - before["time"]) / (after["update"] - before["update"])
        for before, after in pairwise(logged)
        if after["update"] > before["update"] and after["time"] > before["time"]
    ]
    return median(paces) if paces else None


def printed_pace(context: PhaseContext) -> tuple[float, Mapping[str, Any]] | None:
    """(operations of an update of the record that the paper times, what the paper says of it), if it is declared."""
    settings = ((context.settings.get("paper") or {}).get("compute") or {}).get("printed")
    if not settings or context.table is None:
        return None
    missing = [key for key in ("record", "seconds_per_update", "devices", "where") if not settings.get(key)]
    if missing:
        raise ConfigError(
            f"paper.compute.printed: {', '.join(missing)} missing.",
            "Give {record: <id of a reference number>, seconds_per_update: 0.4, devices: 8 P100, where: section 5.2}.",
        )
    known = {record.id: record for record in context.table.records}
    if settings["record"] not in known:
        raise ConfigError(f"paper.compute.printed.record: no reference number is called {settings['record']!r}.")
    return update_operations(paper_of_record(context, known[settings["record"]]), context), settings


# --- operations, by arithmetic ----------------------------------------------------------------------------------------


def paper_of_record(context: PhaseContext, record: Record) -> Paper:
    """The paper as the record's own command configures it."""
    import yaml

    choices = {"scale": record.requires.scale, "data": record.requires.data}
    base = composed_for(context.composed.choices["paper"], *(f"{k}={v}" for k, v in choices.items() if v))
    overrides = (override.partition("=") for override in record.requires.overrides)
    changes = {key: yaml.safe_load(value) for key, _, value in overrides}
    return Paper.from_config(base.with_changes(changes).config if changes else base.config)


@lru_cache(maxsize=8)
def composed_for(paper: str, *choices: str) -> Composed:
    """The configuration of a paper under a choice of scale and data, which many records share."""
    from repro.configuration.compose import compose

    return compose([f"paper={paper}", *choices])


def update_operations(paper: Paper, context: PhaseContext) -> float:
    """Floating-point operations of one update: PASSES times those of the forward pass on a batch of the usual sizes.

    Raises:
        ReproError: the sizes of a batch are not known, or forward needs the values of its input.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from repro.contract.bench import Bench

    sizes = batch_sizes(paper, context)
    bench = Bench(paper, torch.float32)
    with torch.device("meta"):
        model = paper.build_model(None)
        inputs = {}
        for name, tensor in paper.tensors.items():
            shape = [axis if isinstance(axis, int) else sizes.get(axis) for axis in tensor.axes]
            if tensor.output_of is None and all(size is not None for size in shape):
                inputs[name] = torch.empty([int(size or 0) for size in shape], dtype=getattr(torch, tensor.dtype))
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            bench.forward(model, inputs)
    if not counter.get_total_flops():
        raise ConfigError("no product of matrices was seen in forward.")
    return float(PASSES * counter.get_total_flops())


def batch_sizes(paper: Paper, context: PhaseContext) -> dict[str, int]:
    """Sizes of the axes of a training batch: as `paper.compute.batch` derives them, or those of this run's data.

    Raises:
        ConfigError: the paper's data is another than this run's, and nothing is declared.
    """
    from repro.contract.sizes import known_sizes

    declared = ((paper.settings.get("paper") or {}).get("compute") or {}).get("batch") or {}
    known = known_sizes(paper)
    if declared:
        try:
            return known | {axis: round(evaluate(str(text), known)) for axis, text in declared.items()}
        except ExpressionError as fault:
            raise ConfigError(f"paper.compute.batch: {fault}") from fault
    if paper.settings.get("data") != context.settings.get("data"):
        raise ConfigError(
            "the sizes of a batch of its data are not declared.",
            "Declare paper.compute.batch: {batch: batch_size, …}: an expression in whole numbers of the config.",
        )
    batch = context.bench().real("train", None)
    return known | known_sizes(paper, batch)
