"""Building components: every fault names the config key and the person's own file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from repro.contract.components import build, call_by_name, locate, location_of, parameters_of, persons_errors
from repro.contract.paper import Paper
from repro.errors import ComponentError, ConfigError


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "persons_paper"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "model.py").write_text(
        "class Model:\n    def __init__(self, width, depth=2):\n        self.width = width\n"
    )
    (folder / "broken.py").write_text("import math\n\nvalue = math.nothing\n")
    (folder / "torn.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith("persons_paper")]:
        del sys.modules[name]


def test_build_passes_config_and_only_accepted_extras(package: Path) -> None:
    model = build({"_target_": "persons_paper.model.Model", "width": 3}, "model", seed=1)
    assert model.width == 3


def test_every_wrong_argument_is_named_at_once(package: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        build({"_target_": "persons_paper.model.Model", "widht": 3}, "model")
    assert "model.widht: Model takes no such argument; near: width" in str(caught.value)
    assert "model.width: missing" in str(caught.value)
    assert "model.py:1" in str(caught.value)


def test_missing_module_and_name_say_what_is_near(package: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no module 'persons_paper\.modle'"):
        locate("persons_paper.modle.Model", "model._target_")
    with pytest.raises(ConfigError, match="Near: Model"):
        locate("persons_paper.model.Modle", "model._target_")
    with pytest.raises(ConfigError, match="need a dotted path"):
        locate("Model", "model._target_")


def test_import_error_shows_the_persons_own_traceback(package: Path) -> None:
    with pytest.raises(ComponentError) as caught:
        locate("persons_paper.broken.Model", "model._target_")
    text = str(caught.value)
    assert "broken.py:3" in text and "value = math.nothing" in text and "AttributeError" in text
    assert "components.py" not in text  # none of the harness's own frames


def test_syntax_error_names_file_and_line(package: Path) -> None:
    with pytest.raises(ComponentError) as caught:
        locate("persons_paper.torn.Model", "model._target_")
    assert "torn.py:1" in str(caught.value) and "SyntaxError" in str(caught.value)


def test_call_by_name_passes_what_is_named_and_names_what_is_missing() -> None:
    def forward(source: int, target_input: int, noise: int = 7) -> int:
        return source + target_input + noise

    assert call_by_name(forward, {"source": 1, "target_input": 2, "unused": 9}, "model.forward") == 10
    with pytest.raises(ComponentError, match="takes target_input, but the tensors at hand are source"):
        call_by_name(forward, {"source": 1}, "model.forward")


def test_location_reads_file_line_and_name() -> None:
    assert location_of(test_location_reads_file_line_and_name).endswith("in test_location_reads_file_line_and_name")


@pytest.mark.parametrize(
    "source, said",
    [
        ("LazyLinear(3)", "weight, bias of LazyLinear has no size yet"),
        ("Sequential(torch.nn.LazyLinear(3))", "0.weight, 0.bias of Sequential has no size yet"),
        ("functional.relu", "model is a function, need a torch.nn.Module"),
    ],
)
def test_a_model_that_cannot_be_checked(package: Path, source: str, said: str) -> None:
    (package / "made.py").write_text(f"import torch\n\n\ndef make():\n    return torch.nn.{source}\n")
    paper = Paper.from_config({"paper": {"name": "p"}, "model": {"_target_": "persons_paper.made.make"}})
    with pytest.raises(ComponentError, match=said):
        paper.build_model()


def test_metrics_that_are_scalars_of_a_library_are_numbers(package: Path) -> None:
    (package / "scored.py").write_text(
        "import numpy as np\nimport torch\n\n\ndef evaluate(model, data, split):\n"
        "    return {'a': torch.tensor(0.5), 'b': np.float32(0.25), 'c': 1, 'd': torch.ones(2)}\n"
    )
    paper = Paper.from_config({"paper": {"name": "p"}, "evaluation": {"_target_": "persons_paper.scored.evaluate"}})
    metrics = paper.evaluate(None, None, "test")
    assert {name: type(value) for name, value in metrics.items() if name != "d"} == {"a": float, "b": float, "c": int}
    assert metrics["a"] == 0.5 and metrics["b"] == 0.25
    assert len(metrics["d"]) == 2  # which the gate of evaluation refuses


def test_a_class_of_an_evaluation_is_built_and_its_object_called(package: Path) -> None:
    (package / "evaluator.py").write_text(
        "class Evaluator:\n    def __init__(self, classes):\n        self.classes = classes\n\n"
        "    def __call__(self, model, data, split='test'):\n        return {split: self.classes}\n\n\n"
        "class Forgotten:\n    pass\n"
    )
    settings = {"paper": {"name": "p"}, "evaluation": {"_target_": "persons_paper.evaluator.Evaluator", "classes": 3}}
    assert Paper.from_config(settings).evaluate(None, None, "validation") == {"validation": 3}
    settings["evaluation"] = {"_target_": "persons_paper.evaluator.Forgotten"}
    with pytest.raises(ComponentError, match=r"persons_paper.evaluator.Forgotten is not callable"):
        Paper.from_config(settings).evaluate(None, None, "validation")


def test_a_metric_without_a_name_is_told(package: Path) -> None:
    (package / "nameless.py").write_text("def evaluate(model, data, split):\n    return {1: 0.5}\n")
    paper = Paper.from_config({"paper": {"name": "p"}, "evaluation": {"_target_": "persons_paper.nameless.evaluate"}})
    with pytest.raises(ComponentError, match="returned a value under 1, need names of metrics as text"):
        paper.evaluate(None, None, "test")


def test_what_a_loss_takes_that_is_a_module_is_what_its_forward_takes() -> None:
    assert list(parameters_of(torch.nn.CrossEntropyLoss())) == ["input", "target"]
    assert "ignore_index" in parameters_of(torch.nn.CrossEntropyLoss)  # to build it takes others


def test_an_exit_in_the_persons_code_is_no_verdict(package: Path) -> None:
    (package / "leaves.py").write_text("import sys\n\n\ndef make():\n    sys.exit(3)\n")
    with pytest.raises(ComponentError, match=r"leaves.py:5 in make(?s:.*)SystemExit: 3"):
        build({"_target_": "persons_paper.leaves.make"}, "model")
    (package / "gone.py").write_text("raise SystemExit(0)\n")
    with pytest.raises(ComponentError, match=r"gone.py:1 in <module>"):
        locate("persons_paper.gone.make", "model._target_")


def test_code_that_changes_the_current_folder_is_told_and_brought_back(package: Path) -> None:
    here = Path.cwd()
    (package / "moves.py").write_text("import os\n\nos.chdir('/')\n\n\ndef make():\n    pass\n")
    with pytest.raises(ComponentError, match=r"importing persons_paper.moves (?s:.*)changed the current folder to /"):
        locate("persons_paper.moves.make", "model._target_")
    assert Path.cwd() == here


def test_a_message_of_several_lines_is_shown_whole_unless_it_is_long() -> None:
    def lines_of(message: str) -> list[str]:
        with pytest.raises(ComponentError) as caught, persons_errors("model raised"):
            raise RuntimeError(message)
        return str(caught.value).splitlines()

    shown = lines_of("Error(s) in loading state_dict for Model:\n\tMissing key(s): 'layer.weight'.\n\tsize mismatch")
    assert [line.strip() for line in shown[-3:]] == [
        "RuntimeError: Error(s) in loading state_dict for Model:",
        "Missing key(s): 'layer.weight'.",
        "size mismatch",
    ]
    shown = lines_of("\n".join(f"key {number}" for number in range(40)))
    assert shown[-2:] == ["  key 5", "  … 34 more lines"]


def test_a_package_that_is_missing_is_to_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needs_more.py").write_text("import package_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ComponentError, match="Install the package that has package_that_nobody_has"):
        locate("needs_more.Model", "model._target_")
