"""Seeds of several machines count together only where everything but the seed is the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.commands.report import main
from repro.errors import ConfigError, ExitCode
from repro.phases.several import together
from repro.report import build
from repro.report.collect import collect
from tests.phases.made_runs import TABLE, make, settings


@pytest.fixture(autouse=True)
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reference_numbers").mkdir()
    (tmp_path / "reference_numbers" / "small.yaml").write_text(TABLE)
    monkeypatch.chdir(tmp_path)


def test_seeds_of_two_machines_are_judged_as_one(tmp_path: Path) -> None:
    a = make(tmp_path / "a", "aaa", {0: 94.0, 1: 94.1})
    b = make(tmp_path / "b", "bbb", {2: 93.9, 3: 94.0, 1: 50.0}, settings(reproduction__first_seed=2))
    folder, judged, excluded = together([a, b], tmp_path / "runs")
    row = next(row for row in judged.rows if row.id == "score")
    assert row.seeds == (0, 1, 2, 3) and row.values == (94.0, 94.1, 93.9, 94.0)
    assert [one.what for one in excluded] == [f"seed-1 of {b.root}"] and str(a.root) in excluded[0].why
    build(folder.root)
    left_out = {one.what: one.why for one in collect(folder.root).left_out}
    assert f"seed-1 of {b.root}" in left_out
    # raw values stay, and a second call gives the same
    assert (folder.code() / "processes" / "seed-3" / "trajectory.jsonl").is_file()
    assert together([b, a], tmp_path / "runs")[0].root == folder.root


def test_other_configurations_and_other_code_are_never_mixed(tmp_path: Path) -> None:
    a = make(tmp_path / "a", "aaa", {0: 94.0, 1: 94.1})
    wide = make(tmp_path / "b", "bbb", {2: 10.0}, settings(model__width=16))
    newer = make(tmp_path / "c", "ccc", {3: 10.0}, source="other")
    _, judged, excluded = together([a, wide, newer], tmp_path / "runs")
    assert next(row for row in judged.rows if row.id == "score").seeds == (0, 1)
    assert [one.why for one in excluded] == [
        "another configuration: model.width=16 instead of 8",
        "another version of the code: other instead of a81f0c22d9e4",
    ]


def test_usage(tmp_path: Path) -> None:
    a = make(tmp_path / "runs", "aaa", {0: 94.0, 1: 94.1})
    with pytest.raises(ConfigError, match="got 1 run folder"):
        together([a, a], tmp_path / "runs")
    with pytest.raises(ConfigError, match="one paper at a time"):
        together([a, make(tmp_path / "b", "bbb", {1: 1.0})], tmp_path / "runs", "other")
    with pytest.raises(ConfigError, match="cannot be given together"):
        main(["runs=[aaa,bbb]", "against=aaa"])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = make(tmp_path / "runs", "aaa", {0: 94.0, 1: 94.02, 2: 93.98})
    b = make(tmp_path / "b", "bbb", {3: 10.0}, settings(model__width=16))
    code = main(["paper=small", f"runs=[aaa,{b.root}]"])
    out = capsys.readouterr()
    assert code is ExitCode.OK and "1 of 1 printed result tested: 1 matches." in out.out
    assert f"left out: run {b.root} (1 seeds): another configuration" in out.err
    assert main(["run=aaa", f"against={b.root}"]) is not ExitCode.HARNESS
    assert "model.width: 16 → 8" in capsys.readouterr().out and a.exists
