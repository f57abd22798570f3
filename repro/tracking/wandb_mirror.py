"""Copies what the store holds to Weights & Biases, after the fact: training never waits for it, nothing depends on it.

One W&B run for each process of training, whole and in one piece, and one for the gates and the report; the id of a run
lies in process.json (or wandb.json of the run folder) and stays. By default everything is offline: files below
<run>/wandb, no account, no network; `sync_command` says how to upload them.

In W&B, step is the update; a metric is called <split>/<metric>; group is the paper, job_type one of gates,
learning_rate, ablation, reproduction, the tag our run id.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from repro.tracking.files import decode_number, dumps, read_json, write_json
from repro.tracking.run_folder import RunFolder
from repro.tracking.store import ProcessStore, metrics_of

GATES = "gates"

#: Kinds of processes that are debugging, not results.
NOT_MIRRORED = frozenset({"memorise"})

#: Columns of the discrepancy table in W&B, keys of a row in verdict.json.
COLUMNS = (
    "id",
    "label",
    "group",
    "kind",
    "setting",
    "unit",
    "paper",
    "ours",
    "tolerance",
    "difference",
    "verdict",
    "reason",
)

#: Attached to the gates' run as one artifact, where they exist.
REPORT_FILES = ("report.html", "report.md", "report.json", "verdict.json", "registered_table.json", "config.yaml")

_START_SECONDS = 30.0


class WandbMirror:
    """Mirrors one run folder; call `mirror` after each phase and at the end, `close` once.

    `say` gets one sentence, once, when W&B cannot start or dies; from then on the mirror rests. What it missed is
    mirrored by the next run that can.
    """

    def __init__(self, folder: RunFolder, tracking: Mapping[str, Any], say: Callable[[str], None]) -> None:
        self.folder = folder
        self.mode = str(tracking.get("wandb") or "disabled")
        self.project = str(tracking.get("project") or "repro")
        self.entity = tracking.get("entity")
        self._say = say
        self._started = False
        self._broken = self.mode == "disabled"

    def mirror(self) -> None:
        """Mirrors every process that ended or paused since the last call, then the gates if anything changed.

        Without news nothing is even imported, so that a second run of the same command stays quick.
        """
        for store in self.folder.processes():
            record = store.record
            if not self._broken and record.get("kind") not in NOT_MIRRORED and self._is_news(record):
                with self._surviving():
                    self._process(store, record)
        if not self._broken:
            with self._surviving():
                self._gates()

    @property
    def sync_command(self) -> str | None:
        """The command that uploads the offline runs; None where there are none."""
        if self.mode != "offline" or not any(self.folder.wandb.glob("offline-run-*")):
            return None
        return f"wandb sync {shlex.quote(str(self.folder.wandb))}/offline-run-*"

    def close(self) -> None:
        """Ends W&B's service process."""
        if self._started:
            self._started = False
            import wandb

            with self._surviving():
                wandb.teardown()

    # --- what is mirrored

    def _is_news(self, record: Mapping[str, Any]) -> bool:
        if record.get("status") in (None, "running"):
            return False  # mirrored when it ends: the store may still drop rows
        return bool((record.get("wandb") or {}).get("of") != self._mark(record))

    def _mark(self, record: Mapping[str, Any]) -> list[Any]:
        """What a process's mirror is a mirror of; another mark is news."""
        return [self.mode, record.get("status"), record.get("update"), record.get("ended")]

    def _process(self, store: ProcessStore, record: Mapping[str, Any]) -> None:
        run_id = record.get("wandb_id") or new_id()
        store.change(wandb_id=run_id)  # before W&B knows it: a death in between must not make a second run
        job_type = str(record["kind"])
        about = {
            key: record.get(key) for key in ("process", "kind", "name", "seed", "changes", "learning_rate", "status")
        }
        run = self._begin(run_id, f"{record['process']} · {self.folder.run_id}", job_type, {"process": about})
        # an online run that is resumed keeps its rows; offline every file is whole and replaces the one before
        known = (record.get("wandb") or {}).get("update", -1) if self.mode == "online" and run.resumed else -1
        last = -1
        for update, values in steps(store.rows):
            last = update
            if update > known:
                run.log(values, step=update)
        final = store.metrics
        if final:
            run.summary.update({f"final/{final['split']}/{name}": value for name, value in final["metrics"].items()})
        run.finish(exit_code=0 if record["status"] in ("finished", "pruned", "interrupted") else 1)
        store.change(wandb={"of": self._mark(record), "update": last})

    def _gates(self) -> None:
        evidence, verdict = self.folder.evidence, self.folder.verdict
        files = [path for name in REPORT_FILES if (path := self.folder.root / name).is_file()]
        parts = [dumps({"mode": self.mode, "verdict": verdict}), *(dumps(one.to_json()) for one in evidence.values())]
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        known = read_json(self.folder.root / "wandb.json") or {}
        if known.get("digest") == digest or not evidence:
            return
        run_id = known.get("id") or new_id()
        write_json(self.folder.root / "wandb.json", {**known, "id": run_id})
        import wandb

        run = self._begin(run_id, f"gates · {self.folder.run_id}", GATES, {})
        gates = {f"gate/{one.phase}": str(one.outcome) for one in evidence.values()}
        seconds = {f"seconds/{one.phase}": one.seconds for one in evidence.values()}
        run.summary.update({**gates, **seconds, "sentence": verdict.get("sentence", "")})
        rows = verdict.get("rows", [])
        if rows:
            data: list[Any] = [[cell(row.get(column)) for column in COLUMNS] for row in rows]
            run.log({"discrepancies": wandb.Table(columns=list(COLUMNS), data=data, allow_mixed_types=True)})
        if files:
            artifact = wandb.Artifact(f"report-{self.folder.run_id}", type="report")
            for path in files:
                artifact.add_file(str(path), policy="immutable", skip_cache=True)
            run.log_artifact(artifact)
        run.finish(exit_code=0)
        write_json(self.folder.root / "wandb.json", {"id": run_id, "digest": digest, "mode": self.mode})

    # --- W&B itself

    def _begin(self, run_id: str, name: str, job_type: str, config: Mapping[str, Any]) -> Any:
        offline = self.mode == "offline"
        # before the import, which reads them; quiet, and no reports of errors to W&B's own tracker
        os.environ.update(WANDB_SILENT="true", WANDB_CONSOLE="off", WANDB_ERROR_REPORTING="false")
        if offline:
            # files of an artifact wait here for `wandb sync`; the home folder may not be writable
            for variable, place in (
                ("WANDB_DATA_DIR", "data"),
                ("WANDB_CACHE_DIR", "cache"),
                ("WANDB_CONFIG_DIR", "config"),
            ):
                os.environ[variable] = str(self.folder.wandb.resolve() / place)
            self._drop_earlier_files(run_id)
        import wandb

        self._started = True
        settings = wandb.Settings(
            mode=self.mode,  # type: ignore[arg-type]
            silent=True,
            quiet=True,
            console="off",
            init_timeout=_START_SECONDS,
            root_dir=str(self.folder.root.resolve()),
            run_id=run_id,
            run_name=name,
            run_group=self.folder.paper,
            run_job_type=job_type,
            run_tags=(self.folder.run_id,),
            # offline W&B cannot look up whether the run is there, and would say so each time
            resume=None if offline else "allow",
            # nothing of the machine, its files or its repository leaves it
            disable_git=True,
            disable_code=True,
            disable_job_creation=True,
            save_code=False,
            x_disable_stats=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
        )
        # the run folder's config.yaml: its secrets are masked
        whole = {**self.folder.settings, **config}
        return wandb.init(
            project=self.project,
            entity=self.entity,
            config=whole,
            settings=settings,
            reinit="create_new",
            allow_val_change=not offline,
        )

    def _drop_earlier_files(self, run_id: str) -> None:
        """Leaves room for one offline folder a run, which is whole: syncing two of one id could double rows."""
        for folder in self.folder.wandb.glob(f"offline-run-*-{run_id}"):
            shutil.rmtree(folder)

    @contextlib.contextmanager
    def _surviving(self) -> Iterator[None]:
        # W&B's own log may be in an encoding that cannot hold our words; its traceback of that helps nobody
        loud, logging.raiseExceptions = logging.raiseExceptions, False
        try:
            yield
        except Exception as error:  # noqa: BLE001  whatever ails W&B, the store has it all; it is said, not hidden
            if not self._broken:
                self._broken = True
                text = str(error).strip().splitlines()
                why = f"{type(error).__name__}{': ' + text[0].rstrip('.') if text else ''}"
                self._say(
                    f"W&B is left out from here on: {why}. "
                    "Nothing is lost; the next run mirrors what is missing (tracking.wandb=disabled leaves W&B out)."
                )
        finally:
            logging.raiseExceptions = loud


def steps(rows: Iterable[Mapping[str, Any]]) -> list[tuple[int, dict[str, float]]]:
    """The rows as W&B logs them: one dict for each update, its metrics named <split>/<metric>; None is left out."""
    merged: dict[int, dict[str, float]] = {}
    for row in rows:
        values = {f"{row['split']}/{name}": value for name, value in metrics_of(row).items() if value is not None}
        merged.setdefault(row["update"], {"update": row["update"]}).update(values)
    return sorted(merged.items())


def cell(value: Any) -> Any:
    """A value of the discrepancy table as W&B's table holds it."""
    value = decode_number(value)
    return value if value is None or isinstance(value, bool | int | float | str) else dumps(value)


def new_id() -> str:
    """A new W&B run id; random, since two people may run the same thing in one project."""
    return secrets.token_hex(6)
