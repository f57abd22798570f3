"""The four models of Table 1: logistic regression, MLP, CNN and GRU.

The paper names them in one sentence and prints no size. Sizes, strides and the residual sum are those of the authors'
notebooks/models.py (github.com/greydanus/mnist1d at 7878d960); initial weights are PyTorch's defaults there and here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Logistic(nn.Module):
    """Multinomial logistic regression: length · classes + classes = 410 parameters."""

    def __init__(self, length: int = 40, classes: int = 10) -> None:
        super().__init__()
        self.linear = nn.Linear(length, classes)

    def forward(self, signal: Tensor) -> Tensor:
        """signal [b, t] → logits [b, classes]."""
        logits: Tensor = self.linear(signal)
        return logits


class Residual(nn.Module):
    """h + relu(W h + b): the second layer of the MLP adds to its input instead of replacing it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, h: Tensor) -> Tensor:
        """[b, width] → [b, width]."""
        added: Tensor = self.linear(h).relu()
        return h + added


class Plain(nn.Module):
    """relu(W h + b): the same layer without the sum (an ablation)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, h: Tensor) -> Tensor:
        """[b, width] → [b, width]."""
        replaced: Tensor = self.linear(h).relu()
        return replaced


class MLP(nn.Module):
    """Fully connected, two hidden layers of 100 units: 15,210 parameters.

    Args:
        residual: whether the second hidden layer is added to the first, as in the authors' code.
    """

    def __init__(self, length: int = 40, hidden: int = 100, classes: int = 10, residual: bool = True) -> None:
        super().__init__()
        self.first = nn.Linear(length, hidden)
        self.second = Residual(hidden) if residual else Plain(hidden)
        self.output = nn.Linear(hidden, classes)

    def forward(self, signal: Tensor) -> Tensor:
        """signal [b, t] → logits [b, classes]."""
        h = self.first(signal).relu()  # [b, hidden]
        h = self.second(h)  # [b, hidden]
        logits: Tensor = self.output(h)
        return logits


class CNN(nn.Module):
    """Three convolutions of stride 2, 25 channels each, then a linear layer on all that is left: 5,210 parameters.

    40 points become 19, 10 and 5: each layer gives floor((t + 2 · padding - kernel) / 2) + 1 of t.
    """

    def __init__(self, length: int = 40, channels: int = 25, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, channels, kernel_size=5, stride=2, padding=1)
        self.conv2 = nn.Conv1d(channels, channels, kernel_size=3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(channels, channels, kernel_size=3, stride=2, padding=1)
        left = length
        for kernel in (5, 3, 3):
            left = (left + 2 - kernel) // 2 + 1
        self.output = nn.Linear(channels * left, classes)

    def forward(self, signal: Tensor) -> Tensor:
        """signal [b, t] → logits [b, classes]."""
        h = self.conv1(signal[:, None]).relu()  # [b, channels, 19]
        h = self.conv2(h).relu()  # [b, channels, 10]
        h = self.conv3(h).relu()  # [b, channels, 5]
        logits: Tensor = self.output(h.flatten(1))
        return logits


class BidirectionalGRU(nn.Module):
    """A gated recurrent unit (Cho et al. 2014) in the form of `torch.nn.GRU`, reading a signal in both directions.

        r = sigmoid(W_r x + b_r + U_r h + c_r)              how much of the state the candidate sees
        z = sigmoid(W_z x + b_z + U_z h + c_z)              how much of the state is kept
        n = tanh(W_n x + b_n + r * (U_n h + c_n))           the candidate
        h = (1 - z) * n + z * h

    Both directions go through one loop as a batch of two, which halves its cost; the result is that of `torch.nn.GRU`.
    The last axis of a weight or bias holds r, z and n side by side.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.input_weight = nn.Parameter(torch.empty(2, 1, 3 * hidden))  # W, for one number a point
        self.state_weight = nn.Parameter(torch.empty(2, hidden, 3 * hidden))  # U
        self.input_bias = nn.Parameter(torch.empty(2, 1, 3 * hidden))  # b
        self.state_bias = nn.Parameter(torch.empty(2, 1, 3 * hidden))  # c
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)

    def forward(self, signal: Tensor) -> Tensor:
        """signal [b, t] → [b, t, 2 · hidden]: the states while reading forwards, and backwards."""
        both = torch.stack([signal, signal.flip(1)])  # [2, b, t]
        x = both.transpose(1, 2)[..., None]  # [2, t, b, 1]
        from_input = x * self.input_weight[:, None] + self.input_bias[:, None]  # [2, t, b, 3 · hidden]
        gates = 2 * self.hidden  # r and z; their two biases are added once, outside of the loop
        rz_inputs = (from_input[..., :gates] + self.state_bias[:, None, :, :gates]).unbind(1)
        n_inputs = from_input[..., gates:].unbind(1)
        rz_weight = self.state_weight[..., :gates].contiguous()
        n_weight = self.state_weight[..., gates:].contiguous()
        n_bias = self.state_bias[..., gates:]
        h = signal.new_zeros(2, len(signal), self.hidden)  # [2, b, hidden]
        states = []
        for rz_input, n_input in zip(rz_inputs, n_inputs, strict=True):
            r, z = torch.baddbmm(rz_input, h, rz_weight).sigmoid().chunk(2, dim=-1)
            n = torch.addcmul(n_input, r, torch.baddbmm(n_bias, h, n_weight)).tanh()
            h = torch.lerp(n, h, z)  # n + z · (h - n)
            states.append(h)
        forwards, backwards = torch.stack(states, dim=2)  # [b, t, hidden] each
        return torch.cat([forwards, backwards.flip(1)], dim=-1)


class GRU(nn.Module):
    """A bidirectional GRU of 6 units, and a linear layer that sees its states at all points: 5,134 parameters."""

    def __init__(self, length: int = 40, hidden: int = 6, classes: int = 10) -> None:
        super().__init__()
        self.gru = BidirectionalGRU(hidden)
        self.output = nn.Linear(2 * hidden * length, classes)

    def forward(self, signal: Tensor) -> Tensor:
        """signal [b, t] → logits [b, classes]."""
        h = self.gru(signal)  # [b, t, 2 * hidden]
        logits: Tensor = self.output(h.flatten(1))
        return logits
