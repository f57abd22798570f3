from __future__ import annotations

import ast

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from repro.configuration.folders import options
from repro.contract.declarations import read_tensors
from repro.errors import ConfigError
from repro.reference.load import parse_table
from repro.scaffold.answers import COMPONENTS, Answers, ask, fields_of, number_of
from repro.scaffold.fill import checks_of, files

TYPES = [name for name in options("type") if name != "generic"]
NUMBER = 'metric=accuracy value=94.10 where="Table 1, row small" direction=higher tolerance=0.5 reason="one run"'


def texts(answers: Answers) -> dict[str, str]:
    return {str(path): text for path, text in files(answers).items()}


@pytest.mark.parametrize("type_name", TYPES)
def test_every_type_gives_files_that_hold_together(type_name: str) -> None:
    found = texts(Answers("mine", type_name))
    config = yaml.safe_load(found["conf/paper/mine.yaml"])
    tensors, faults = read_tensors(config["tensors"])
    assert not faults and any(tensor.output_of for tensor in tensors.values())
    for path, text in found.items():
        if path.endswith(".py"):
            tree = ast.parse(text)
            assert ast.get_docstring(tree) and "§" not in text
            if path != "mine/__init__.py":
                assert "raise NotImplementedError(" in text, path
    for component in COMPONENTS:
        target = config[component]["_target_"].rpartition(".")[2]
        names = [node.name for node in ast.parse(found[f"mine/{component}.py"]).body if hasattr(node, "name")]
        assert target in names
    from repro.checks import registry

    assert all(registry.find(entry["property"]) for entry in config["properties"])
    assert set(checks_of(type_name)) <= set(registry.CHECKS)
    model = next(n for n in ast.walk(ast.parse(found["mine/model.py"])) if getattr(n, "name", "") == "forward")
    assert isinstance(model, ast.FunctionDef)
    assert {argument.arg for argument in model.args.args} - {"self"} <= set(tensors)


def test_answers_become_an_analysis_and_a_table() -> None:
    answers = Answers(
        "mine",
        "vision",
        title='A "quoted": title',
        tricky=[fields_of('part="a: b" hidden_in="§3 #1" guard=causal', ("part", "hidden_in", "guard"), "--tricky")],
        numbers=[number_of(NUMBER), number_of(NUMBER)],
    )
    found = texts(answers)
    paper = yaml.safe_load(found["conf/paper/mine.yaml"])["paper"]
    assert paper["title"] == answers.title and paper["core_algorithm"] is None
    assert paper["tricky_parts"] == [{"part": "a: b", "hidden_in": "§3 #1", "guard": "causal"}]
    table = parse_table(found["reference_numbers/mine.yaml"])
    assert [record.id for record in table.records] == ["accuracy", "accuracy_2"]
    record = table.records[0]
    assert record.printed is not None and record.printed.text == "94.10" and record.group == "Table 1"
    assert parse_table(texts(Answers("mine", "other"))["reference_numbers/mine.yaml"]).records == ()


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60))
def test_any_text_survives(text: str) -> None:
    found = texts(Answers("mine", "other", title=text, core_algorithm=text, stripped_away=[text, "x"]))
    paper = yaml.safe_load(found["conf/paper/mine.yaml"])["paper"]
    same = " ".join(text.split()).replace("${", "$ {")
    assert (paper["title"] or "") == same and (paper["stripped_away"][0] or "") == same
    for path, source in found.items():
        if path.endswith(".py"):
            ast.parse(source)


@pytest.mark.parametrize(
    "text, said",
    [
        ("metric=a value=1", "missing where, direction, tolerance, reason"),
        (NUMBER.replace("94.10", "about"), "value is 'about'"),
        (NUMBER.replace("higher", "up"), "direction is 'up'"),
        (NUMBER + " x=1", "unknown x"),
        ("metric", "need metric="),
    ],
)
def test_a_number_that_is_none(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        number_of(text)


def test_what_is_asked_in_a_terminal() -> None:
    number = ["accuracy", "94", "Table 1", "up", "1", "one run"]
    lines = ["A Title", "1234.5678", "", "beam search", "", *["the part"] * 5, "masks", "section 3", "causal", ""]
    given_lines = iter([*lines, *number, *[word.replace("up", "higher") for word in number], "", "one GPU"])
    said: list[str] = []
    answers = Answers("mine", "other", arxiv="")
    ask(answers, ["causal"], lambda prompt: next(given_lines), said.append)
    assert (answers.title, answers.core_algorithm, answers.stripped_away) == ("A Title", "", ["beam search"])
    assert answers.tricky == [{"part": "masks", "hidden_in": "section 3", "guard": "causal"}]
    assert len(answers.numbers) == 1 and answers.compute == "one GPU"
    assert any("direction is 'up'" in line for line in said) and any("causal" in line for line in said)
