"""Standardised inputs: statistics by hand, and a loader whose test split lacks the normalisation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch

from repro.checks.registry import run_check
from repro.checks.standardised import statistics_of
from repro.contract.bench import Bench
from repro.contract.paper import Paper
from repro.findings import Finding, Outcome

MODULE = "standardised_paper"


class Images:
    """Three splits of 600 images [3, 4, 4]; `scale` and `shift` spoil one channel of one split."""

    def __init__(self, split: str = "", scale: float = 1.0, shift: float = 0.0) -> None:
        self.split, self.scale, self.shift = split, scale, shift

    def batches(self, split: str) -> Iterator[dict[str, torch.Tensor]]:
        generator = torch.Generator().manual_seed(len(split))
        for _ in range(6):
            # one brightness an image: pixels of one image are not independent
            image = torch.randn(100, 3, 4, 4, generator=generator) * 0.8
            image = image + 0.6 * torch.randn(100, 1, 1, 1, generator=generator)
            if split == self.split:
                image[:, 1] = image[:, 1] * self.scale + self.shift
            yield {"image": image}

    def synthetic(self, n: int, seed: int) -> dict[str, torch.Tensor]:
        return {"image": torch.randn(n, 3, 4, 4)}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = ModuleType(MODULE)
    module.Images = Images  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, MODULE, module)

    def make(**spoilt: Any) -> Bench:
        config = {
            "paper": {"name": "p"},
            "data": {"_target_": f"{MODULE}.Images", **spoilt},
            "tensors": {"image": {"axes": ["batch", "channel", 4, 4], "meaning": "pixels"}},
        }
        return Bench(Paper.from_config(config))

    return make


def outcomes(findings: list[Finding]) -> list[str]:
    return [finding.outcome.value for finding in findings]


def test_statistics_by_hand() -> None:
    # two examples with means 1 and 3: mean 2, its error std([1, 3]) / √2; squares around 2: (4+0)/2 and (0+4)/2
    found = statistics_of(torch.tensor([[0.0, 2.0], [2.0, 4.0]]))
    assert (found.n, found.mean) == (2, 2.0)
    assert found.mean_error == pytest.approx(1 / 2**0.5)
    assert found.std == pytest.approx(2**0.5) and found.std_error == 0.0


def test_right_data_pass(bench: Any) -> None:
    for options in ({"channels": "channel"}, {}, {"std": None}):
        assert outcomes(run_check("standardised", bench(), {"tensor": "image", **options})) == ["passed"] * 3


@pytest.mark.parametrize("spoilt", [{"scale": 1.5}, {"shift": 0.5}, {"scale": 0.0039}])
@pytest.mark.parametrize("place, split", [(0, "train"), (1, "validation"), (2, "test")])
def test_a_spoilt_split_is_named(bench: Any, spoilt: dict[str, float], place: int, split: str) -> None:
    findings = run_check("standardised", bench(split=split, **spoilt), {"tensor": "image", "channels": "channel"})
    assert [n for n, f in enumerate(findings) if f.outcome is Outcome.FAILED] == [place]
    assert split in findings[place].summary and "channel 1" in findings[place].observed


def test_spread_need_only_agree_where_none_is_declared(bench: Any) -> None:
    options = {"tensor": "image", "channels": "channel", "std": None}
    assert outcomes(run_check("standardised", bench(split="test", scale=1.5), options)) == [
        "passed",
        "passed",
        "failed",
    ]


def test_undeclared_tensor_is_not_run(bench: Any) -> None:
    found = run_check("standardised", bench(), {"tensor": "images"})
    assert outcomes(found) == ["not_run"] and "image" in found[0].reason
