"""Six bugs in a person's own copy of the paper: `python -m repro check` stops, and names the component and the line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from repro.configuration.folders import package_conf

from .planting import package_name, package_of
from .suite import bugs, chosen

#: Bug → the component that the message names.
SIX = {
    "T03": "causal_mask",
    "T12": "attention",
    "T29": "loss",
    "X12": "loss",
    "X01": "training",
    "V11": "evaluation",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SIX)
def test_check_stops_and_names_component_and_line(name: str, tmp_path: Path) -> None:
    (case,) = [case for case in chosen(bugs(), [name]) if case.name == name]
    package = package_of(case.planted, tmp_path)
    text = (package_conf() / "paper" / "transformer.yaml").read_text(encoding="utf-8")
    text = text.replace("  name: transformer\n", "  name: planted\n", 1).replace(
        f"{package_name('transformer')}.", f"{package}."
    )
    text = text.replace("override /data: numbers", "override /data: planted_numbers", 1)
    data = (package_conf() / "data" / "numbers.yaml").read_text(encoding="utf-8")
    for group, file, content in (
        ("paper", "planted", text),
        ("data", "planted_numbers", data.replace("[transformer]", "[planted]", 1)),
    ):
        own = tmp_path / "conf" / group / f"{file}.yaml"
        own.parent.mkdir(parents=True)
        own.write_text(content, encoding="utf-8")
    phase = case.planted.phase
    words = ["check", "paper=planted", "scale=smoke", f"phases=[{phase}]", "tracking.wandb=disabled"]
    done = subprocess.run(
        [sys.executable, "-m", "repro", *words],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    shown = done.stdout.partition(f"✗ {phase}")[2]
    first = shown.splitlines()[1:12]
    assert any(line.strip().startswith(f"{SIX[name]}/") for line in first), shown
    file = case.planted.patches[0].file
    assert any(f"{package}/{file}.py:" in line for line in first), shown
