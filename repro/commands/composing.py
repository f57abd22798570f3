"""What `run`, `check` and `sweep` share: compose, print or start, once for every combination of overrides."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from contextlib import closing, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from repro.commands.display import Display, JsonDisplay, choose
from repro.commands.failures import STOPPED, say, working_in
from repro.configuration import folders, secrets
from repro.errors import ExitCode, ReproError, worst

if TYPE_CHECKING:
    from repro.configuration.compose import Composed

Start = Callable[["Composed", Display], ExitCode]


def perform(arguments: argparse.Namespace, start: Start, extra: tuple[str, ...] = ()) -> ExitCode:
    """Compose the overrides (`extra` first) and `start` what they describe; the worst code of all combinations.

    With `--multirun`, a combination that fails is reported and the others still run.
    """
    folders.add_to_path()
    overrides = [*extra, *arguments.overrides]
    secrets.remember_overrides(overrides)
    if added := folders.added():
        print(added, file=sys.stderr)
    if not arguments.multirun:
        return _one(overrides, arguments, start)
    from repro.configuration.overrides import expand

    codes: list[ExitCode] = []
    combinations = expand(overrides)
    for number, combination in enumerate(combinations, 1):
        typed = secrets.mask_text(shlex.join(combination))
        print(f"[{number} of {len(combinations)}] {typed}", file=sys.stderr)
        try:
            codes.append(_one(combination, arguments, start))
        except ReproError as error:
            if error.exit_code in STOPPED:
                raise  # a person who stops one run stops them all
            codes.append(say(error))
    if len(codes) > 1:
        print(f"{len(codes)} runs: exit codes {', '.join(str(code.value) for code in codes)}", file=sys.stderr)
    return worst(codes)


def _one(overrides: list[str], arguments: argparse.Namespace, start: Start) -> ExitCode:
    from repro.configuration.compose import compose

    composed = compose(overrides)
    if arguments.cfg:
        print(as_text(composed, arguments.json))
        return ExitCode.OK
    folder = run_folder(composed)
    working_in(folder)
    display = choose(arguments.json)
    # with --json, stdout holds JSON lines alone: what the paper's code prints goes to stderr
    printed = redirect_stdout(sys.stderr) if isinstance(display, JsonDisplay) else nullcontext()
    with closing(display), printed:
        display.note(headline(composed, folder))
        code = start(composed, display)
    if isinstance(display, JsonDisplay):
        display.emit("finished", exit_code=code.value, run_folder=str(folder))
    return code


def as_text(composed: Composed, as_json: bool = False) -> str:
    """The resolved configuration as YAML or JSON, secrets masked."""
    import yaml

    plain = secrets.masked(composed.config)
    if as_json:
        return json.dumps(plain, indent=2)
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120).rstrip()


def run_folder(composed: Composed) -> Path:
    """Where the results of a composed config lie: <runs_folder>/<paper>/<run id>."""
    from repro.configuration.identity import run_id

    return Path(composed.config.runs_folder) / composed.config.paper.name / run_id(composed.config)


def headline(composed: Composed, folder: Path) -> str:
    """`Attention Is All You Need · arXiv:1706.03762v5 · scale laptop · run 3f9a1c… · runs/transformer/3f9a1c…`."""
    paper = composed.config.paper
    arxiv = f"arXiv:{paper.arxiv}{paper.get('version') or ''}" if paper.get("arxiv") else ""
    data = f"data {composed.choices['data']}" if "data" in composed.choices else ""
    parts = (
        paper.get("title") or paper.name,
        arxiv,
        f"scale {composed.choices['scale']}",
        data,
        f"run {folder.name}",
    )
    return " · ".join([*(part for part in parts if part), str(folder)])
