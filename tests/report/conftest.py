"""The two run folders, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report import folders


@pytest.fixture(scope="session")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.transformer(tmp_path_factory.mktemp("runs") / "transformer" / folders.RUN)


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.gallery(tmp_path_factory.mktemp("runs") / "mnist1d" / folders.RUN)
