from __future__ import annotations

import re
from pathlib import Path

import pytest

from repro.commands import main
from repro.configuration.compose import compose
from repro.configuration.folders import options
from repro.contract.paper import Paper
from repro.phases import ORDER
from repro.report import html
from repro.report.collect import collect
from repro.session.build import build_page
from repro.session.keep import read
from repro.session.markdown import render
from repro.session.page import Page
from repro.tracking.run_folder import RunFolder, list_runs
from tests.own_paper import replace, whole_paper

Captured = pytest.CaptureFixture[str]
HEADS = [
    "Today's implementation goal",
    "Prerequisites check",
    "Implementation",
    "Checkpoint questions",
    "Verification steps",
    "Common bugs at this stage",
    "What's next and how it connects",
]


@pytest.mark.parametrize("name", options("paper"))
def test_every_step_of_a_built_in_paper_renders(name: str, tmp_path: Path) -> None:
    paper = Paper.from_config(compose([f"paper={name}"]).config)
    for step in ORDER:
        page = build_page(step, paper, RunFolder(tmp_path / name / "run"), {})
        text = render(page)
        assert re.findall(r"^## (.*)$", text, re.M) == HEADS
        assert "- [x] `" not in text and text.count("<details>") == text.count("</details>") == len(page.questions)
        in_terminal = render(page, answers=False)
        assert "details>" not in in_terminal and all(
            asked.question.split()[0] in in_terminal for asked in page.questions
        )
        assert Page.from_json(page.to_json()) == page
    model = render(build_page("model", paper, RunFolder(tmp_path / name / "run"), {}))
    assert "class " in model and "# ← declared: " in model and re.search(r"^\| \w+ \| \[batch", model, re.M)


def test_boxes_follow_the_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.chdir(tmp_path)
    name = whole_paper("data", "model")
    replace(Path(name, "model.py"), "self.linear(input)", "self.linear(input - input.mean(0))")
    assert main(["check", f"paper={name}", "tracking.wandb=disabled"]) == 1
    capsys.readouterr()
    assert main(["session", f"paper={name}"]) == 0
    out = capsys.readouterr().out
    assert "# Session: A Line, step 3 of 8: model" in out
    assert re.search(r"- \[x\] data: ", out) and "- [x] `outputs_declared`" in out
    assert re.search(rf"- \[ \] `batch_independent`: .* — failed: .*\({name}/model.py:\d+", out)
    assert "- [ ] `stages`: " in out and "not run: declare stages" in out
    folder = list_runs("runs", name)[0]
    assert (folder.root / "session" / "model.md").read_text() == out.removesuffix("\n")
    pages = {page.step: page for page in read(folder.root)}
    assert list(pages) == list(ORDER) and not any(box.ticked for box in pages["loss"].verification)
    page = html.render(collect(folder.root))
    assert "Sessions" in page and "Checkpoint questions" in page and "☑ data" in page
    # an edit makes the evidence stale, and every box of the step is open again
    replace(Path(name, "data.py"), "* 2 + 1", "* 2 + 3")
    assert main(["session", f"paper={name}", "step=model"]) == 0
    out = capsys.readouterr().out
    assert "- [x] `" not in out and "- [ ] data — changed since it was checked" in out


def test_a_step_that_does_not_exist(capsys: Captured) -> None:
    assert main(["session", "paper=transformer", "step=modle"]) == 2
    assert "Near: model" in capsys.readouterr().err


def test_a_step_without_questions_asks_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.chdir(tmp_path)
    name = whole_paper()
    assert main(["session", f"paper={name}", "step=analysis"]) == 0
    assert "None is asked at this step." in capsys.readouterr().out
    assert main(["quiz", f"paper={name}", "step=analysis", "--list"]) == 0
    assert capsys.readouterr().out.endswith("No question is asked.\n")
