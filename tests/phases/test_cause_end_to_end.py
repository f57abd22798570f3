"""A part removed on purpose from a real paper is ranked first once its effect is measured, by typed commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweeps.line_paper import write

REPOSITORY = Path(__file__).parents[2]
TABLE = """\
paper: line
records:
  error:
    kind: value
    group: Table 1
    label: error of the line
    value: "0.00"
    direction: lower
    metric: error
    split: test
    where: Table 1
    confirmed: confirmed
    tolerance: {value: 0.1, reason: a test}
"""
PAPER = """
  reference: line
  deviations:
    - {what: bias, paper: a line with a bias, ours: without, why: a test, changes: {model.bias: true}}
    - {what: momentum, paper: none, ours: 0.5, why: a test, changes: {training.momentum: 0.0}}
"""


def repro(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "repro", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_removed_bias_is_found(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "conf/paper/line.yaml"
    text = path.read_text().replace("paper: {name: line, title: A line, arxiv: null, reference: null}", "")
    text = text.replace("# @package _global_\n", "# @package _global_\npaper:\n  name: line\n  title: A line" + PAPER)
    text = text.replace("bias: true, mistake", "bias: false, mistake").replace(
        "momentum: 0.0}\nev", "momentum: 0.5}\nev"
    )
    text = text.replace("reproduction: {", "reproduction: {seeds: 3, max_seeds: 3, updates: 40, evaluate_every: 20, ")
    path.write_text(text)
    (tmp_path / "reference_numbers").mkdir()
    (tmp_path / "reference_numbers" / "line.yaml").write_text(TABLE)
    common = ("paper=line", "tracking.wandb=disabled", "workers=1")
    run = repro(tmp_path, "run", *common, "phases=[reproduction]")
    assert run.returncode == 3, run.stdout + run.stderr
    (verdict,) = (tmp_path / "runs/line").glob("*/verdict.json")
    (gap,) = json.loads(verdict.read_text())["gaps"]
    assert not gap["explained"] and gap["next"].startswith("python -m repro ")
    names = "sweep.names=[as_paper_bias,as_paper_momentum,no_bias]"
    swept = repro(tmp_path, "sweep", "ablation", *common, names)
    assert swept.returncode == 0, swept.stderr
    report = repro(tmp_path, "report", "paper=line")
    assert report.returncode == 3 and "bias as in the paper explains" in report.stdout, report.stdout + report.stderr
    (gap,) = json.loads(verdict.read_text())["gaps"]
    assert gap["explained"] and gap["causes"][0]["label"] == "bias as in the paper"
    # the switch that removes it is dead, since it is already removed
    assert {cause["label"]: cause["stands"] for cause in gap["causes"]}["no bias"] == "missing"
