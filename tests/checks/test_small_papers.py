"""The generic checks on papers that are not in the package: no alarm on right code, the classic bugs found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.checks.registry import CHECKS, declared_options, load_all, run_check
from repro.findings import Finding, Outcome

from . import small_papers
from .small_papers import LANGUAGE, REGRESSION, TWO, Mlp, Points, Recurrent, bench_of

load_all()
OURS = [name for name, c in CHECKS.items() if c.phase in ("data", "model", "loss")]
GENERIC = [name for name in OURS if name not in ("tied", "frozen")]


def findings_of(settings: dict[str, Any], name: str, **changes: Any) -> list[Finding]:
    bench = bench_of(settings, **changes)
    return run_check(name, bench, declared_options(name, bench))


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("settings", [REGRESSION, LANGUAGE, TWO], ids=["regression", "language", "two"])
def test_right_code_is_never_stopped(settings: dict[str, Any], name: str) -> None:
    for finding in findings_of(settings, name):
        assert not finding.blocks, f"{name}: {finding.summary} {finding.observed} {finding.reason}"
        if finding.outcome is Outcome.NOT_RUN:
            assert finding.reason


def stopped(settings: dict[str, Any], name: str, **changes: Any) -> Finding:
    found = [f for f in findings_of(settings, name, **changes) if f.blocks]
    assert found, f"{name} saw nothing"
    return found[0]


class Listed(Mlp):
    def __init__(self) -> None:
        super().__init__()
        self.more = [nn.Linear(3, 3)]

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.more[0](x.float()).to(x.dtype))


class Dropping(Mlp):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x, 0.5))


class TrainNorm(Mlp):
    def forward(self, x: Tensor) -> Tensor:
        self.norm.train()
        return super().forward(x)


class Slots(Mlp):
    def __init__(self) -> None:
        super().__init__()
        self.slot = nn.Parameter(torch.randn(5, 3))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + self.slot)


class Constant(Mlp):
    def __init__(self) -> None:
        super().__init__()
        nn.init.constant_(self.inner.weight, 0.01)


class Cut(Mlp):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            h = self.inner(x)
        return self.outer(F.relu(self.norm(h))).squeeze(-1)  # type: ignore[no-any-return]


class Drifting(Points):
    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        self.x += 0.1
        return super().batches(split)


class Unpaired(Points):
    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        for batch in super().batches(split):
            p = torch.randperm(len(batch["x"]))
            yield {"x": batch["x"][p], "y": batch["y"]}


class Sorted(Points):
    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        self.generator.manual_seed(0)
        return super().batches(split)


HERE = __name__
BUGS = {
    "X07": (REGRESSION, "modules_registered", {"model___target_": f"{HERE}.Listed"}, "plain Python list"),
    "X36": (REGRESSION, "deterministic", {"model___target_": f"{HERE}.Dropping"}, "functional dropout"),
    "batch norm in train mode": (REGRESSION, "batch_independent", {"model___target_": f"{HERE}.TrainNorm"}, "batch"),
    "V32": (REGRESSION, "batch_independent", {"model___target_": f"{HERE}.Slots"}, "batch dimension"),
    "X14": (REGRESSION, "weights_differ", {"model___target_": f"{HERE}.Constant"}, "same constant"),
    "X10": (REGRESSION, "gradient_reaches", {"model___target_": f"{HERE}.Cut"}, "no_grad"),
    "X27": (
        REGRESSION,
        "loss_terms",
        {
            "model": {"_target_": f"{small_papers.__name__}.Mlp", "column": True},
            "tensors__prediction__axes": ["batch", 1],
        },
        "broadcasts",
    ),
    "X28": (
        REGRESSION,
        "loss_batch_size",
        {"loss___target_": f"{small_papers.__name__}.summed"},
        "sum instead of mean",
    ),
    "X25": (REGRESSION, "validation_repeats", {"data___target_": f"{HERE}.Drifting"}, "changed in place"),
    "V24": (REGRESSION, "pairs_stay_pairs", {"data___target_": f"{HERE}.Unpaired"}, "shuffled without the labels"),
    "X32": (REGRESSION, "train_shuffled", {"data___target_": f"{HERE}.Sorted"}, "not shuffled"),
    "bidirectional": (
        LANGUAGE,
        "causal",
        {"model": {"_target_": f"{small_papers.__name__}.Recurrent", "both": True}},
        "causal mask missing",
    ),
    "no stage": (REGRESSION, "stages", {"stages": {"hidden.*": ["batch", 3]}}, "a stage renamed"),
    "two pairs of weights": (
        REGRESSION,
        "parameter_count",
        {"model__hidden": 9, "properties": [{"property": "parameter_count", "equals": 57}]},
        "doubled",
    ),
}


@pytest.mark.parametrize("name", BUGS)
def test_the_classic_bugs_are_found(name: str) -> None:
    settings, check, changes, likely = BUGS[name]
    finding = stopped(settings, check, **changes)
    assert any(likely in text for text in finding.likely[:3]), finding.likely


def test_a_summed_loss_with_a_divided_rate_only_warns() -> None:
    found = findings_of(
        REGRESSION,
        "loss_batch_size",
        loss___target_=f"{small_papers.__name__}.summed",
        training={"_target_": f"{small_papers.__name__}.Sgd", "divide": True},
    )
    assert [f.outcome for f in found] == [Outcome.WARNED]


def test_a_check_that_raises_is_an_error_and_keeps_the_gate_shut() -> None:
    found = findings_of(REGRESSION, "outputs_declared", model___target_=f"{HERE}.Raising")
    assert [f.outcome for f in found] == [Outcome.ERROR]
    assert found[0].blocks


class Raising(Mlp):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("no")


def test_an_rnn_that_carries_its_state_is_found() -> None:
    finding = stopped(LANGUAGE, "deterministic", model___target_=f"{HERE}.Carrying")
    assert "hidden state" in finding.likely[0]


class Carrying(Recurrent):
    def forward(self, tokens: Tensor) -> Tensor:
        out, state = self.rnn(self.embedding(tokens), getattr(self, "kept", None))
        self.kept = state.detach()
        result: Tensor = self.output(out)
        return result
