from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repro.phases.fingerprints import module_file

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def own_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The person's modules are gone after a test: another test's copy has the same names."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path])
    module_file.cache_clear()
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("waves", "ring", "communities", "stripes", "bottleneck", "hallway"):
            del sys.modules[name]
    module_file.cache_clear()


@pytest.fixture
def enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Copies a paper of this folder to a place of its own and goes there, as a person who has written it."""

    def copy(name: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(HERE / name, folder, ignore=shutil.ignore_patterns("__pycache__", "runs"))
        monkeypatch.chdir(folder)
        return folder

    return copy
