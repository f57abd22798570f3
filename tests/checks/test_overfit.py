"""The floor of a loss is computed, a leak falls below it, and a cut gradient stays above."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.checks.floor import colliding, floor_of
from repro.checks.registry import run_check
from repro.oracles.entropy_floor import conditional_entropy_floor

from ..planted_bugs.planting import planted_bench


def test_floor_agrees_with_entropies_of_counted_prefixes(tmp_path: Path) -> None:
    bench = planted_bench(tmp_path)
    batch = colliding(bench, bench.synthetic(6), 3)
    floor = floor_of(bench, batch)
    contexts, targets = [], []
    for i in range(6):
        for t, target in enumerate(batch["target_output"][i].tolist()):
            if target != 0:
                contexts.append((tuple(batch["source"][i].tolist()), tuple(batch["target_input"][i, : t + 1].tolist())))
                targets.append(target)
    classes = bench.paper.settings["data"]["vocabulary"]
    assert floor.shared == pytest.approx(conditional_entropy_floor(contexts, targets, classes, 0.1), abs=1e-4)
    unique = list(range(len(targets)))
    assert floor.free == pytest.approx(conditional_entropy_floor(unique, targets, classes, 0.1), abs=1e-4)
    assert floor.shared > floor.free


def test_leak_falls_below_the_floor(tmp_path: Path) -> None:
    # the sizes of the laptop scale: the single narrow layer of the smoke scale is too weak to use what it sees
    sizes = {"model.width": 64, "training.width": 64, "model.layers": 2, "model.heads": 8, "model.d_ff": 256}
    sees_all = "target_mask = padding_mask(target_input, self.padding)"
    bench = planted_bench(tmp_path, "model", [(sees_all + " & causal", sees_all)], sizes)
    found = run_check("overfit_one_batch", bench)[0]
    assert found.outcome == "failed" and found.component == "model"
    assert "causal mask" in found.likely[0]


def test_detached_output_is_named(tmp_path: Path) -> None:
    cut = [("return self.output(y)\n", "return self.output(y.detach())\n")]
    found = run_check("gradients_reach_everything", planted_bench(tmp_path, "model", cut))[0]
    assert found.outcome == "failed"
    found = run_check("gradient_check", planted_bench(tmp_path, "model", cut))[0]
    assert found.outcome == "failed" and "detach" in found.likely[0]
