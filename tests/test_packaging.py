"""What a person installs: dependencies are declared and used, and a wheel works from an empty folder."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests import wheel

TREE = Path(__file__).resolve().parent.parent
#: Distributions whose modules have another name.
MODULES = {"hydra-core": "hydra", "pyyaml": "yaml", "scikit-learn": "sklearn"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))


def imported(folder: Path) -> set[str]:
    """Top-level modules that any file below `folder` imports, wherever in the file."""
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"repro"}


def test_every_import_is_declared_and_every_declaration_used(project: dict[str, Any]) -> None:
    names = {re.split(r"[<>=\[ ]", entry)[0].lower() for entry in project["project"]["dependencies"]}
    extras = {
        re.split(r"[<>=\[ ]", entry)[0].lower()
        for name, entries in project["project"]["optional-dependencies"].items()
        if name != "dev"
        for entry in entries
    }
    core = {MODULES.get(name, name) for name in names}
    assert imported(TREE / "repro") <= core | {MODULES.get(name, name) for name in extras}
    assert core <= imported(TREE / "repro")


def test_every_dependency_says_why_it_is_there() -> None:
    text = (TREE / "pyproject.toml").read_text(encoding="utf-8")
    block = text.split("\ndependencies = [\n")[1].split("\n]")[0]
    for line in block.splitlines():
        assert re.search(r'",\s+# \w+', line), line


def test_the_licence_is_there_in_full() -> None:
    text = (TREE / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text and "9. Accepting Warranty" in text and "APPENDIX" in text


def test_every_config_opens_with_what_it_is() -> None:
    for path in sorted((TREE / "conf").rglob("*.yaml")):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("# @package")]
        assert lines and lines[0].startswith("# "), f"{path} has no first line that says what it is"


@pytest.mark.slow
def test_a_wheel_works_from_an_empty_folder(tmp_path: Path) -> None:
    site, empty = wheel.unpacked(tmp_path / "wheel"), tmp_path / "empty"
    empty.mkdir()
    inside = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()}
    (scripts,) = site.glob("repro-*.dist-info/entry_points.txt")
    assert "repro = repro.commands:main" in scripts.read_text(encoding="utf-8")
    for folder in ("conf", "reference_numbers"):
        for path in (TREE / folder).rglob("*.yaml"):
            assert f"repro/{path.relative_to(TREE)}" in inside
    assert "repro/py.typed" in inside and any(name.endswith("licenses/LICENSE") for name in inside)
    assert not any(name.startswith(("tests/", "conf/", "scripts/")) for name in inside)
    for path in (TREE / "repro").rglob("*"):
        if path.suffix not in (".pyc", "") and path.is_file():
            assert str(path.relative_to(TREE)) in inside  # questions, styles and other data beside the code

    for words, says in (
        (["--help"], "exit codes"),
        (["list"], "Attention Is All You Need"),
        (["run", "paper=transformer", "--cfg", "job"], "repro.papers.transformer"),
    ):
        code, said = wheel.repro(site, empty, *words)
        assert code == 0 and says in said, said
    assert not list(empty.iterdir())
