"""conv - bn - relu, two residual blocks, global average pooling, dropout, linear (He et al. 2015 in small)."""

from __future__ import annotations

import torch.nn as nn
import torch.nn.functional as F


class BasicBlock(nn.Module):
    def __init__(self, planes, new_planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(planes, new_planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(new_planes)
        self.conv2 = nn.Conv2d(new_planes, new_planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(new_planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or planes != new_planes:
            self.shortcut = nn.Sequential(
                nn.Conv2d(planes, new_planes, 1, stride, bias=False), nn.BatchNorm2d(new_planes)
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out = out + self.shortcut(x)
        return F.relu(out)


class Net(nn.Module):
    def __init__(self, channels=3, width=8, classes=4, dropout=0.1):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.block1 = BasicBlock(width, width, 1)
        self.block2 = BasicBlock(width, 2 * width, 2)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2 * width, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image):
        x = F.relu(self.bn(self.conv(image)))
        x = self.block2(self.block1(x))
        x = F.avg_pool2d(x, x.size(-1)).flatten(1)
        return self.fc(self.dropout(x))
