"""From a wheel, in an empty folder: the first steps of a paper of one's own, and the message of a broken one."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.own_paper import DATA, MODEL

TREE = Path(__file__).resolve().parent.parent
CODE = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); import repro; assert sys.path[0] in repro.__file__; "
    "from repro.commands import main; sys.exit(main(sys.argv[1:]))"
)


@pytest.mark.slow
def test_new_run_and_session_from_the_wheel(tmp_path: Path) -> None:
    wheels, site, empty = tmp_path / "wheels", tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    build = [sys.executable, "-m", "pip", "wheel", str(TREE), "--no-deps", "--no-build-isolation", "-w", str(wheels)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = wheels.glob("repro-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def repro(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", CODE, str(site), *words], capture_output=True, text=True, cwd=empty, env=environment
        )
        return done.returncode, done.stdout + done.stderr

    assert repro("new", "mine", "--yes", "--title", "Mine")[0] == 0
    (empty / "config.yaml").write_text("not: [ours")
    code, said = repro("run", "paper=mine", "tracking.wandb=disabled")
    assert code == 4 and "conf/paper/mine.yaml line" in said and "paper.core_algorithm" in said
    (empty / "mine/data.py").write_text(DATA)
    (empty / "mine/model.py").write_text(MODEL)
    code, said = repro("check", "paper=mine", "phases=[data,model,loss]", "tracking.wandb=disabled")
    assert code == 4 and " ✓ data " in said and " ✓ model " in said and "mine/loss.py:10 in loss: " in said
    code, said = repro("session", "paper=mine", "step=loss")
    assert code == 0 and "## Common bugs at this stage" in said
    (empty / "mine/model.py").write_text(MODEL.replace("return self", "return slef"))
    code, said = repro("check", "paper=mine", "phases=[data,model,loss]", "tracking.wandb=disabled")
    assert code == 1 and "mine/model.py:10 in " in said and "slef" in said
    code, said = repro("status", "paper=mine")
    assert code == 0 and "done 0 of 4" in said
