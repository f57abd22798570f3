"""A paper of a few lines, small enough to be trained thousands of times: a noisy line fitted by a dropout MLP."""

from __future__ import annotations

import math
import os
import random
import signal
from pathlib import Path

import numpy as np
import torch
from torch import nn

from repro.contract.paper import Paper


class Data:
    """Shuffled passes over 12 examples, in batches of 4, noise from all three global generators."""

    def __init__(self, seed=0, kill_at=None, empty=False):
        self.generator = torch.Generator().manual_seed(seed)
        self.order = torch.randperm(12, generator=self.generator)
        self.position = 0
        self.empty = empty

    def batches(self, split):
        x = torch.linspace(-1, 1, 12)[:, None]
        if split != "train":
            yield {"x": x, "y": x * 2}
            return
        if self.empty:
            return
        while self.position < 12:
            chosen = self.order[self.position : self.position + 4]
            self.position += 4
            noise = 0.01 * (random.random() + np.random.rand() + torch.rand(1).item())
            yield {"x": x[chosen], "y": x[chosen] * 2 + noise}
        self.order = torch.randperm(12, generator=self.generator)
        self.position = 0

    def state_dict(self):
        return {
            "generator": self.generator.get_state(),
            "order": self.order,
            "position": np.int64(self.position),
        }

    def load_state_dict(self, state):
        self.generator.set_state(state["generator"])
        self.order, self.position = state["order"], int(state["position"])


class Model(nn.Module):
    def __init__(self, width=8, dropout=0.1):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Dropout(dropout), nn.Linear(width, 1))

    def forward(self, x):
        return self.layers(x)


def loss(prediction, y):
    return {"total": ((prediction - y) ** 2).mean(), "shift": (prediction - y).mean()}


class Training:
    def __init__(
        self, model, loss, backward=torch.Tensor.backward, rate=0.01, nan_at=None, kill_at=None, signal_at=None,
        raise_at=None, returns=None,
    ):  # fmt: skip
        self.model, self.loss, self.backward = model, loss, backward
        self.optimiser = torch.optim.Adam(model.parameters(), lr=rate)
        self.updates = 0
        self.nan_at, self.kill_at, self.signal_at, self.raise_at = nan_at, kill_at, signal_at, raise_at
        self.returns = returns

    def update(self, batch):
        self.model.train()
        self.updates += 1
        if self.updates == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.updates == self.signal_at:
            os.kill(os.getpid(), signal.SIGTERM)
        if self.updates == self.raise_at:
            raise ValueError("a bug of the person's")
        terms = self.loss(self.model(batch["x"]), batch["y"])
        if self.updates == self.nan_at:
            terms = {name: term * math.nan for name, term in terms.items()}
        self.optimiser.zero_grad()
        self.backward(terms["total"])
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        return self.returns if self.returns is not None else terms

    def state_dict(self):
        return {"optimiser": self.optimiser.state_dict(), "updates": self.updates}

    def load_state_dict(self, state):
        self.optimiser.load_state_dict(state["optimiser"])
        self.updates = state["updates"]


def evaluate(model, data, split="test", trajectory=None, checkpoints=None, device=None, interrupt=None):
    """Leaves the modes, and draws from every random generator: the loop must undo both."""
    model.eval()
    random.random(), np.random.rand(), torch.rand(3)
    if interrupt not in (None, "no pictures") and not Path(interrupt).exists():
        Path(interrupt).touch()
        os.kill(os.getpid(), signal.SIGINT)
    with torch.no_grad():
        (batch,) = data.batches(split)
        error = ((model(batch["x"].to(device)) - batch["y"].to(device)) ** 2).mean()
    return {"error": error.item(), "rows": len(trajectory), "kept": len(checkpoints)}


def signatures(**config):
    return {"error": "mean of squares"}


def pictures(model, data, device, interrupt=None):
    """As disturbing as `evaluate`."""
    model.eval()
    random.random(), np.random.rand(), torch.rand(3)
    if interrupt == "no pictures":
        raise ValueError("no camera here")
    (batch,) = data.batches("test")
    return {"fit": {"lines": model(batch["x"].to(device))[:, 0], "caption": "what the model says"}}


def paper(data=None, model=None, training=None, evaluation=None):
    """The fake paper, with keyword arguments for its components."""
    here = "tests.training.fakes"
    batch = {"axes": ["batch", "one"], "dtype": "float32"}
    return Paper.from_config(
        {
            "paper": {"name": "fake", "type": "other"},
            "tensors": {"x": batch, "y": batch, "prediction": {**batch, "output_of": "model"}},
            "data": {"_target_": f"{here}.Data", **(data or {})},
            "model": {"_target_": f"{here}.Model", **(model or {})},
            "loss": {"_target_": f"{here}.loss"},
            "training": {"_target_": f"{here}.Training", **(training or {})},
            "evaluation": {"_target_": f"{here}.evaluate", **(evaluation or {})},
        }
    )
