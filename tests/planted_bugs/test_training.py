"""Bugs of the training step planted into the real Transformer: each stops the gate of its phase, named and explained."""

# ruff: noqa: E501 (each planted bug is one line of a table)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .planting import failures, gate_of, planted_bench

FORWARD = """        logits = self.model(batch["source"], batch["target_input"])  # [b, n, vocabulary]
        terms = self.loss(logits, batch["target_output"])
        self.backward(terms["total"])
"""
ADAM = "torch.optim.Adam(model.parameters(), lr=0.0, betas=(beta1, beta2), eps=eps)"


def micro(body: str) -> str:
    return f"""        for part in range(2):
            rows = slice(part * len(batch["source"]) // 2, (part + 1) * len(batch["source"]) // 2)
            logits = self.model(batch["source"][rows], batch["target_input"][rows])
            terms = self.loss(logits, batch["target_output"][rows])
{body}"""


# name: (component, replacements, settings, check that stops it, word among the first three likely bugs)
BUGS: dict[str, tuple[str, list[tuple[str, str]], dict[str, Any], str, str]] = {
    "T33": ("training", [("rate = self.learning_rate(self.step)", "rate = self.learning_rate(max(1, self.step - 1))")],
            {}, "learning_rate_trace", "off by one"),
    "T33 first rate 0": ("training", [("rate = self.learning_rate(self.step)", "rate = self.learning_rate(self.step - 1) if self.step > 1 else 0.0")],
            {}, "all_parameters_updated", "off by one"),
    "X01": ("training", [("        self.optimiser.zero_grad()\n", "")], {}, "gradient_of_this_batch", "zero_grad is missing"),
    "X02": ("training", [("        self.optimiser.zero_grad()\n", ""), (FORWARD, micro("            self.optimiser.zero_grad()\n            self.backward(terms['total'] / 2)\n"))],
            {}, "gradient_of_this_batch", "zero_grad inside the accumulation loop"),
    "X03": ("training", [(FORWARD, micro("            self.backward(terms['total'])\n"))],
            {}, "gradient_of_this_batch", "not divided by the number of micro-batches"),
    "X01 with accumulation": ("training", [("        self.optimiser.zero_grad()\n", ""), (FORWARD, micro("            self.backward(terms['total'] / 2)\n"))],
            {}, "gradient_of_this_batch", "zero_grad is missing"),
    "X06": ("training", [(ADAM, "torch.optim.Adam(copy.deepcopy(model).parameters(), lr=0.0, betas=(beta1, beta2), eps=eps)"), ("import math\n", "import copy\nimport math\n")],
            {}, "all_parameters_updated", "another model"),
    "X15": ("training", [('self.backward(terms["total"])', 'self.backward(terms["total"] * 65536)'),
                         ("math.inf if self.clip is None else self.clip)", "1.0)\n        for p in self.model.parameters():\n            p.grad /= 65536")],
            {"optimiser.clip": 1.0, "training.clip": 1.0}, "gradient_of_this_batch", "before they are unscaled"),
    "X19": ("training", [('        self.optimiser.load_state_dict(state["optimiser"])\n', "")], {}, "resume", "optimiser's state"),
    "X20": ("training", [('        self.step = state["step"]', "        pass")], {}, "resume", "schedule's state"),
    "X30 in training": ("training", [('self.backward(terms["total"])', 'self.backward(terms["total"])\n        import secrets\n        for p in self.model.parameters():\n            p.grad += 1e-4 * secrets.randbelow(100)')],
            {}, "gradient_of_this_batch", ""),
    "X35": ("training", [(ADAM, ADAM[:-1] + ", weight_decay=0.01)")],
            {"optimiser.kind": "adamw", "optimiser.weight_decay": 0.01}, "optimiser_declared", "AdamW"),
    "R33": ("training", [(", eps=eps)", ")")], {}, "optimiser_declared", "eps of the paper not set"),
    "V19": ("training", [(ADAM, "torch.optim.SGD(model.parameters(), lr=0.0)")],
            {"optimiser": {"kind": "sgd", "momentum": 0.9, "weight_decay": 1e-4}}, "optimiser_declared", "not set"),
    "V12": ("training", [("        self.model.train()\n", "")], {}, "train_mode", "model.train() is not called"),
    "V20": ("training", [("rate = self.learning_rate(self.step)", "rate = self.learning_rate(2 * self.step)")],
            {}, "learning_rate_trace", "unit"),
    "milestone in another unit": ("training", [("rate = self.learning_rate(self.step)", "rate = self.learning_rate(min(self.step, 15))")],
            {}, "schedule_driven", "milestone"),
    "sign of the update": ("training", [('self.backward(terms["total"])', 'self.backward(-terms["total"])')],
            {}, "gradient_of_this_batch", "sign"),
    "undeclared clipping": ("training", [("math.inf if self.clip is None else self.clip", "0.1")], {}, "gradient_of_this_batch", "clip"),
    "clipping missing": ("training", [("math.inf if self.clip is None else self.clip", "math.inf")],
            {"optimiser.clip": 1.0, "training.clip": 1.0}, "gradient_of_this_batch", "clipping is missing"),
    "loss with its graph, twice the rate": ("training", [('group["lr"] = rate', 'group["lr"] = 2 * rate')], {}, "learning_rate_trace", "height"),
    "whole optimiser in the state": ("training", [('"optimiser": self.optimiser.state_dict()', '"optimiser": self.optimiser')], {}, "resume", "whole object"),
    "T24": ("model", [("self.output.weight = self.source_embedding.pieces.weight", "self.output.weight.data.copy_(self.source_embedding.pieces.weight.data)")],
            {}, "tied_after_update", "tying lost"),
}  # fmt: skip


@pytest.mark.parametrize("name", BUGS)
def test_bug_is_stopped(name: str, tmp_path: Path) -> None:
    component, replacements, settings, check, word = BUGS[name]
    findings = gate_of(
        planted_bench(tmp_path, component, replacements, settings).paper, "training", without=(), stop=True
    )
    stopped = failures(findings)
    assert stopped, f"{name} passes the gate: {[f.summary for f in findings]}"
    first = stopped[0]
    assert first.check == check, first
    assert first.component == component
    assert any(word in likely for likely in first.likely[:3]), first.likely
    assert first.location.startswith(str(tmp_path)) or component != "training"
    assert first.expected and first.observed


VARIANTS: dict[str, tuple[str, list[tuple[str, str]], dict[str, Any]]] = {
    "as it is": ("", [], {}),
    "C25 zero_grad at the end": ("training", [("        self.optimiser.zero_grad()\n", ""), ("        self.optimiser.step()\n", "        self.optimiser.step()\n        self.optimiser.zero_grad()\n")], {}),
    "C25 set_to_none=False": ("training", [("self.optimiser.zero_grad()", "self.optimiser.zero_grad(set_to_none=False)")], {}),
    "C25 model.zero_grad": ("training", [("self.optimiser.zero_grad()", "self.model.zero_grad()")], {}),
    "accumulation, right": ("training", [(FORWARD, micro("            self.backward(terms['total'] / 2)\n"))], {}),
    "two groups": ("training", [(ADAM, "torch.optim.Adam([{'params': [p for p in model.parameters() if p.dim() > 1]}, {'params': [p for p in model.parameters() if p.dim() <= 1]}], lr=0.0, betas=(beta1, beta2), eps=eps)")], {}),
    "AdamW without decay": ("training", [(ADAM, "torch.optim.AdamW(model.parameters(), lr=0.0, betas=(beta1, beta2), eps=eps, weight_decay=0.0)")], {}),
    "foreach": ("training", [(ADAM, ADAM[:-1] + ", foreach=True)")], {}),
    "declared clipping": ("", [], {"optimiser.clip": 1.0, "training.clip": 1.0}),
    "loss.backward": ("training", [('self.backward(terms["total"])', 'terms["total"].backward()')], {}),
    "functional attention": ("", [], {"model.attention": "fused"}),
    "pre-norm": ("", [], {"model.norm": "pre"}),
    "no tying": ("", [], {"model.tied": False}),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_correct_code_is_not_stopped(name: str, tmp_path: Path) -> None:
    component, replacements, settings = VARIANTS[name]
    findings = gate_of(planted_bench(tmp_path, component, replacements, settings).paper, "training", without=())
    assert not failures(findings), failures(findings)
