"""Run folders that are put together: which of them ran the same, and one folder with a copy of all their seeds.

What may be put together has the same resolved scientific configuration (the first seed apart) and the same source
fingerprint of the paper's code. What differs is left out by name, with the reason and the settings that differ.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.configuration.identity import flat, scientific
from repro.errors import ReproError
from repro.phases import looks as registered_looks
from repro.tracking.files import read_json, write_json, write_text
from repro.tracking.run_folder import RunFolder
from repro.tracking.store import RECORD

MOST_SETTINGS = 4
COPIED = (RECORD, "trajectory.jsonl", "metrics.json")


@dataclass(frozen=True)
class Excluded:
    """A run, or a seed of one, that the verdict does not use, and why."""

    what: str
    contains: str
    why: str


@dataclass(frozen=True)
class Member:
    """One run folder that was asked for."""

    folder: RunFolder
    settings: dict[str, Any]
    source: str

    @property
    def identity(self) -> dict[str, str]:
        """What must be equal, as flat text: the scientific settings without the first seed, and no seed of the data."""
        found = {key: str(value) for key, value in flat(scientific(self.settings))}
        found.pop("reproduction.first_seed", None)
        return found


def member(folder: RunFolder) -> Member:
    settings = folder.settings
    if not settings:
        raise ReproError(f"{folder.root} has no config.yaml, so it cannot be told what it ran.")
    return Member(folder, settings, folder.newest_code or "")


def fitting(members: Sequence[Member], but: Sequence[str] = ()) -> tuple[list[Member], list[Excluded]]:
    """The members that ran what the first one ran, and the others with what differs.

    Settings at or below one of the dotted keys in `but` may differ.
    """
    lead, used, excluded = members[0], [members[0]], []
    for one in members[1:]:
        contains = f"{len(one.folder.processes(kind='reproduction'))} seeds"
        mine, theirs = lead.identity, one.identity
        differ = sorted(key for key in {*mine, *theirs} if mine.get(key) != theirs.get(key) and not below(key, but))
        if differ:
            shown = ", ".join(
                f"{key}={theirs.get(key, 'absent')} instead of {mine.get(key, 'absent')}"
                for key in differ[:MOST_SETTINGS]
            )
            more = f" and {len(differ) - MOST_SETTINGS} more" if len(differ) > MOST_SETTINGS else ""
            excluded.append(Excluded(named(one), contains, f"another configuration: {shown}{more}"))
        elif not one.source:
            excluded.append(Excluded(named(one), contains, "it has trained nothing"))
        elif one.source != lead.source:
            why = f"another version of the code: {one.source} instead of {lead.source}"
            excluded.append(Excluded(named(one), contains, why))
        else:
            used.append(one)
    return used, excluded


def below(key: str, prefixes: Sequence[str]) -> bool:
    return any(key == one or key.startswith(f"{one}.") for one in prefixes)


def named(one: Member) -> str:
    return f"run {one.folder.root}"


def folder_name(kind: str, used: Sequence[Member]) -> str:
    """The same for the same runs in any order: several-1f3c90ab."""
    return f"{kind}-{hashlib.sha256(chr(10).join(roots_of(used)).encode()).hexdigest()[:8]}"


def roots_of(used: Sequence[Member]) -> list[str]:
    return sorted(str(one.folder.root.resolve()) for one in used)


def described(used: Sequence[Member]) -> dict[str, Any]:
    """run.json of these members together, after the first one's."""
    lead = used[0]
    about = lead.folder.description
    description = {key: value for key, value in about.items() if key not in ("run", "paper", "format")}
    command = f"python -m repro report paper={lead.folder.paper} 'runs=[{','.join(str(o.folder.root) for o in used)}]'"
    return description | {"command": command, "together": roots_of(used)}


def make_folder(
    used: Sequence[Member], runs_folder: Path, name: str, description: Mapping[str, Any], emptied: Sequence[str] = ()
) -> RunFolder:
    """A run folder for these members together, after the first one's, without what an earlier call put there.

    `description` goes into run.json; `emptied` are folders besides code and evidence that this call fills anew.
    """
    lead = used[0]
    target = RunFolder.create(runs_folder, lead.folder.paper, name, description, lead.folder.config_text)
    with target.lock():
        for old in ("code", "evidence", *emptied):
            shutil.rmtree(target.root / old, ignore_errors=True)
        target.use_code(lead.source, lead.folder.environment(lead.source))
        # the earliest registration: later edits, on whatever machine, are edits after results
        tables = [one.folder.registered_table for one in used if one.folder.registered_table]
        if tables:
            write_json(target.root / "registered_table.json", min(tables, key=lambda one: str(one.get("registered"))))
    return target


def copy_seeds(used: Sequence[Member], target: RunFolder) -> list[Excluded]:
    """Copy every seed's raw files; a seed that two runs have counts once, the first one's.

    Studies and evidence are the first one's.
    """
    for path in sorted((used[0].folder.root / "evidence").glob("*.json")):
        write_json(target.root / "evidence" / path.name, read_json(path))
    excluded: list[Excluded] = []
    came: dict[str, Member] = {}
    code = target.code()
    for one in used:
        for store in one.folder.processes(one.source, kind="reproduction"):
            name = store.folder.name
            if name in came:
                why = f"the same seed is in {came[name].folder.root}, which counts"
                excluded.append(Excluded(f"{name} of {one.folder.root}", str(store.status), why))
                continue
            came[name] = one
            for file in COPIED:
                source = store.folder / file
                if source.is_file():
                    write_text(code / "processes" / name / file, source.read_text(encoding="utf-8"))
        for study, record in one.folder.studies(one.source).items():
            if not target.study_path(study).exists():
                write_json(target.study_path(study), record)
    seeds = {int(store.record["seed"]) for store in target.processes(kind="reproduction")}
    # each machine judged its own seeds; together they are judged at every number of seeds that any of them was
    looked = {look for one in used for look in registered_looks.read(one.folder, one.source).all} | {len(seeds)}
    planned = sorted(look for look in looked if look <= len(seeds))
    record = {"registered": "", "planned": planned, "added": [], "judged": []}
    # a system that ended earlier on every machine is judged at its own seeds
    ends = [registered_looks.read(one.folder, one.source).ends for one in used]
    own = {system: max(found[system][1] for found in ends) for system in set.intersection(*map(set, ends))}
    if own:
        record["ends"] = own
    write_json(code / registered_looks.FILE, record)
    return excluded
