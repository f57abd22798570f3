"""The networks of section 4.2: a convolution, three stages of n blocks on maps of full, half and quarter size, a mean.

layers  output size   filters
1       32 × 32       16          3 × 3 convolution
2n      32 × 32       16          n blocks of two 3 × 3 convolutions
2n      16 × 16       32          the first block of a stage halves the map (stride 2)
2n      8 × 8         64
1       1 × 1         10          mean over the map, fully connected
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHORTCUTS = ("A", "B", "none")
STAGES = 3


def convolution(entering: int, leaving: int, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    """A 3 × 3 convolution whose map keeps its size, or halves it with stride 2."""
    return nn.Conv2d(entering, leaving, kernel_size=3, stride=stride, padding=1, bias=bias)


def shortcut_a(x: Tensor, filters: int, stride: int) -> Tensor:
    """Option A: the identity, where the map shrinks every second pixel, where it widens zeros for the new channels.

    [b, k, r, c] → [b, filters, r / stride, c / stride], without a parameter (section 3.3). The paper does not say where
    the zeros go: here behind the old channels.
    """
    if stride == 1 and filters == x.size(1):
        return x  # padding by nothing would copy the map
    x = x[:, :, ::stride, ::stride]
    return F.pad(x, (0, 0, 0, 0, 0, filters - x.size(1)))


def global_average_pool(x: Tensor) -> Tensor:
    """[b, k, r, c] → [b, k]: the mean of each map, which ends the network (section 3.3)."""
    return x.mean(dim=(2, 3))


def residual_block(x: Tensor, sublayers: Callable[[Tensor], Tensor], shortcut: Callable[[Tensor], Tensor]) -> Tensor:
    """y = relu(F(x) + shortcut(x)): the sum comes before the last activation (equation 1 and figure 2)."""
    return (sublayers(x) + shortcut(x)).relu()


class Block(nn.Module):
    """Two convolutions and the shortcut around them.

    Args:
        entering, filters: channels of the map that comes in, and of the map that goes out.
        stride: 2 halves the map.
        shortcut: "A", "B" (a 1 × 1 projection, only where the shape changes) or "none", a plain network.
        norm: whether batch normalisation follows each convolution; else the convolutions get biases instead.
    """

    def __init__(self, entering: int, filters: int, stride: int, shortcut: str, norm: bool) -> None:
        super().__init__()
        self.conv1 = convolution(entering, filters, stride, bias=not norm)
        self.norm1 = nn.BatchNorm2d(filters) if norm else nn.Identity()
        self.conv2 = convolution(filters, filters, bias=not norm)
        self.norm2 = nn.BatchNorm2d(filters) if norm else nn.Identity()
        self.filters, self.stride, self.plain = filters, stride, shortcut == "none"
        self.projection: nn.Module | None = None
        if shortcut == "B" and (stride, entering) != (1, filters):
            self.projection = nn.Sequential(
                nn.Conv2d(entering, filters, kernel_size=1, stride=stride, bias=not norm),
                nn.BatchNorm2d(filters) if norm else nn.Identity(),
            )

    def sublayers(self, x: Tensor) -> Tensor:
        """F(x): [b, k, r, c] → [b, filters, r / stride, c / stride]; normalisation before activation (section 3.4)."""
        h = self.norm1(self.conv1(x)).relu()
        f: Tensor = self.norm2(self.conv2(h))
        return f

    def shortcut(self, x: Tensor) -> Tensor:
        """x in the shape of F(x)."""
        if self.projection is not None:
            projected: Tensor = self.projection(x)
            return projected
        return shortcut_a(x, self.filters, self.stride)

    def forward(self, x: Tensor) -> Tensor:
        """[b, k, r, c] → [b, filters, r / stride, c / stride]."""
        if self.plain:
            return self.sublayers(x).relu()
        return residual_block(x, self.sublayers, self.shortcut)


class ResNet(nn.Module):
    """6n + 2 weighted layers.

    Args:
        layers: 6n + 2, such as 20, 32, 44, 56, 110 or 1202.
        filters: channels of the first stage; the next two have twice and four times as many.
        colours: channels of an image.
        classes: what is told apart.
        shortcut: "A" as in section 4.2, "B" projections where the shape changes, "none" a plain network.
        norm: whether batch normalisation follows each convolution.
        fan: of He's initialisation, "fan_in" or "fan_out" (arXiv:1502.01852, equations 10 and 14).
        channels_last: keep maps in memory with channels last, which convolutions on GPUs prefer; same function.

    Raises:
        ValueError: layers is not 6n + 2, or an unknown shortcut.
    """

    def __init__(
        self,
        layers: int = 20,
        filters: int = 16,
        colours: int = 3,
        classes: int = 10,
        shortcut: str = "A",
        norm: bool = True,
        fan: str = "fan_in",
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        n, left = divmod(layers - 2, 2 * STAGES)
        if n < 1 or left:
            near = 2 * STAGES * max(1, round((layers - 2) / (2 * STAGES))) + 2
            raise ValueError(f"model.layers is {layers}, needed 6n + 2: 8, 14, 20, …; the nearest is {near}")
        if shortcut not in SHORTCUTS:
            raise ValueError(f"model.shortcut is {shortcut!r}, needed one of {', '.join(SHORTCUTS)}")
        self.convolution = convolution(colours, filters, bias=not norm)
        self.norm = nn.BatchNorm2d(filters) if norm else nn.Identity()
        stages = []
        entering = filters
        for stage in range(STAGES):
            leaving = filters * 2**stage
            blocks = []
            for place in range(n):
                stride = 2 if stage > 0 and place == 0 else 1
                blocks.append(Block(entering, leaving, stride, shortcut, norm))
                entering = leaving
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.output = nn.Linear(entering, classes)
        self.channels_last = channels_last
        self.initialise(fan)
        if channels_last:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def initialise(self, fan: str) -> None:
        """Weights normal with variance 2 / fan (He et al., arXiv:1502.01852, which section 3.4 cites), biases zero.

        Batch normalisation starts as the identity: scale 1, shift 0, which is what PyTorch gives it.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, mode=fan, nonlinearity="relu")  # type: ignore[arg-type]
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        """image [b, colours, r, c] → logits [b, classes]."""
        if self.channels_last:
            image = image.contiguous(memory_format=torch.channels_last)
        h = self.norm(self.convolution(image)).relu()  # [b, filters, r, c]
        h = self.stages(h)  # [b, 4 · filters, r / 4, c / 4]
        logits: Tensor = self.output(global_average_pool(h))
        return logits
