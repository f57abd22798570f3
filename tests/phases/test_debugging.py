"""The ablation debug names the broken part when the checks that would have named it are switched off."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from repro.commands import main

from ..planted_bugs.planting import Patch, Planted, package_of

# ruff: noqa: E501 (each patch is one line of a table)

#: Broken part → (patches, the ablation that takes it away, the key that it changes).
BROKEN: dict[str, tuple[tuple[Patch, ...], str, str]] = {
    "one row of positions overwrites every piece": (
        (Patch("model", "x = x + self.pe[start : start + n]", "x = self.pe[start + n - 1].expand_as(x)"),),
        "no_positional_encoding",
        "model.positions",
    ),
    "scores divided by the root of themselves": (
        (Patch("model", "scores = scores / math.sqrt(d_k)", "scores = scores / torch.sqrt(scores)"),),
        "no_scaling",
        "model.scale_scores",
    ),
    "smoothing takes the logarithm twice": (
        (
            Patch("loss", "    uniform = -log_p.mean(dim=-1)", "    if not smoothing:\n        return nll.mean()\n    uniform = -log_p.log().mean(dim=-1)"),
        ),
        "no_label_smoothing",
        "loss.smoothing",
    ),
    "dropout keeps what it should drop": (
        (
            Patch("model", "        return self.dropout(x)\n", "        p = self.dropout.p\n        return x * (torch.rand_like(x) < p / 20) / (1 - p) if p else x\n"),
        ),
        "no_dropout",
        "model.dropout",
    ),
    "post-norm loses its input": (
        (Patch("model", "return self.norm(x + self.dropout(sublayer(x)))", "return self.norm(torch.zeros_like(x))"),),
        "pre_norm",
        "model.norm",
    ),
    "tied logits are divided as integers": (
        (Patch("model", "return self.output(y)", "return self.output(y * (1 // y.size(-1)) if self.output.weight is self.source_embedding.pieces.weight else y)"),),
        "no_tying",
        "model.tied",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def debug(tmp_path: Path, patches: tuple[Patch, ...], *overrides: str) -> tuple[int, dict[str, Any]]:
    name = package_of(Planted(patches), tmp_path)
    moved = [
        f"{patch.file}._target_={name}.{patch.file}.{cls}" for patch in patches[:1] for cls in [CLASSES[patch.file]]
    ]
    folder = tmp_path / "runs"
    words = ["paper=transformer", "scale=smoke", "tracking.wandb=disabled", f"runs_folder={folder}", *moved]
    words += [override.replace("{name}", name) for override in overrides]
    code = main(["debug", *words])
    found = [json.loads(path.read_text()) for path in folder.glob("*/*/debug.json")]
    return code, found[0] if found else {}


CLASSES = {"model": "Transformer", "loss": "Loss"}
#: Half the examples and updates of the default: the whole model needs 100 to come within 2 % of the floor.
QUICK = "{check: overfit_one_batch, updates: 100, examples: 4}"
#: Switches every other check off.
ALONE = "check.only=overfit_one_batch"


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_the_broken_part_is_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patches, ablation, key = BROKEN[name]
    code, found = debug(tmp_path, patches, ALONE)
    out = capsys.readouterr().out
    assert code == 1, out
    (finding,) = found["findings"]
    assert finding["details"]["culprits"] == [ablation], out
    assert finding["component"] == key
    assert f"{patches[0].file}.py:" in finding["location"]
    assert "floor" in finding["expected"] and "with it" in finding["observed"]
    assert f"+ {ablation}" in out and f"{ablation} is the culprit" in out


@pytest.mark.slow
def test_what_works_is_not_blamed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = debug(tmp_path, (Patch("model", "import math\n", "import math\n"),), ALONE)
    assert code == 0
    assert "nothing is broken" in found["summary"]


@pytest.mark.slow
def test_what_no_ablation_removes_stays_undecided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = Patch(
        "model", "y = self.decoder(y, memory, target_mask", "y = self.decoder(y * math.nan, memory, target_mask"
    )
    code, found = debug(tmp_path, (cut,), ALONE)
    assert code == 4
    assert "in what no ablation removes" in found["findings"][0]["reason"]


@pytest.mark.slow
def test_a_check_that_names_the_culprit_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = Patch("model", "scores = scores / math.sqrt(d_k)", "scores = scores * math.sqrt(d_k)")
    code, found = debug(
        tmp_path, (wrong,), "check.only=attention_oracle_agrees", "pieces.attention={name}.model.attention"
    )
    assert code == 1 and not found
    assert "attention_oracle_agrees names what is wrong" in capsys.readouterr().out
