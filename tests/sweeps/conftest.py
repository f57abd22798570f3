"""Puts the tests' own tasks on sys.path, for this process and for the workers it starts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def line_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's own folder with the paper `line`."""
    from tests.sweeps import line_paper

    folder = tmp_path_factory.mktemp("own")
    line_paper.write(folder)
    return folder


@pytest.fixture
def in_line_folder(line_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(line_folder)
    monkeypatch.syspath_prepend(str(line_folder))
    return line_folder
