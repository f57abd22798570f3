"""The four models of Table 1: logistic regression, MLP, CNN and GRU.

The paper names them in one sentence and prints no size. Sizes, strides and the residual sum are those of the authors'
notebooks/models.py (github.com/greydanus/mnist1d at 7878d960); initial weights are PyTorch's defaults there and here.
"""

from __future__ import annotations

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


class GRU(nn.Module):
    """A bidirectional GRU of 6 units reads the points; a linear layer sees its outputs at all points: 5,134 parameters.

    The recurrent layer is PyTorch's own: a standard layer, not what this paper is about.
    """

    def __init__(self, length: int = 40, hidden: int = 6, classes: int = 10) -> None:
        super().__init__()
        self.gru = nn.GRU(1, hidden, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * hidden * length, classes)

    def forward(self, signal: Tensor) -> Tensor:
        """signal [b, t] → logits [b, classes]."""
        h, _ = self.gru(signal[..., None])  # [b, t, 2 * hidden]: forwards, then backwards
        logits: Tensor = self.output(h.flatten(1))
        return logits
