from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from repro.commands import main
from repro.commands.quiz import ask_all
from repro.configuration.compose import compose
from repro.configuration.folders import options
from repro.contract.paper import Paper
from repro.errors import ConfigError
from repro.phases import ORDER
from repro.predictions import Truth, judge
from repro.questions import KINDS, Question, answers, is_right, keep_answer, load_questions, progress_of, read_question
from tests.own_paper import whole_paper

Captured = pytest.CaptureFixture[str]
ENTRY = {"id": "a", "component": "model", "kind": "debugging", "question": "Why?", "answer": "So."}


@pytest.mark.parametrize("name", options("type"))
def test_every_type_asks_in_all_three_kinds_with_sources(name: str) -> None:
    content = yaml.safe_load(options("type")[name].read_text())
    entries = content["questions"] if name != "generic" else content["generic"]["questions"]
    asked = [read_question(name, entry) for entry in entries]
    assert len(asked) >= 6 and {q.kind for q in asked} == set(KINDS)
    assert all(q.source and q.component in ORDER for q in asked)
    if name == "generic":
        parts = ("data", "model", "loss", "training", "evaluation")
        assert {(q.component, q.kind) for q in asked} == {(part, kind) for part in parts for kind in KINDS}


@pytest.mark.parametrize("name", options("paper"))
def test_built_in_papers_ask_at_least_twelve_of_their_own(name: str) -> None:
    paper = Paper.from_config(compose([f"paper={name}"]).config)
    kind = paper.settings["type"]
    of_type = {entry["id"] for entry in [*kind["questions"], *kind["generic"]["questions"]]}
    own = [q for q in load_questions(paper) if q.id not in of_type and not q.predict]
    assert len(own) >= 12 and {q.kind for q in own} == set(KINDS) and all(q.source for q in own)


@pytest.mark.parametrize(
    "change, said",
    [({"kind": "hard"}, "kind: got 'hard'"), ({"answer": ""}, "missing answer"), ({"anser": "x"}, "unknown anser")],
)
def test_a_malformed_question(change: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_question("here", {**ENTRY, **change})


@pytest.mark.parametrize(
    ("added", "said"),
    [(b"# caf\xe9\n", "got the byte 0xe9, need text in UTF-8"), (b"  - [\n", "this is not YAML")],
)
def test_questions_that_cannot_be_read_name_file_and_line(
    added: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    name = whole_paper()
    file = Path(name, "questions.yaml")
    file.write_bytes(file.read_bytes() + added)
    assert main(["quiz", f"paper={name}", "--list"]) == 2
    err = capsys.readouterr().err
    assert f"{name}/questions.yaml line" in err and said in err


def test_an_answer_is_kept_until_the_question_changes(tmp_path: Path) -> None:
    question = Question(**ENTRY)
    keep_answer(tmp_path, question, "I think so", "wrong")
    assert not is_right(question, answers(tmp_path))
    keep_answer(tmp_path, question, "So.", "right")
    assert is_right(question, answers(tmp_path))
    assert not is_right(Question(**{**ENTRY, "answer": "Otherwise."}), answers(tmp_path))
    with pytest.raises(ConfigError, match="right or wrong"):
        keep_answer(tmp_path, question, "x", "maybe")


@pytest.mark.parametrize(
    "values, text, right",
    [
        ((948_123.0,), "948123", True),
        ((948_123.0,), "0.95e6", True),
        ((948_123.0,), "0.95M", True),
        ((948_123.0,), "950,000", True),
        ((948_123.0,), "940000", False),
        ((948_123.0,), "1e6", False),  # 5 % at most, however few digits
        ((5.31,), "5.3", True),
        ((5.31,), "5", False),
        ((5.31,), "log(203)", True),
        ((5.31,), "log(100)", False),
        ((5.2, 5.4), "5.35", True),
    ],
)
def test_a_prediction_is_judged_within_its_digits(values: tuple[float, ...], text: str, right: bool) -> None:
    assert judge(Truth(values, ""), text) is right


def test_a_shape_is_exact() -> None:
    truth = Truth((3.0, 7.0, 64.0), "", exact=True)
    assert judge(truth, "[3, 7, 64]") and judge(truth, "3 7 64") and not judge(truth, "3, 64, 7")
    with pytest.raises(ConfigError, match="a size for each axis"):
        judge(truth, "three")


def test_quiz_measures_lists_and_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.chdir(tmp_path)
    name = whole_paper()
    assert main(["quiz", f"paper={name}", "--answer", "predict-parameters=8"]) == 0
    assert "wrong: 9 trainable parameters" in capsys.readouterr().out
    assert main(["quiz", f"paper={name}", "--answer", "predict-parameters=9"]) == 0
    assert main(["quiz", f"paper={name}", "--answer", "paper-silent=the rate"]) == 2
    captured = capsys.readouterr()
    assert "Model answer: Those with no `source`" in captured.out and "--judge: missing" in captured.err
    assert main(["quiz", f"paper={name}", "--answer", "paper-silent=the rate", "--judge", "right"]) == 0
    assert main(["quiz", f"paper={name}", "--answer", "papersilent=x", "--judge", "right"]) == 2
    assert "Near: paper-silent" in capsys.readouterr().err
    kept = json.loads(Path("runs", name, "questions.json").read_text())
    assert kept["predict-parameters"]["judged"] == kept["paper-silent"]["judged"] == "right"
    paper = Paper.from_config(compose([f"paper={name}"]).config)
    assert progress_of(paper, "model", Path("runs", name))["answered"] == 1
    assert main(["quiz", f"paper={name}", "step=model", "--list"]) == 0
    out = capsys.readouterr().out
    assert "✓ predict-parameters" in out and "1 of 5 answered and judged right" in out and "Those with" not in out
    assert main(["quiz", f"paper={name}"]) == 2 and "no terminal" in capsys.readouterr().err


def test_required_questions_shut_a_gate_that_had_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    name = whole_paper()
    words = [f"paper={name}", "phases=[loss]", "tracking.wandb=disabled"]
    assert main(["check", *words]) == 0
    assert main(["check", *words, "questions=required"]) == 1
    assert f"python -m repro quiz paper={name} step=loss" in capsys.readouterr().out
    paper = Paper.from_config(compose([f"paper={name}"]).config)
    for question in load_questions(paper):
        if question.component == "loss":
            keep_answer(Path("runs", name), question, "x", "right")
    assert main(["check", *words, "questions=required"]) == 0


def asked(folder: Path, paper: Paper, questions: list[Question], *typed: str) -> tuple[list[str], bool]:
    """What the quiz said when these lines were typed, and whether it ended by itself before they were all read."""
    said: list[str] = []
    lines = iter(typed)

    def read(prompt: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    ask_all(questions, paper, folder, read, said.append)
    return said, next(lines, None) is None


def test_quiz_asks_again_what_it_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    paper = Paper.from_config(compose([f"paper={whole_paper()}"]).config)
    folder = tmp_path / "runs"
    by_id = {question.id: question for question in load_questions(paper)}
    said, read_all = asked(folder, paper, [by_id["predict-parameters"]], "lots", "9 to 10", "9")
    assert read_all
    assert said[3] == "got 'lots', need a number or an expression such as log(203)"
    assert said[-1] == "Right: 9 trainable parameters"
    said, read_all = asked(folder, paper, [by_id["paper-silent"]], "the rate", "maybe", "Yes")
    assert read_all and "Got 'maybe', need y or n; Enter leaves the question open." in said
    assert {id: entry["judged"] for id, entry in answers(folder).items()} == {
        "predict-parameters": "right",
        "paper-silent": "right",
    }


def test_quiz_keeps_nothing_that_was_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paper = Paper.from_config(compose([f"paper={whole_paper()}"]).config)
    questions = [question for question in load_questions(paper) if not question.predict][:2]
    said, read_all = asked(tmp_path / "runs", paper, questions, "an answer", "", "")
    assert read_all and answers(tmp_path / "runs") == {}
    said, read_all = asked(tmp_path / "runs", paper, questions, "an answer")
    assert read_all and said[-1] == "" and answers(tmp_path / "runs") == {}, "the end of input ends the line too"
