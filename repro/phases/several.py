"""Seeds of several run folders, of several machines, judged as one: everything but the seed must be the same.

The result is a run folder of its own with a copy of every seed's raw values, so every report can be drawn from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from repro.errors import ConfigError, ReproError
from repro.phases import tasks
from repro.phases.measured import from_files
from repro.phases.members import Excluded, copy_seeds, described, fitting, folder_name, make_folder, member, named
from repro.phases.verdict import Judged, judge_run
from repro.tracking.run_folder import RunFolder


def together(
    folders: Sequence[RunFolder], runs_folder: Path, paper: str = ""
) -> tuple[RunFolder, Judged, tuple[Excluded, ...]]:
    """Put the seeds of `folders` into one run folder and judge them; what the first folder ran decides what fits.

    Runs of several tasks of a paper are put side by side instead (see `repro.phases.tasks`).

    Raises:
        ConfigError: fewer than two folders, or folders of another paper than `paper`.
        ReproError: nothing was trained in the first.
    """
    unique = list({folder.root.resolve(): folder for folder in folders}.values())
    if len(unique) < 2:
        raise ConfigError(f"runs: got {len(unique)} run folder, need at least two to put together.")
    other = sorted({folder.paper for folder in unique if folder.paper != (paper or unique[0].paper)})
    if other:
        raise ConfigError(f"runs: {', '.join(other)} is not {paper or unique[0].paper}; one paper at a time.")
    members = [member(folder) for folder in unique]
    lead = members[0]
    if not lead.source:
        raise ReproError(
            f"Run {lead.folder.run_id} has trained nothing yet, so nothing can be put together with it.",
            "Name a run with seeds first.",
        )
    rule = tasks.rule_of(lead.settings)
    if rule is not None and len({rule.task(one.settings) for one in members}) > 1:
        return tasks.side_by_side(members, rule, runs_folder)
    used, excluded = fitting(members)
    target = make_folder(used, runs_folder, folder_name("several", used), described(used))
    excluded += copy_seeds(used, target)
    judged = judge_run(from_files(target, lead.settings))
    if len(used) == 1:
        judged = replace(judged, sentences=(*judged.sentences, f"Nothing was put together: only {named(lead)} fits."))
    record = {**judged.to_json(), "excluded": [vars(one) for one in excluded]}
    target.write_verdict(record)
    return target, judged, tuple(excluded)
