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
from repro.scaffold.answers import COMPONENTS, Answers, arxiv_id, ask, fields_of, number_of
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
    assert {name for names in checks_of(type_name).values() for name in names} <= set(registry.CHECKS)
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


def test_the_version_is_what_was_read_and_the_metric_what_is_printed() -> None:
    found = texts(Answers("mine", "vision", arxiv="1706.03762v5", numbers=[number_of(NUMBER), number_of(NUMBER)]))
    paper = yaml.safe_load(found["conf/paper/mine.yaml"])["paper"]
    assert (paper["arxiv"], paper["version"]) == ("1706.03762", "v5")
    assert "by the names that the reference table uses: accuracy." in found["mine/evaluation.py"]
    paper = yaml.safe_load(texts(Answers("mine", "vision", arxiv="1706.03762"))["conf/paper/mine.yaml"])["paper"]
    assert paper["version"] is None, "not read, so not claimed"


def test_a_long_title_stands_in_the_config_and_not_in_every_first_line() -> None:
    title = "Deep Unsupervised Learning using Nonequilibrium Thermodynamics"
    found = texts(Answers("mine", "other", title=title))
    assert yaml.safe_load(found["conf/paper/mine.yaml"])["paper"]["title"] == title
    assert all(len(text.splitlines()[0]) <= 120 for text in found.values())


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


def asked(*lines: str) -> tuple[Answers, list[str]]:
    """The answers that a person gives who types these lines, and what is said in between."""
    given_lines, said = iter(lines), []
    answers = Answers("mine", "other")
    decides = {"causal": "Decides whether the future is hidden."}
    ask(answers, list(decides), lambda: decides, lambda prompt: next(given_lines), said.append)
    assert next(given_lines, None) is None
    return answers, said


def test_what_is_asked_in_a_terminal() -> None:
    about = ["A Title", "Nature 323", "arXiv:1234.56789", "", "beam search", "", *["the part"] * 5]
    tricky = ["masks", "section 3", "?", "?Future", "?loss", "by hand, on paper", "causal", ""]
    number = ["accuracy", "ninety", "94", "Table 1", "up", "higher", "1", "", "one run", ""]
    answers, said = asked(*about, *tricky, *number, "one GPU")
    assert (answers.title, answers.core_algorithm, answers.stripped_away) == ("A Title", "", ["beam search"])
    assert answers.arxiv == "1234.56789" and any("'Nature 323' is no arXiv id" in line for line in said)
    assert answers.tricky == [{"part": "masks", "hidden_in": "section 3", "guard": "causal"}]
    listed, explained = said.index("    causal"), said.index("    causal: Decides whether the future is hidden.")
    assert listed < explained < said.index("    No check speaks of 'loss'.")
    assert any("'by hand, on paper' has blanks" in line for line in said)
    assert answers.numbers == [number_of(NUMBER.replace("94.10", "94").replace(", row small", "").replace("0.5", "1"))]
    assert any("value is 'ninety'" in line for line in said) and any("direction is 'up'" in line for line in said)
    assert sum("Enter again leaves it out" in line for line in said) == 1
    assert answers.compute == "one GPU"


def test_what_is_known_by_half_is_kept_where_the_gate_asks_for_the_rest() -> None:
    answers, said = asked(
        "", "", "", "", *[""] * 5, "masks", "", "", "biases", "", "causl", "", "accuracy", "", "", "", ""
    )
    assert answers.tricky == [
        {"part": "masks", "hidden_in": "", "guard": ""},
        {"part": "biases", "hidden_in": "", "guard": "causl"},
    ]
    assert any("causl is none of the checks; the nearest check is causal" in line for line in said)
    assert answers.numbers == [] and any("accuracy is not kept" in line for line in said)
    paper = yaml.safe_load(texts(answers)["conf/paper/mine.yaml"])["paper"]
    assert paper["tricky_parts"][0] == {"part": "masks", "hidden_in": None, "guard": None}


@pytest.mark.parametrize("text", ["nature 323, 533", "10.1038/323533a0", "1706"])
def test_another_id_than_of_arxiv_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no arXiv id"):
        arxiv_id(text)


@pytest.mark.parametrize("text", ["1706.03762", "arXiv:1706.03762v5", "https://arxiv.org/abs/cs/9905014", ""])
def test_ids_of_arxiv_are_taken_in_every_spelling(text: str) -> None:
    assert arxiv_id(text) in text
