"""A person's own folder: steps to do are no failures, and every message names file, line and the next action."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.checks.lint import from_scratch
from repro.commands import main
from repro.configuration import folders
from repro.configuration.compose import compose
from repro.contract.bench import Bench
from repro.contract.paper import Paper
from repro.tracking.run_folder import list_runs
from tests.own_paper import LOSS, config, new_paper, replace, whole_paper

Captured = pytest.CaptureFixture[str]
QUIET = ["tracking.wandb=disabled", "threads=1"]


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(name: str, *words: str) -> int:
    return main(["check", f"paper={name}", *QUIET, *words])


def only(name: str, phase: str, check_name: str) -> int:
    return check(name, f"phases=[{phase}]", f"check.only={check_name}")


# --- steps to do


def test_a_new_paper_is_to_do_from_its_analysis(capsys: Captured) -> None:
    name = new_paper()
    assert main(["run", f"paper={name}", *QUIET]) == 4
    out = capsys.readouterr().out
    assert "◌ analysis      to do: paper.title" in out and "✗" not in out
    assert f"conf/paper/{name}.yaml line 13: paper.title: the paper's title" in out
    for key in ("core_algorithm", "stripped_away", "compute", "components.loss", "tricky_parts"):
        assert f"paper.{key}: " in out
    assert f"python -m repro session paper={name} {' '.join(QUIET)} step=analysis" in out


def test_an_unguarded_tricky_part_is_named_with_its_line(capsys: Captured) -> None:
    name = whole_paper("data")
    line = replace(config(name), "guard: overfit_one_batch", "guard: overfit_one_bach")
    assert check(name, "phases=[analysis]") == 1
    out = capsys.readouterr().out
    assert "nothing guards: the intercept" in out and "Near: overfit_one_batch" in out
    assert f"conf/paper/{name}.yaml line {line}" in out


def test_data_alone_is_checked_and_the_model_is_to_do(capsys: Captured) -> None:
    name = whole_paper("data")
    assert main(["run", f"paper={name}", *QUIET]) == 4
    out = capsys.readouterr().out
    assert " ✓ data " in out and " ◌ model " in out and "✗" not in out
    model = Path(name, "model.py").read_text().splitlines()
    for title in ("__init__", "forward"):
        place = next(i for i, text in enumerate(model, 1) if f"def {title}" in text)
        raised = next(i for i, text in enumerate(model, 1) if i > place and "NotImplementedError" in text)
        assert f"{name}/model.py:{raised} in Model.{title}: " in out


def test_a_body_that_only_shows_when_it_is_called_is_to_do(capsys: Captured) -> None:
    name = whole_paper()
    line = replace(
        Path(name, "model.py"),
        "return self.linear(input)",
        "return helper(self.linear(input))\n\n\ndef helper(x):\n    raise NotImplementedError('square it')",
    )
    assert check(name, "phases=[model]") == 4
    out = capsys.readouterr().out
    assert "◌ model" in out and f"{name}/model.py:{line + 4} in helper: square it" in out


def test_a_check_that_needs_a_later_step_waits_for_it(capsys: Captured) -> None:
    name = whole_paper("data", "model")
    assert check(name, "phases=[data,model]") == 0
    before = list_runs("runs", name)[0].read_evidence("model")
    assert before is not None and all(not f.blocks for f in before.findings)
    Path(name, "loss.py").write_text(LOSS)
    sys.modules.pop(f"{name}.loss", None)  # a new process would import it anew
    capsys.readouterr()
    assert check(name, "phases=[data,model,loss]") == 0
    assert " ✓ loss " in capsys.readouterr().out


# --- messages


def missing_file(name: str) -> str:
    Path(name, "model.py").unlink()
    line = config(name).read_text().splitlines().index(f"  _target_: {name}.model.Model") + 1
    return f"conf/paper/{name}.yaml line {line}: write {name}/model.py with Model"


def not_named(name: str) -> str:
    replace(config(name), f"model:\n  _target_: {name}.model.Model\n  features: 8\n  outputs: 1\n", "")
    return f"conf/paper/{name}.yaml: write model.py and name it here as `model: {{_target_: {name}.model.Model}}`"


@pytest.mark.parametrize("breaking", [missing_file, not_named])
def test_a_missing_component(breaking: Callable[[str], str], capsys: Captured) -> None:
    name = whole_paper()
    said = breaking(name)
    assert check(name, "phases=[model]") == 4
    assert said in capsys.readouterr().out


def test_a_misspelt_component(capsys: Captured) -> None:
    name = whole_paper()
    line = replace(config(name), f"{name}.model.Model", f"{name}.model.Modell")
    assert check(name, "phases=[model]") == 2
    err = capsys.readouterr().err
    assert "has no 'Modell'" in err and "Near: Model" in err and f"conf/paper/{name}.yaml line {line}" in err


def test_a_wrong_signature(capsys: Captured) -> None:
    name = whole_paper()
    line = replace(
        Path(name, "model.py"),
        "def forward(self, input):\n        return self.linear(input)",
        "def forward(self, x):\n        return self.linear(x)",
    )
    assert only(name, "model", "outputs_declared") == 1
    out = capsys.readouterr().out
    assert f"{name}/model.py:{line} in Model.forward takes x, but the tensors at hand are input, target" in out
    assert "Declare the tensor under `tensors:`" in out


def test_an_undeclared_tensor(capsys: Captured) -> None:
    name = whole_paper()
    replace(Path(name, "data.py"), '"target": x', '"targets": x')
    assert only(name, "data", "declared_tensors") == 1
    out = capsys.readouterr().out
    assert "targets: not declared under `tensors:`. Near: target" in out and f"{name}/data.py:" in out


def test_a_batch_that_does_not_match_its_declaration(capsys: Captured) -> None:
    name = whole_paper()
    replace(Path(name, "data.py"), "x[:, :1] * 2 + 1", "x[:, 0] * 2 + 1")
    assert only(name, "data", "declared_tensors") == 1
    out = capsys.readouterr().out
    assert "target: shape: [1], declared ['batch', 'outputs']" in out and f"{name}/data.py:" in out


def test_a_metric_that_the_table_does_not_have(capsys: Captured) -> None:
    name = whole_paper()
    replace(Path(name, "evaluation.py"), '"error"', '"mistake"')
    assert only(name, "evaluation", "metrics_declared") == 1
    out = capsys.readouterr().out
    assert (
        "no returned metric occurs in the reference table" in out and "expected some of error; observed mistake" in out
    )
    assert f"{name}/evaluation.py:" in out


def test_an_evaluation_that_returns_nan(capsys: Captured) -> None:
    name = whole_paper()
    replace(Path(name, "evaluation.py"), "total / n", "float('nan')")
    assert only(name, "evaluation", "metrics_declared") == 1
    out = capsys.readouterr().out
    assert "observed error: nan" in out and f"{name}/evaluation.py:" in out


def test_a_section_that_is_misspelt(capsys: Captured) -> None:
    name = whole_paper()
    line = replace(config(name), "\ntensors:\n", "\ntensor:\n") + 1
    assert check(name) == 2
    err = capsys.readouterr().err
    assert f"conf/paper/{name}.yaml line {line}: 'tensor' is no section" in err and "Near: tensors" in err


def test_an_argument_that_is_misspelt(capsys: Captured) -> None:
    name = whole_paper()
    line = replace(config(name), "batch_size: 32", "batchsize: 32")
    assert check(name, "phases=[data]") == 2
    err = capsys.readouterr().err
    assert f"data.batchsize: Data takes no such argument; near: batch_size (conf/paper/{name}.yaml line {line})" in err
    assert f"Data is defined at {name}/data.py:" in err


def test_a_check_that_is_misspelt(capsys: Captured) -> None:
    name = whole_paper()
    line = replace(config(name), "property: deterministic", "property: determinstic")
    assert check(name, "phases=[model]") == 2
    err = capsys.readouterr().err
    assert "There is no check 'determinstic'" in err and "Near: deterministic" in err
    assert f"conf/paper/{name}.yaml line {line}" in err


def test_an_import_that_fails_in_a_module(capsys: Captured) -> None:
    name = whole_paper()
    replace(Path(name, "model.py"), "from torch import nn", "from torch import nnn")
    assert check(name, "phases=[model]") == 1
    out = capsys.readouterr().out
    assert f"{name}/model.py:1 in <module>" in out and "cannot import name 'nnn'" in out


def test_a_syntax_error(capsys: Captured) -> None:
    name = whole_paper()
    replace(Path(name, "model.py"), "def forward(self, input):", "def forward(self, input:")
    assert check(name, "phases=[model]") == 1
    assert f"{name}/model.py:9" in capsys.readouterr().out


def test_two_papers_of_one_name(capsys: Captured) -> None:
    name = whole_paper()
    config("transformer").write_text(config(name).read_text())
    assert check("transformer") == 2
    err = capsys.readouterr().err
    assert "conf/paper/transformer.yaml" in err and "my_transformer.yaml" in err


def test_a_config_under_another_papers_name(capsys: Captured) -> None:
    name = whole_paper()
    line = replace(config(name), f"  name: {name}\n", "  name: transformer\n")
    assert check(name) == 2
    assert f"conf/paper/{name}.yaml line {line}: paper.name is 'transformer'" in capsys.readouterr().err


def test_a_config_yaml_of_something_else_is_ignored(capsys: Captured) -> None:
    name = whole_paper()
    Path("conf/config.yaml").write_text("this: [is not, ours\n")
    Path("config.yaml").write_text("nor: {this\n")
    assert only(name, "data", "declared_tensors") == 0


def test_the_lint_sees_a_package_outside_the_tree(capsys: Captured) -> None:
    name = new_paper(type="transformer")
    Path(name, "model.py").write_text(
        "from torch import nn\n\n\nclass Model(nn.Module):\n    layer = nn.TransformerEncoderLayer\n"
    )
    folders.add_to_path()
    (finding,) = from_scratch(Bench(Paper.from_config(compose([f"paper={name}"]).config)))
    assert finding.outcome == "warned" and finding.location == f"{name}/model.py:5"
    replace(
        config(name),
        '  # from_scratch_overrides: {torch.nn.GRU: "the cell is not what the paper is about"}',
        "  from_scratch_overrides: {torch.nn.Transformer*: the layer is given}",
    )
    (finding,) = from_scratch(Bench(Paper.from_config(compose([f"paper={name}"]).config)))
    assert "kept on purpose: the layer is given" in finding.summary
