"""Papers of a few lines, outside the package: a regression, a recurrent language model, two networks that play."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.contract.bench import Bench
from repro.contract.paper import Paper

HERE = __name__


class Points:
    """Noisy lines: x [n, 3], y [n]."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        made = torch.Generator().manual_seed(77)
        self.x = torch.randn(60, 3, generator=made)
        self.y = self.x.sum(1) + 0.1 * torch.randn(60, generator=made)

    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        rows = {"train": torch.arange(40), "validation": torch.arange(40, 50), "test": torch.arange(50, 60)}[split]
        if split == "train":
            rows = rows[torch.randperm(40, generator=self.generator)]
        for part in rows.split(8):
            yield {"x": self.x[part], "y": self.y[part]}

    def synthetic(self, n: int, seed: int) -> dict[str, Tensor]:
        made = torch.Generator().manual_seed(seed)
        x = torch.randn(n, 3, generator=made)
        return {"x": x, "y": x.sum(1)}


class Mlp(nn.Module):
    def __init__(self, hidden: int = 8, column: bool = False) -> None:
        super().__init__()
        self.inner = nn.Linear(3, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.outer = nn.Linear(hidden, 1)
        self.column = column

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.outer(F.relu(self.norm(self.inner(x))))
        return out if self.column else out.squeeze(-1)


def square(prediction: Tensor, y: Tensor) -> dict[str, Tensor]:
    return {"total": F.mse_loss(prediction, y)}


def summed(prediction: Tensor, y: Tensor) -> dict[str, Tensor]:
    return {"total": F.mse_loss(prediction, y, reduction="sum")}


class Sgd:
    """One step of gradient descent; `divide` makes up for a summed loss."""

    def __init__(
        self, model: nn.Module, loss: Any, backward: Any = Tensor.backward, lr: float = 0.1, divide: bool = False
    ) -> None:
        self.model, self.loss, self.backward, self.lr, self.divide = model, loss, backward, lr, divide
        self.optimiser = torch.optim.SGD(model.parameters(), lr=lr)

    def update(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self.model.train()
        if self.divide:
            self.optimiser.param_groups[0]["lr"] = self.lr / len(batch["x"])
        self.optimiser.zero_grad()
        total = self.loss(self.model(batch["x"]), batch["y"])["total"]
        self.backward(total)
        self.optimiser.step()
        return {"loss": total.detach()}

    def state_dict(self) -> dict[str, Any]:
        return self.optimiser.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimiser.load_state_dict(state)


REGRESSION: dict[str, Any] = {
    "paper": {"name": "regression"},
    "data": {"_target_": f"{HERE}.Points"},
    "model": {"_target_": f"{HERE}.Mlp"},
    "loss": {"_target_": f"{HERE}.square"},
    "training": {"_target_": f"{HERE}.Sgd"},
    "tensors": {
        "x": {"axes": ["batch", 3], "dtype": "float32"},
        "y": {"axes": ["batch"], "dtype": "float32"},
        "prediction": {"axes": ["batch"], "dtype": "float32", "output_of": "model"},
    },
    "stages": {"inner": ["batch", "hidden"], "outer": ["batch", 1]},
    "properties": [
        {
            "property": "parameter_count",
            "equals": "3 * hidden + hidden + 2 * hidden + hidden + 1",
            "names": {"hidden": 8},
        }
    ],
    "initialisation": {
        "*.weight": {"distribution": "default"},
        "norm.*": {"distribution": "ones"},
        "norm.bias": {"distribution": "zeros"},
    },
}


class Windows:
    """Windows of 6 of one endless text of 7 tokens; the target is the next token."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.text = torch.randint(0, 7, (400,), generator=torch.Generator().manual_seed(5))

    def at(self, starts: Tensor) -> dict[str, Tensor]:
        places = starts[:, None] + torch.arange(7)
        rows = self.text[places]
        return {"tokens": rows[:, :-1], "next": rows[:, 1:]}

    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        starts = {
            "train": torch.arange(0, 250, 6),
            "validation": torch.arange(258, 318, 6),
            "test": torch.arange(330, 390, 6),
        }[split]
        if split == "train":
            starts = starts[torch.randperm(len(starts), generator=self.generator)]
        for part in starts.split(10):
            yield self.at(part)

    def synthetic(self, n: int, seed: int) -> dict[str, Tensor]:
        rows = torch.randint(0, 7, (n, 7), generator=torch.Generator().manual_seed(seed))
        return {"tokens": rows[:, :-1], "next": rows[:, 1:]}


class Recurrent(nn.Module):
    def __init__(self, width: int = 9, both: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, width)
        self.rnn = nn.GRU(width, width, batch_first=True, bidirectional=both)
        self.output = nn.Linear(width * (1 + both), 7)

    def forward(self, tokens: Tensor) -> Tensor:
        result: Tensor = self.output(self.rnn(self.embedding(tokens))[0])
        return result


def next_token(logits: Tensor, next: Tensor) -> dict[str, Tensor]:
    return {"total": F.cross_entropy(logits.flatten(0, 1), next.flatten())}


LANGUAGE: dict[str, Any] = {
    "paper": {"name": "language"},
    "data": {"_target_": f"{HERE}.Windows"},
    "model": {"_target_": f"{HERE}.Recurrent"},
    "loss": {"_target_": f"{HERE}.next_token"},
    "tensors": {
        "tokens": {"axes": ["batch", "length"], "dtype": "int64", "indexes": "vocabulary"},
        "next": {"axes": ["batch", "length"], "dtype": "int64", "indexes": "vocabulary"},
        "logits": {"axes": ["batch", "length", "vocabulary"], "dtype": "float32", "output_of": "model"},
    },
    "properties": [
        {"property": "causal", "output": "logits", "axis": "length", "input": "tokens"},
        {"property": "shifted", "input": "tokens", "output": "next"},
        {"property": "position_sensitive", "input": "tokens", "output": "logits"},
        {"property": "loss_value", "logits": "logits", "targets": "next"},
    ],
}


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, noise: Tensor) -> Tensor:
        result: Tensor = self.layers(noise)
        return result


class Critic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x).squeeze(-1)
        return result


class Noisy(Points):
    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        for batch in super().batches(split):
            yield {
                "x": batch["x"],
                "noise": torch.randn(len(batch["x"]), 2, generator=torch.Generator().manual_seed(1)),
            }

    def synthetic(self, n: int, seed: int) -> dict[str, Tensor]:
        made = torch.Generator().manual_seed(seed)
        return {"x": torch.randn(n, 3, generator=made), "noise": torch.randn(n, 2, generator=made)}


def fool(score: Tensor) -> dict[str, Tensor]:
    return {"total": -score.mean()}


TWO: dict[str, Any] = {
    "paper": {"name": "two"},
    "data": {"_target_": f"{HERE}.Noisy"},
    "model": {"generator": {"_target_": f"{HERE}.Generator"}, "critic": {"_target_": f"{HERE}.Critic"}},
    "loss": {"generator": {"_target_": f"{HERE}.fool"}, "critic": {"_target_": f"{HERE}.fool"}},
    "tensors": {
        "x": {"axes": ["batch", 3], "dtype": "float32"},
        "noise": {"axes": ["batch", 2], "dtype": "float32", "random": "normal"},
        "fake": {"axes": ["batch", 3], "dtype": "float32", "output_of": "generator"},
        "score": {"axes": ["batch"], "dtype": "float32", "output_of": "critic"},
    },
    "stages": {"generator.layers": ["batch", 3], "critic.layer": ["batch", 1]},
}


def bench_of(settings: dict[str, Any], **changes: Any) -> Bench:
    """A bench of a small paper with dotted keys changed (`model__hidden=4` for model.hidden)."""
    config = copy.deepcopy(settings)
    for key, value in changes.items():
        node = config
        *path, last = key.split("__")
        for part in path:
            node = node[part]
        node[last] = value
    return Bench(Paper.from_config(config))
