"""Where everything of a run lies, who is using it, and what it has shown so far: no component is imported to read it.

    <runs_folder>/<paper>/<run_id>/
      run.json  config.yaml  registered_table.json  verdict.json  report.*
      evidence/<phase>.json  evidence/history.jsonl
      code/history.jsonl  code/<source_fingerprint>/{environment.json, processes/<process>/, studies/<study>.json}

Results of each source fingerprint lie apart; readers take the one used last, which after an edit is undone may be an
older folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from repro.errors import RunFolderError
from repro.findings import Evidence, Outcome
from repro.tracking.files import append_line, folder_errors, read_json, read_lines, write_json, write_text
from repro.tracking.store import RECORD, ProcessStore, now

FORMAT = 1
#: How folders begin that `report runs=[A,B]` makes of several runs.
PUT_TOGETHER = ("several-", "tasks-")


class RunFolder:
    """The paths and records of one run, below `root` = <runs_folder>/<paper>/<run_id>."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.root)!r})"

    # --- identity

    @property
    def run_id(self) -> str:
        return self.root.name

    @property
    def paper(self) -> str:
        return self.root.parent.name

    @property
    def description(self) -> dict[str, Any]:
        """run.json; `{}` before the run was created."""
        return read_json(self.root / "run.json") or {}

    @property
    def typed(self) -> list[str]:
        """The overrides that chose this run; see `choosing`."""
        return choosing(map(str, self.description.get("overrides") or ()))

    @property
    def exists(self) -> bool:
        return (self.root / "run.json").is_file()

    @classmethod
    def create(
        cls,
        runs_folder: str | os.PathLike[str],
        paper: str,
        run_id: str,
        description: Mapping[str, Any],
        config: str,
    ) -> RunFolder:
        """Makes the folder, run.json and config.yaml; where they are already there, `created` is kept.

        `description` holds title, arxiv, scale, data, command, overrides, harness_version; `config` is the resolved
        configuration as YAML, its secrets masked by the caller.

        Raises:
            RunFolderError: the folder cannot be made or written.
        """
        folder = cls(Path(runs_folder) / paper / run_id)
        with folder_errors(folder.root):
            folder.root.mkdir(parents=True, exist_ok=True)
        base = {"format": FORMAT, "run": run_id, "paper": paper, "created": now()}
        kept = {key: folder.description[key] for key in ("created",) if key in folder.description}
        write_json(folder.root / "run.json", {**base, **description, **kept})
        write_text(folder.root / "config.yaml", config)
        return folder

    # --- one user at a time

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder for this process; the operating system frees it at any death, kill -9 too.

        Raises:
            RunFolderError: another process holds it; the message names its id, host and command.
        """
        from filelock import FileLock, Timeout  # here: it costs `list` and `status` 0.2 s

        with folder_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.root / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise RunFolderError(
                    f"Run {self.run_id} of {self.paper} is in use by {self._owner()}. Folder: {self.root}",
                    "Wait for it or stop it, then give the same command again.",
                ) from error
        try:
            write_json(
                self.root / "owner.json",
                {"pid": os.getpid(), "host": socket.gethostname(), "command": command_line(), "since": now()},
            )
            yield
        finally:
            lock.release()

    def _owner(self) -> str:
        owner = read_json(self.root / "owner.json") or {}
        if not owner:
            return "another process that has only just started"
        return f"process {owner['pid']} on {owner['host']}, since {owner['since']}: {owner['command']}"

    # --- evidence

    def write_evidence(self, evidence: Evidence, sources: Iterable[Path] = ()) -> None:
        """Writes evidence/<phase>.json and adds one line to evidence/history.jsonl.

        `sources` are the files that the evidence is about: kept once each, so that it can be said what changed between
        a check that failed and the same check passed.
        """
        record = evidence.to_json()
        record["created"] = record["created"] or now()
        write_json(self.root / "evidence" / f"{evidence.phase}.json", record)
        failed = sorted({f.check for f in evidence.findings if f.outcome in (Outcome.FAILED, Outcome.ERROR)})
        passed = {f.check for f in evidence.findings if f.outcome in (Outcome.PASSED, Outcome.WARNED)}
        append_line(
            self.root / "evidence" / "history.jsonl",
            {
                "phase": evidence.phase,
                "outcome": evidence.outcome,
                "failed": failed,
                "passed": sorted(passed - set(failed)),
                "sources": self._keep_sources(sources),
                "created": record["created"],
                "nanoseconds": time.time_ns(),  # since 1970: orders what was written within one second
                "fingerprint": evidence.fingerprint,
            },
        )

    def _keep_sources(self, sources: Iterable[Path]) -> dict[str, str]:
        """Name → digest of each file; its text lies in evidence/sources/<digest>."""
        kept = {}
        for path in sorted(sources):
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:12]
            kept[os.path.join(path.parent.name, path.name)] = digest
            place = self.root / "evidence" / "sources" / digest
            if not place.exists():
                write_text(place, content.decode("utf-8", "replace"))
        return kept

    def read_evidence(self, phase: str) -> Evidence | None:
        """The newest evidence of a phase, None where it has not run."""
        record = read_json(self.root / "evidence" / f"{phase}.json")
        return Evidence.from_json(record) if record else None

    @property
    def evidence(self) -> dict[str, Evidence]:
        """The newest evidence of every phase that has run, by phase, in the order they ended."""
        found = [Evidence.from_json(read_json(path)) for path in self.root.glob("evidence/*.json")]
        return {one.phase: one for one in sorted(found, key=lambda one: one.created)}

    @property
    def evidence_history(self) -> list[dict[str, Any]]:
        return read_lines(self.root / "evidence" / "history.jsonl")

    # --- the code's own results

    def use_code(self, source_fingerprint: str, environment: Mapping[str, Any]) -> Path:
        """Makes code/<source_fingerprint>/ the newest and records what it runs on; returns the folder."""
        folder = self.root / "code" / source_fingerprint
        write_json(folder / "environment.json", environment)
        if self.newest_code != source_fingerprint:
            append_line(
                self.root / "code" / "history.jsonl",
                {"source_fingerprint": source_fingerprint, "used": now()},
            )
        return folder

    @property
    def newest_code(self) -> str | None:
        """The source fingerprint used last; None before the first process."""
        history = read_lines(self.root / "code" / "history.jsonl")
        return history[-1]["source_fingerprint"] if history else None

    def code(self, source_fingerprint: str | None = None) -> Path:
        """code/<source_fingerprint>/, by default the newest.

        Raises:
            RunFolderError: nothing was trained yet.
        """
        fingerprint = source_fingerprint or self.newest_code
        if fingerprint is None:
            raise RunFolderError(
                f"Run {self.run_id} of {self.paper} has trained nothing yet.",
                f"Train it with: python -m repro run paper={self.paper}",
            )
        return self.root / "code" / fingerprint

    def environment(self, source_fingerprint: str | None = None) -> dict[str, Any]:
        return read_json(self.code(source_fingerprint) / "environment.json") or {}

    def process(self, process: str, source_fingerprint: str | None = None) -> ProcessStore:
        """The store of one process, such as "seed-0"; it need not have begun."""
        return ProcessStore(self.code(source_fingerprint) / "processes" / process)

    def processes(self, source_fingerprint: str | None = None, kind: str | None = None) -> list[ProcessStore]:
        """Every process that began, by name, of the newest code unless said; `kind` keeps one kind only."""
        if (source_fingerprint or self.newest_code) is None:
            return []
        folders = sorted(path.parent for path in self.code(source_fingerprint).glob(f"processes/*/{RECORD}"))
        stores = [ProcessStore(folder) for folder in folders]
        return [store for store in stores if kind is None or store.record.get("kind") == kind]

    def study_path(self, study: str, source_fingerprint: str | None = None) -> Path:
        return self.code(source_fingerprint) / "studies" / f"{study}.json"

    def studies(self, source_fingerprint: str | None = None) -> dict[str, dict[str, Any]]:
        """The records of all studies of the newest code unless said, by name."""
        if (source_fingerprint or self.newest_code) is None:
            return {}
        paths = sorted((self.code(source_fingerprint) / "studies").glob("*.json"))
        return {path.stem: read_json(path) for path in paths}

    # --- the verdict and its table

    def register_table(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Writes registered_table.json with the first seed; later calls change nothing. Returns what is registered."""
        path = self.root / "registered_table.json"
        if not path.exists():
            write_json(path, {"registered": now(), **record})
        return self.registered_table

    @property
    def registered_table(self) -> dict[str, Any]:
        return read_json(self.root / "registered_table.json") or {}

    def write_verdict(self, verdict: Mapping[str, Any]) -> None:
        write_json(self.root / "verdict.json", verdict)

    @property
    def verdict(self) -> dict[str, Any]:
        return read_json(self.root / "verdict.json") or {}

    # --- the rest

    @property
    def config_text(self) -> str:
        """config.yaml as it was written: resolved, secrets masked."""
        with folder_errors(self.root / "config.yaml", "read"):
            return (self.root / "config.yaml").read_text(encoding="utf-8")

    @property
    def settings(self) -> dict[str, Any]:
        """config.yaml, read: the resolved configuration, secrets masked; `{}` where there is none.

        Raises:
            RunFolderError: unreadable, or not YAML.
        """
        import yaml  # here: what only lists runs does without

        path = self.root / "config.yaml"
        if not path.exists():
            return {}
        try:
            found = yaml.load(self.config_text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.YAMLError as error:
            hint = "The run's own command writes it anew."
            raise RunFolderError(f"{path} is not YAML: {error}.", hint) from error
        return found if isinstance(found, dict) else {}

    @property
    def wandb(self) -> Path:
        """Where W&B's offline files lie."""
        return self.root / "wandb"

    def report(self, suffix: str = "html") -> Path:
        return self.root / f"report.{suffix}"


def command_line() -> str:
    """The command of this process as the user could type it; what follows a secret's `=` is left out."""
    words = []
    for word in sys.argv:
        name, equals, _ = word.partition("=")
        words.append(f"{name}=***" if equals and ("secret" in name.lower() or "://" in word) else word)
    if words and words[0].endswith("__main__.py"):
        words[0] = f"python -m {Path(words[0]).parent.name}"
    return " ".join(words)


def list_runs(runs_folder: str | os.PathLike[str], paper: str | None = None) -> list[RunFolder]:
    """The runs below `runs_folder`, of one paper if said, the one touched last first; `[]` where there are none.

    What was put together from several runs trained nothing itself, so it comes after all that did.
    """
    with folder_errors(Path(runs_folder), "read"):
        folders = [RunFolder(path.parent) for path in Path(runs_folder).glob(f"{paper or '*'}/*/run.json")]
        return sorted(folders, key=lambda folder: _touched(folder.root), reverse=True)


def _touched(root: Path) -> tuple[bool, float]:
    """Whether it trained, and when it was last used: run.json is rewritten by every command that runs it."""
    return not root.name.startswith(PUT_TOGETHER), (root / "run.json").stat().st_mtime


def find_run(run: str | os.PathLike[str], runs_folder: str | os.PathLike[str] = "runs") -> RunFolder:
    """The run meant by a path, a run id or its beginning, or a paper's name (its latest run).

    Raises:
        RunFolderError: none or several fit; the message lists what there is.
    """
    if (Path(run) / "run.json").is_file():
        return RunFolder(Path(run).resolve())
    runs = list_runs(runs_folder)
    text = os.fspath(run)
    fitting = [folder for folder in runs if text and folder.run_id.startswith(text)]
    if len({folder.root for folder in fitting}) == 1:
        return fitting[0]
    if not fitting:
        of_paper = [folder for folder in runs if folder.paper == text]
        if of_paper:
            return of_paper[0]
    known = ", ".join(f"{folder.paper}/{folder.run_id}" for folder in (fitting or runs)[:10])
    raise RunFolderError(
        f"{'Several runs begin' if fitting else 'There is no run'} {'with ' if fitting else ''}'{text}'"
        f" in {Path(runs_folder).resolve()}. {'They are' if fitting else 'Known'}: {known or 'none yet'}.",
        "Give a path, a run id or its beginning, or the name of a paper (its latest run is taken).",
    )


def choosing(overrides: Iterable[str]) -> list[str]:
    """The overrides that choose a run, without its paper and what only said which parts of it were to be done."""
    keys = ((word, word.partition("=")[0]) for word in overrides)
    passing = ("paper", "phases", "keep_going", "sweep")
    return [word for word, key in keys if key not in passing and not key.startswith(("sweep.", "check."))]
