from __future__ import annotations

import ast
from pathlib import Path

import pytest

from repro.configuration import folders
from repro.contract.components import unfinished_in
from repro.contract.paper import Paper
from repro.findings import Evidence, Finding, Gate, Outcome
from repro.phases.to_do import awaited_now_written, defined, evidence_of, reached, stubs, to_do, unwritten
from tests.own_paper import PARTS, whole_paper


def paper_of(name: str, **settings: object) -> Paper:
    names = {"loss": "loss", "evaluation": "evaluate"}
    parts = {part: {"_target_": f"{name}.{part}.{names.get(part, part.capitalize())}"} for part in PARTS}
    return Paper.from_config({"paper": {"name": name}, **parts, **settings})


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    folders.add_to_path()
    return whole_paper("data", "model")


def test_what_is_written_is_not_to_do(name: str) -> None:
    paper = paper_of(name)
    assert unwritten("data", paper) == unwritten("model", paper) == []
    (found,) = unwritten("loss", paper)
    assert found.location.startswith(f"{name}/loss.py:") and found.location.endswith(" in loss")


def test_nothing_is_imported_to_find_out(name: str) -> None:
    Path(name, "loss.py").write_text(
        "raise RuntimeError('imported')\n\ndef loss():\n    raise NotImplementedError('x')\n"
    )
    (found,) = unwritten("loss", paper_of(name))
    assert (found.what, found.location) == ("x", f"{name}/loss.py:4 in loss")


@pytest.mark.parametrize(
    "source, titles",
    [
        (
            "class A:\n    def f(self):\n        '''Doc.'''\n        self.x = 1\n        raise NotImplementedError",
            ["A.f"],
        ),
        (
            "class A:\n    def f(self):\n        if self.x:\n            raise NotImplementedError\n        return 1",
            [],
        ),
        ("class A:\n    @abstractmethod\n    def f(self):\n        raise NotImplementedError", []),
        ("def A():\n    raise ValueError('no')", []),
    ],
)
def test_stubs(source: str, titles: list[str]) -> None:
    definition = defined(ast.parse(source), "A")
    assert definition is not None
    assert [title for title, _, _ in stubs(definition)] == titles


def test_an_analysis_that_says_nothing_is_to_do(name: str) -> None:
    paper = paper_of(name, paper={"name": name, "title": "T", "compute": {"text": None}, "stripped_away": [""]})
    keys = [found.what.partition(":")[0] for found in to_do("analysis", paper, lambda key: "here")]
    assert "paper.title" not in keys and {"paper.compute", "paper.stripped_away", "paper.tricky_parts"} <= set(keys)


def test_code_of_a_later_step_leaves_a_check_not_run(name: str) -> None:
    paper = paper_of(name)
    there = {"location": f"{name}/loss.py:10 in loss", "what": "write it"}
    finding = Finding("c", "model", Outcome.NOT_RUN, "not run", details={"to_do": there})
    own, (waiting,) = reached("model", [finding], paper)
    assert own == [] and waiting.details == {"awaits": "loss"} and "needs the loss" in waiting.reason
    evidence = Evidence("model", Gate.PASSED, "", findings=(waiting,))
    assert not awaited_now_written(evidence, paper)
    Path(name, "loss.py").write_text(PARTS["loss"])
    assert awaited_now_written(evidence, paper)
    (mine,), rest = reached("training", [finding], paper)
    assert mine.location == there["location"] and rest == []
    assert evidence_of("training", [mine]).outcome is Gate.TO_DO


def test_only_the_persons_own_error_is_a_step_to_do(name: str) -> None:
    def wrapped(function: object) -> BaseException:
        try:
            try:
                function()  # type: ignore[operator]
            except NotImplementedError as cause:
                raise ValueError("around it") from cause
        except ValueError as error:
            return error
        raise AssertionError

    def own() -> None:
        raise NotImplementedError("mine")

    found = unfinished_in(wrapped(own))
    assert found is not None and found[1] == "mine"
    import torch

    assert unfinished_in(wrapped(lambda: torch.nn.Module()(1))) is None
    assert unfinished_in(KeyError("x")) is None
