"""Normalised temperature-scaled cross entropy (Chen et al. 2020, equation 1)."""

import torch
import torch.nn.functional as F


class NTXent:
    def __init__(self, temperature=0.5):
        self.temperature = temperature

    def __call__(self, z1, z2):
        n = z1.size(0)
        z = F.normalize(torch.cat([z1, z2]), dim=1)
        sim = z @ z.T / self.temperature
        sim.fill_diagonal_(float("-inf"))
        targets = torch.cat([torch.arange(n, 2 * n), torch.arange(n)]).to(z.device)
        return {"total": F.cross_entropy(sim, targets)}
