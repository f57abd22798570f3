"""Papers that a person could write outside of the package: each passes every check, and its bugs are caught."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.checks.registry import declared_options, run_check
from repro.commands import main
from repro.configuration import compose
from repro.configuration.folders import add_to_path
from repro.contract.bench import Bench
from repro.contract.paper import Paper
from repro.findings import Outcome

PAPERS = {
    "regression": "waves",
    "gan": "ring",
    "graph": "communities",
    "hand_written": "stripes",
    "noise": "bottleneck",
    "acting": "hallway",
}
QUIET = ["scale=smoke", "tracking.wandb=disabled", "runs_folder=runs"]


def evidence(folder: Path, phase: str) -> list[dict]:
    (path,) = folder.glob(f"runs/*/*/evidence/{phase}.json")
    return json.loads(path.read_text())["findings"]


def reasons(folder: Path, phase: str) -> dict[str, str]:
    return {f["check"]: f["reason"] for f in evidence(folder, phase) if f["outcome"] == Outcome.NOT_RUN}


@pytest.mark.parametrize("name", PAPERS)
def test_a_correct_paper_passes_every_check(name: str, enter: Callable[[str], Path], capsys) -> None:
    folder = enter(name)
    code = main(["check", f"paper={PAPERS[name]}", *QUIET])
    out = capsys.readouterr().out
    assert code == 0, out
    for phase in ("analysis", "data", "model", "loss", "training", "evaluation"):
        wrong = [f for f in evidence(folder, phase) if f["outcome"] not in (Outcome.PASSED, Outcome.NOT_RUN)]
        assert not wrong, (phase, wrong)
        assert all(f["reason"] for f in evidence(folder, phase) if f["outcome"] == Outcome.NOT_RUN)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPERS)
def test_a_short_run_ends_with_a_verdict(name: str, enter: Callable[[str], Path], capsys) -> None:
    folder = enter(name)
    code = main(["run", f"paper={PAPERS[name]}", *QUIET])
    out = capsys.readouterr().out
    assert code == 0, out
    assert "1 of 1 printed result tested: 1 matches." in out
    assert not [f for f in evidence(folder, "gauntlet") if f["outcome"] in (Outcome.FAILED, Outcome.ERROR)]


def test_a_hand_written_optimiser_is_watched_by_its_parameters(enter: Callable[[str], Path]) -> None:
    enter("hand_written")
    for check in ("update_order", "learning_rate_trace", "schedule_driven", "optimiser_declared"):
        (finding,) = run_check(check, bench("hand_written"))
        assert finding.outcome is Outcome.NOT_RUN
        assert "hooks see no step" in finding.reason
    for check in ("all_parameters_updated", "one_step_closed_form"):
        assert {f.outcome for f in run_check(check, bench("hand_written"))} == {Outcome.PASSED}


def bench(name: str) -> Bench:
    add_to_path()
    return Bench(Paper.from_config(compose([f"paper={PAPERS[name]}", "scale=smoke"]).config))


def test_an_analysis_without_a_number_warns(enter: Callable[[str], Path]) -> None:
    enter("regression")
    Path("reference_numbers/waves.yaml").write_text("paper: waves\nrecords: {}\n")
    (finding,) = run_check("analysis_complete", bench("regression"))
    assert finding.outcome is Outcome.WARNED and "no number that it reports" in finding.summary
    assert "reference_numbers/waves.yaml" in finding.expected


def test_a_guard_that_does_not_exist_says_where_a_question_goes(enter: Callable[[str], Path]) -> None:
    enter("regression")
    config = Path("conf/paper/waves.yaml")
    config.write_text(config.read_text().replace("guard: one_step_closed_form", "guard: one_step_closed_from"))
    (finding,) = run_check("tricky_parts_guarded", bench("regression"))
    assert finding.outcome is Outcome.FAILED and "one_step_closed_form" in finding.observed
    assert "Your own questions go into questions.yaml beside the components" in finding.observed


@pytest.mark.parametrize(
    "made, said",
    [
        ("whole['x'][chosen], whole['y'][chosen]", "batches('train') yields a tuple, need a dict of named tensors."),
        ("{n: v[chosen].numpy() for n, v in whole.items()}", "batches('train') yields a ndarray for x, need a tensor."),
    ],
)
def test_batches_of_another_kind_are_told_once(made: str, said: str, enter: Callable[[str], Path], capsys) -> None:
    enter("regression")
    data = Path("waves/data.py")
    data.write_text(data.read_text().replace("{name: value[chosen] for name, value in whole.items()}", made))
    assert main(["check", "paper=waves", "phases=[data]", *QUIET]) == 1
    out = capsys.readouterr().out
    assert out.count(said) == 1 and "The same ends 6 more: data/train_examples_repeat" in out
    assert "Likely" not in out and "Traceback" not in out


#: paper, file, what stands there, what the bug makes of it, the check that catches it, words of its message
BUGS = [
    (
        "graph",
        "communities/loss.py",
        "cross_entropy(logits[train_mask], labels[train_mask])",
        "cross_entropy(logits, labels)",
        "targets_aligned",
        "places outside of train_mask count in the loss",
    ),
    (
        "graph",
        "communities/data.py",
        '"test_mask": place >= max(1, 3 * n // 4)',
        '"test_mask": place >= max(0, n // 4)',
        "splits_disjoint",
        "train_mask and test_mask overlap",
    ),
    (
        "graph",
        "communities/data.py",
        '"edges": joined.nonzero().T.contiguous(),',
        '"edges": joined.nonzero().T.contiguous() + 1,',
        "declared_tensors",
        "outside the",
    ),
    (
        "hand_written",
        "stripes/training.py",
        "mul_(self.momentum).add_(parameter.grad)",
        "mul_(self.momentum).add_(parameter.grad, alpha=0.1)",
        "one_step_closed_form",
        "is not what sgd makes of the gradient",
    ),
    (
        "noise",
        "bottleneck/training.py",
        "        self.optimiser.zero_grad()\n",
        "",
        "gradient_of_this_batch",
        "applies another gradient",
    ),
    (
        "noise",
        "bottleneck/model.py",
        "hidden = self.encoder(x)",
        "hidden = self.encoder(x - x.mean(0))",
        "batch_independent",
        "changes with its neighbours",
    ),
    (
        "noise",
        "bottleneck/model.py",
        "        if noise is None:\n            noise",
        "        if True:\n            noise",
        "deterministic",
        "not a function of its input",
    ),
    (
        "gan",
        "ring/training.py",
        "module.parameters(), lr=learning_rate, betas=(0.5, 0.999))\n            for name, module in model.items()",
        'model["generator"].parameters(), lr=learning_rate, betas=(0.5, 0.999))\n            for name in model',
        "all_parameters_updated",
        "discriminator",
    ),
    (
        "gan",
        "ring/training.py",
        "betas=(0.5, 0.999)",
        "betas=(0.9, 0.999)",
        "optimiser_declared",
        "betas of Adam deviates",
    ),
    (
        "gan",
        "ring/loss.py",
        "softplus(-generated_score).mean()}",
        "softplus(-generated_score)}",
        "loss_terms",
        "no finite number",
    ),
    (
        "acting",
        "hallway/loss.py",
        "(target - value).detach()",
        "(target - value)",
        "loss_finite_differences",
        "not cut off from value",
    ),
    (
        "acting",
        "hallway/loss.py",
        "policy = -(",
        "policy = (",
        "advantage_direction",
        "make good actions more likely",
    ),
    (
        "regression",
        "waves/training.py",
        "momentum=momentum)",
        "momentum=momentum, dampening=0.5)",
        "one_step_closed_form",
        "is not what sgd makes of the gradient",
    ),
    (
        "regression",
        "waves/loss.py",
        "(prediction - y)",
        "(prediction - y.squeeze(-1))",
        "loss_terms",
        "broadcasts its input against its target",
    ),
]


@pytest.mark.parametrize(("name", "file", "there", "bug", "check", "words"), BUGS, ids=[f"{b[0]}-{b[4]}" for b in BUGS])
def test_a_bug_is_caught(name: str, file: str, there: str, bug: str, check: str, words: str, enter) -> None:
    folder = enter(name)
    text = (folder / file).read_text()
    assert text.count(there) == 1
    (folder / file).write_text(text.replace(there, bug))
    broken = bench(name)
    findings = run_check(check, broken, declared_options(check, broken))
    failed = [f for f in findings if f.outcome is Outcome.FAILED]
    assert failed, findings
    assert words in failed[0].summary
