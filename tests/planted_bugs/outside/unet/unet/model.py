"""Down twice, up twice, with skips."""

import torch
import torch.nn.functional as F
from torch import nn


def double_conv(i, o):
    return nn.Sequential(
        nn.Conv2d(i, o, 3, padding=1, bias=False),
        nn.BatchNorm2d(o),
        nn.ReLU(inplace=True),
        nn.Conv2d(o, o, 3, padding=1, bias=False),
        nn.BatchNorm2d(o),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    def __init__(self, channels=1, classes=3, width=8):
        super().__init__()
        self.inc = double_conv(channels, width)
        self.down1 = double_conv(width, 2 * width)
        self.down2 = double_conv(2 * width, 4 * width)
        self.up1 = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.dec1 = double_conv(4 * width, 2 * width)
        self.up2 = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.dec2 = double_conv(2 * width, width)
        self.outc = nn.Conv2d(width, classes, 1)

    def forward(self, image):
        a = self.inc(image)
        b = self.down1(F.max_pool2d(a, 2))
        c = self.down2(F.max_pool2d(b, 2))
        x = self.dec1(torch.cat([b, self.up1(c)], dim=1))
        x = self.dec2(torch.cat([a, self.up2(x)], dim=1))
        return self.outc(x)
