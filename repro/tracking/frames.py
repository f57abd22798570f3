"""A run as pandas frames: every trajectory, every row of the discrepancy table, every trial; torch is not needed.

>>> import repro
>>> run = repro.load("transformer")
>>> run.trajectories.query("split == 'validation'").pivot(index="update", columns="seed", values="exact_match")
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from repro.findings import Evidence
from repro.tracking.files import decode_number
from repro.tracking.run_folder import RunFolder, find_run
from repro.tracking.store import metrics_of

#: What identifies a row of `Run.trajectories`; every further column is a metric.
KEYS = ["process", "kind", "name", "seed", "update", "split", "time"]


class Run:
    """What one run measured, read when asked for. Of several versions of the code the one used last counts."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.path: Path = folder.root

    def __repr__(self) -> str:
        return f"<Run {self.folder.run_id} of {self.folder.paper} at {self.path}>"

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration, secrets masked."""
        return self.folder.settings

    @property
    def evidence(self) -> dict[str, Evidence]:
        """The newest evidence by phase."""
        return self.folder.evidence

    @cached_property
    def trajectories(self) -> pd.DataFrame:
        """One row for each process, update and split.

        Columns: process, kind (reproduction, ablation, learning_rate, …), name (of the ablation or study), seed,
        update, split, time (seconds of training), and a float64 for each metric: NaN where not measured or NaN.
        """
        rows = []
        for store in self.folder.processes():
            record = store.record
            about = {key: record.get(key) for key in ("process", "kind", "name", "seed")}
            for row in store.rows:
                keys = {"update": row["update"], "split": row["split"], "time": row.get("time")}
                rows.append({**about, **keys, **metrics_of(row)})
        frame = pd.DataFrame(rows, columns=None if rows else KEYS)
        metrics = [column for column in frame.columns if column not in KEYS]
        return frame[KEYS + metrics].astype({name: "float64" for name in [*metrics, "time"]})

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """The final metrics of every process that has them, a column each, behind what identifies the process."""
        rows = []
        for store in self.folder.processes():
            record, final = store.record, store.metrics
            if final:
                about = {key: record.get(key) for key in ("process", "kind", "name", "seed")}
                rows.append({**about, "split": final["split"], "update": final["update"], **final["metrics"]})
        return pd.DataFrame(rows, columns=None if rows else ["process", "kind", "name", "seed", "split", "update"])

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The discrepancy table: one row for each reference number with paper, ours, tolerance, verdict and reason."""
        rows = self.folder.verdict.get("rows", [])
        frame = pd.DataFrame([{key: decode_number(value) for key, value in row.items()} for row in rows])
        return frame if rows else pd.DataFrame(columns=["id", "label", "kind", "printed", "paper", "ours", "verdict"])

    @cached_property
    def trials(self) -> pd.DataFrame:
        """Every trial of every study: number, state, process, error, value, and each parameter as `params.<name>`."""
        rows = []
        for name, study in self.folder.studies().items():
            for trial in study.get("trials", []):
                params = {f"params.{key}": value for key, value in (trial.get("params") or {}).items()}
                known = {key: trial.get(key) for key in ("number", "state", "process", "error")}
                rows.append({"study": name, **known, "value": decode_number(trial.get("value")), **params})
        columns = ["study", "number", "state", "process", "error", "value"]
        frame = pd.DataFrame(rows, columns=None if rows else columns)
        return frame.astype({"value": "float64"})


def load(run: str | os.PathLike[str], runs_folder: str | os.PathLike[str] = "runs") -> Run:
    """The run meant by a path, a run id or its beginning, or the name of a paper (its latest run).

    Raises:
        RunFolderError: none or several fit; the message lists what there is.
    """
    return Run(find_run(run, runs_folder))
