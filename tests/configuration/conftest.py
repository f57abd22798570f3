from __future__ import annotations

from pathlib import Path

import pytest

from repro.configuration import secrets

PAPER = """\
# @package _global_
defaults:
  - override /type: own
  - override /data: dots
  - _self_
paper: {name: tiny, title: A tiny paper, arxiv: "0000.00001", version: v1, type: own, reference: null}
model: {_target_: tiny.Model, width: 8, depth: 2}
schedule: {learning_rate: step / width, names: {width: "${model.width}"}, breaks: [], source: none}
ablations:
  no_depth: {changes: {model.depth: 0}, says: nothing, claim: null}
when:
  scale=smoke: {model.width: 4, model: {depth: 1}}
  data=lines: {model.depth: 3}
  data=lines scale=smoke: {model.depth: 5}
"""

DATA = """\
# @package _global_
data: {{_target_: tiny.{name}, vocabulary: 203, folder: null}}
dataset: {{name: {name}, source: made here, licence: none, papers: [{papers}]}}
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts with no secret remembered."""
    monkeypatch.setattr(secrets, "_values", set())
    monkeypatch.setattr(secrets, "_keys", set())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's own folder, entered: paper `tiny`; data sets `dots` and `lines` for it, `other_dots` for another."""
    for group in ("paper", "data", "type"):
        (tmp_path / "conf" / group).mkdir(parents=True)
    (tmp_path / "conf/paper/tiny.yaml").write_text(PAPER)
    for name, papers in (("dots", "tiny"), ("lines", "tiny"), ("other_dots", "someone_else")):
        (tmp_path / f"conf/data/{name}.yaml").write_text(DATA.format(name=name, papers=papers))
    (tmp_path / "conf/type/own.yaml").write_text("name: own\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path
