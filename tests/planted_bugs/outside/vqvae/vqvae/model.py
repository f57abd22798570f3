"""Encoder, a codebook of vectors, decoder; the gradient goes straight through the choice of the code."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Output(NamedTuple):
    reconstruction: Tensor
    encoded: Tensor
    quantised: Tensor


class VectorQuantiser(nn.Module):
    def __init__(self, codes: int, dim: int):
        super().__init__()
        self.codebook = nn.Parameter(torch.empty(codes, dim).uniform_(-1 / codes, 1 / codes))

    def indices(self, z: Tensor) -> Tensor:
        """z [batch, dim, h, w] → index of the nearest code [batch, h, w]."""
        flat = z.permute(0, 2, 3, 1)
        distance = flat.pow(2).sum(-1, keepdim=True) - 2 * flat @ self.codebook.T + self.codebook.pow(2).sum(-1)
        return distance.argmin(-1)

    def forward(self, z: Tensor) -> Tensor:
        return self.codebook[self.indices(z)].permute(0, 3, 1, 2)


class VQVAE(nn.Module):
    def __init__(self, width: int = 16, codes: int = 32, dim: int = 8):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(width, dim, 1),
        )
        self.quantiser = VectorQuantiser(codes, dim)
        self.decoder = nn.Sequential(
            nn.Conv2d(dim, width, 3, 1, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(width, 1, 3, 1, 1),
        )

    def forward(self, image: Tensor) -> Output:
        encoded = self.encoder(image)
        quantised = self.quantiser(encoded)
        straight = encoded + (quantised - encoded).detach()
        return Output(self.decoder(straight), encoded, quantised)
