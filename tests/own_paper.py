"""A small complete paper of a person's own, made by `new` and filled in: what tests of unfinished folders break."""

from __future__ import annotations

import itertools
from pathlib import Path

from repro.commands import main

DATA = """\
import torch


class Data:
    def __init__(self, batch_size=32, seed=0):
        self.batch_size = batch_size
        self.generator = torch.Generator().manual_seed(seed)
        self.start = self.generator.get_state()
        self.given = 0
        sizes = {"train": 64, "validation": 32, "test": 31}
        self.splits = {split: self.synthetic(n, n) for split, n in sizes.items()}

    def batches(self, split):
        whole = self.splits[split]
        if split != "train":
            yield dict(whole)
            return
        self.generator.set_state(self.start)
        chunks = torch.randperm(64, generator=self.generator).split(self.batch_size)
        while self.given < len(chunks):
            rows = chunks[self.given]
            self.given += 1
            yield {name: value[rows] for name, value in whole.items()}
        self.start = self.generator.get_state()
        self.given = 0

    def synthetic(self, n, seed):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(n, 8, generator=generator)
        return {"input": x, "target": x[:, :1] * 2 + 1}

    def state_dict(self):
        return {"start": self.start, "given": self.given}

    def load_state_dict(self, state):
        self.start, self.given = state["start"], state["given"]
"""
MODEL = """\
from torch import nn


class Model(nn.Module):
    def __init__(self, features=8, outputs=1):
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, input):
        return self.linear(input)
"""
LOSS = """\
def loss(prediction, target):
    return {"total": ((prediction - target) ** 2).mean()}
"""
TRAINING = """\
import torch
from torch import Tensor


class Training:
    def __init__(self, model, loss, backward=Tensor.backward, *, learning_rate=0.001):
        self.model, self.loss, self.backward = model, loss, backward
        self.optimiser = torch.optim.SGD(model.parameters(), lr=learning_rate)

    def update(self, batch):
        self.model.train()
        self.optimiser.zero_grad()
        terms = self.loss(self.model(batch["input"]), batch["target"])
        self.backward(terms["total"])
        self.optimiser.step()
        return {"loss": terms["total"].detach()}

    def state_dict(self):
        return {"optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state):
        self.optimiser.load_state_dict(state["optimiser"])
"""
EVALUATION = """\
import torch


@torch.no_grad()
def evaluate(model, data, split="test"):
    was = model.training
    model.eval()
    total, n = 0.0, 0
    for batch in data.batches(split):
        total += ((model(batch["input"]) - batch["target"]) ** 2).sum().item()
        n += batch["target"].numel()
    model.train(was)
    return {"error": total / n}
"""
PARTS = {"data": DATA, "model": MODEL, "loss": LOSS, "training": TRAINING, "evaluation": EVALUATION}

ANALYSIS = [
    *("--title", "A Line", "--core-algorithm", "a line is fitted", "--stripped-away", "nothing", "--compute", "none"),
    *(word for name in PARTS for word in (f"--{name}", f"the {name}, section 1")),
    *("--tricky", 'part="the intercept" hidden_in="section 1" guard=overfit_one_batch'),
    *("--number", 'metric=error value=0.0 where="Table 1, row line" direction=lower tolerance=0.1 reason="exact data"'),
]
#: Modules stay imported and file names cached, so each paper of a test run has a name of its own.
NUMBERS = itertools.count()


def new_paper(*flags: str, type: str = "other") -> str:
    """`new` in the current folder, asking nothing; the paper's name."""
    name = f"own_line_{next(NUMBERS)}"
    assert main(["new", name, "--type", type, "--yes", *flags]) == 0
    return name


def whole_paper(*parts: str) -> str:
    """A paper whose analysis is written, and of its components those named (all without a name)."""
    name = new_paper(*ANALYSIS)
    for part in parts or PARTS:
        Path(name, f"{part}.py").write_text(PARTS[part])
    return name


def config(name: str) -> Path:
    return Path("conf/paper") / f"{name}.yaml"


def replace(path: Path, old: str, new: str) -> int:
    """Edit a file; returns the line of the edit."""
    text = path.read_text()
    assert old in text, (path, old)
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1
