"""A paper of a person's own, written into a folder: a line fitted by gradient descent, one file a component."""

from __future__ import annotations

from pathlib import Path

FILES = {
    "line/__init__.py": "",
    "line/data.py": '''
import torch

class Data:
    """y = 2 x + 1 + noise, batches of 16 drawn at random."""
    def __init__(self, seed=0):
        self.generator = torch.Generator().manual_seed(seed)
    def batches(self, split):
        if split != "train":
            x = torch.linspace(-1, 1, 8)[:, None]
            yield {"x": x, "y": 2 * x + 1}
            return
        for _ in range(4):
            yield self.synthetic(16, None)
    def synthetic(self, n, seed):
        generator = self.generator if seed is None else torch.Generator().manual_seed(seed)
        x = torch.rand(n, 1, generator=generator) * 2 - 1
        return {"x": x, "y": 2 * x + 1 + 0.01 * torch.randn(n, 1, generator=generator)}
    def state_dict(self):
        return {"generator": self.generator.get_state()}
    def load_state_dict(self, state):
        self.generator.set_state(state["generator"])
''',
    "line/model.py": """
from torch import nn

class Line(nn.Module):
    def __init__(self, bias=True, mistake=False):
        super().__init__()
        if mistake:
            raise RuntimeError("a bug of the person's")
        self.linear = nn.Linear(1, 1, bias=bias)
        nn.init.zeros_(self.linear.weight)
        if bias:
            nn.init.zeros_(self.linear.bias)
    def forward(self, x):
        return self.linear(x)
""",
    "line/loss.py": '''
def squared(prediction, y):
    """total: mean squared error"""
    return {"total": ((prediction - y) ** 2).mean()}
''',
    "line/training.py": '''
import time
import torch

class Descent:
    """Plain gradient descent."""
    def __init__(self, model, loss, backward=torch.Tensor.backward, rate=0.1, pause=0.0, momentum=0.0):
        self.model, self.loss, self.backward, self.pause = model, loss, backward, pause
        self.optimiser = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)
    def update(self, batch):
        self.model.train()
        self.optimiser.zero_grad()
        terms = self.loss(self.model(batch["x"]), batch["y"])
        self.backward(terms["total"])
        self.optimiser.step()
        time.sleep(self.pause)
        return {"total": terms["total"].detach()}
    def state_dict(self):
        return self.optimiser.state_dict()
    def load_state_dict(self, state):
        self.optimiser.load_state_dict(state)
''',
    "line/evaluation.py": """
import torch

def evaluate(model, data, split="test"):
    with torch.no_grad():
        (batch,) = data.batches(split)
        return {"error": ((model(batch["x"]) - batch["y"]) ** 2).mean().item()}
""",
    "conf/paper/line.yaml": """# @package _global_
paper: {name: line, title: A line, arxiv: null, reference: null}
tensors:
  x: {axes: [batch, one], dtype: float32, meaning: place}
  y: {axes: [batch, one], dtype: float32, meaning: height}
  prediction: {axes: [batch, one], dtype: float32, output_of: model, meaning: height of the line}
data: {_target_: line.data.Data}
model: {_target_: line.model.Line, bias: true, mistake: false}
loss: {_target_: line.loss.squared}
training: {_target_: line.training.Descent, rate: 0.1, pause: 0.0, momentum: 0.0}
evaluation: {_target_: line.evaluation.evaluate}
ablations:
  no_bias: {changes: {model.bias: false}, says: the line must pass the origin}
  no_model: {changes: {model.mistake: true}, says: cannot be built}
gauntlet:
  learning_rate: {from: 1.0e-4, to: 1.0e+2, trials: 4, updates: 30, parameter: training.rate}
  ablations: {names: [no_bias], seeds: 3, updates: 40}
reproduction: {checkpoint_every: 10, log_every: 1}
""",
    "conf/sweep/bias.yaml": """
name: bias
objective: test/error
parameters: {model.bias: [true, false]}
updates: 40
""",
}


def write(folder: Path) -> None:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
