"""The examples of docs/extending.md run as they stand, and what is wrong with an extension is said where it is."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro import extensions
from repro.checks.registry import CHECKS
from repro.commands import main
from repro.errors import ConfigError
from repro.phases.fingerprints import module_file
from tests.docs.blocks import DOCS, blocks, write

WAVES = Path(__file__).parents[1] / "own_papers" / "regression"
QUIET = ["paper=waves", "scale=smoke", "tracking.wandb=disabled", "runs_folder=runs"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The paper `waves` with every file that the page shows; what it registers is gone afterwards."""
    target = tmp_path / "paper"
    shutil.copytree(WAVES, target, ignore=shutil.ignore_patterns("__pycache__", "runs"))
    for block in blocks(DOCS / "extending.md"):
        write(block, target)
    monkeypatch.chdir(target)
    monkeypatch.setattr(sys, "path", [str(target), *sys.path])
    before = set(sys.modules)
    module_file.cache_clear()
    for registered in ("METRICS", "LAUNCHERS", "LOADED"):
        monkeypatch.setattr(extensions, registered, {})
    yield target
    CHECKS.pop("targets_bounded", None)
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("waves", "mine"):
            del sys.modules[name]
    module_file.cache_clear()


def test_the_check_of_the_page_gates_its_phase(folder: Path, capsys) -> None:
    command = ["check", *QUIET, "type=fitting", "phases=[data]"]
    assert main(command) == 0, capsys.readouterr().out
    (path,) = folder.glob("runs/*/*/evidence/data.json")
    found = {f["check"]: f for f in json.loads(path.read_text())["findings"]}
    assert found["targets_bounded"]["outcome"] == "passed"
    # the harness knows that its evidence depends on the module
    module = folder / "waves/extensions.py"
    module.write_text(module.read_text().replace("if worst > by:", "if worst > by / 2:"))
    for name in [name for name in sys.modules if name.startswith("waves")]:
        del sys.modules[name]
    assert main(command) == 1
    assert "targets_bounded" in capsys.readouterr().out


@pytest.mark.slow
def test_metric_and_launcher_of_the_page_serve_a_run(folder: Path, capsys) -> None:
    command = ["run", *QUIET, "phases=[reproduction]", "launcher=logged"]
    assert main([*command, "extensions=[waves.extensions,waves.logged]"]) == 0, capsys.readouterr().out
    (path,) = folder.glob("runs/*/*/code/*/processes/seed-0/metrics.json")
    assert 0 < json.loads(path.read_text())["metrics"]["largest_error"] < 2
    assert list(folder.glob("logs/worker-*.log"))
    page = next(folder.glob("runs/*/*/report.html")).read_text()
    assert page.count("<figure") == 3 and page.count("data:image/png;base64,") == 2 and "test targets and" in page


def test_a_launcher_that_nobody_registered_is_named(folder: Path, capsys) -> None:
    assert main(["run", *QUIET, "phases=[reproduction]", "launcher=logged"]) == 2
    assert "there is no launcher 'logged'" in capsys.readouterr().err


WRONG = {
    "from repro.extensions import metric\n@metric\ndef far(model, split):\n    'Far.'\n": "need (model, data, split)",
    "from repro.extensions import metric\n@metric\ndef far(model, data, split):\n    return 1.0\n": "has no docstring",
    "from repro.extensions import launcher\n@launcher\ndef far(workers):\n    return None\n": "does not take threads",
    "from repro.extensions import launcher\n@launcher\ndef local(workers, threads):\n    return None\n": "repro's own",
    "from repro.checks.registry import check\n@check(phase='data', family='data', component='data')\n"
    "def shapes(b):\n"
    "    'Says nothing.'\n": "the first parameter must be `bench`",
    "from repro.checks.registry import check\n@check(phase='data', family='data', component='data')\n"
    "def causal(bench):\n    '''Decides.\n\n    Broken: x.\n    Likely: y\n    '''\n": "already defined in repro",
    "x = 1\n": "registers nothing",
    "import no_such_package\n": "no_such_package",
    "def f(:\n": "SyntaxError",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_extension_is_said_at_its_registration(text: str, folder: Path, capsys) -> None:
    (folder / "mine.py").write_text(text)
    assert main(["check", *QUIET, "phases=[analysis]", "extensions=[mine]"]) != 0
    said = capsys.readouterr()
    assert WRONG[text] in said.err + said.out
    assert "mine.py" in said.err + said.out or "mine" in said.err


def test_a_module_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"extensions\[0\]: there is no module 'absent'"):
        extensions.load({"extensions": ["absent"]})


def test_a_type_with_an_unknown_check_or_phase_lists_both() -> None:
    kind = {"name": "odd", "checks": {"data": ["no_such_check", "causal"], "dta": []}}
    with pytest.raises(ConfigError) as raised:
        extensions.load({"type": kind})
    assert "conf/type/odd.yaml has 3 faults" in str(raised.value)
    assert "causal gates the phase model" in str(raised.value)


def test_a_metric_that_nobody_registered_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no metric 'largest_eror'.*\n?.*largest_error"):
        extensions.measured({"metrics": ["largest_eror"], "extensions": ["waves.extensions"]}, None, None, "test", {})
