"""Where Optuna keeps a study: a journal file beside its JSON, readable after any death of the controller."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from repro.errors import RunFolderError
from repro.tracking.files import folder_errors

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


def journal_storage(path: Path) -> BaseStorage:
    """The storage in the journal at `path`; the caller holds `exclusively(path)`.

    The journal's own lock is a link that a killed process leaves behind, which stops the next one for 30 s; the
    caller's lock, which the system frees at any death, stands in for it.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.storages.journal._file import BaseJournalFileLock

    class AlreadyHeld(BaseJournalFileLock):
        def acquire(self) -> bool:
            return True

        def release(self) -> None:
            pass

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    drop_torn_line(path)
    return JournalStorage(JournalFileBackend(str(path), AlreadyHeld()))


def drop_torn_line(path: Path) -> None:
    """Cut off what a kill left of a line: Optuna would append to it and never read the journal again."""
    if not path.exists():
        return
    with folder_errors(path):
        raw = path.read_bytes()
        whole = raw.rfind(b"\n") + 1
        if whole < len(raw):
            os.truncate(path, whole)


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Hold the study at `path` for one controller.

    Raises:
        RunFolderError: another controller runs this study, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    with folder_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunFolderError(
                f"The study {path.stem} is being run by another process. Folder: {path.parent}",
                "Wait for it or stop it, then give the same command again; `python -m repro status` shows its state.",
            ) from None
    try:
        yield
    finally:
        lock.release()
