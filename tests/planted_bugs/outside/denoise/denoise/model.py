"""A small convolutional net that predicts the noise (Ho et al. 2020), and its moving average."""

import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


def cosine_betas(T, s=0.008):
    x = torch.linspace(0, T, T + 1, dtype=torch.float64)
    f = torch.cos((x / T + s) / (1 + s) * math.pi / 2) ** 2
    betas = 1 - f[1:] / f[:-1]
    return betas.clamp(max=0.999)


def timestep_embedding(t, dim):
    half = dim // 2
    freqs = torch.exp(-math.log(10000) * torch.arange(half, device=t.device) / half)
    args = t[:, None].float() * freqs[None]
    return torch.cat([torch.cos(args), torch.sin(args)], dim=-1)


class ResBlock(nn.Module):
    def __init__(self, channels, emb):
        super().__init__()
        self.norm1 = nn.GroupNorm(4, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.emb = nn.Linear(emb, channels)
        self.norm2 = nn.GroupNorm(4, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x, e):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.emb(F.silu(e))[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return x + h


class Net(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.channels = channels
        self.embed = nn.Sequential(nn.Linear(channels, 4 * channels), nn.SiLU(), nn.Linear(4 * channels, 4 * channels))
        self.inp = nn.Conv2d(1, channels, 3, padding=1)
        self.down = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.block1 = ResBlock(channels, 4 * channels)
        self.block2 = ResBlock(channels, 4 * channels)
        self.up = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.out = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, x, t):
        e = self.embed(timestep_embedding(t, self.channels).to(x.dtype))
        h0 = self.inp(x)
        h = self.block1(self.down(h0), e)
        h = F.interpolate(h, scale_factor=2, mode="nearest")
        h = self.up(torch.cat([h, h0], dim=1))
        h = self.block2(h, e)
        return self.out(F.silu(h))


class Diffusion(nn.Module):
    def __init__(self, channels=12, timesteps=100):
        super().__init__()
        self.T = timesteps
        self.net = Net(channels)
        self.ema = copy.deepcopy(self.net).requires_grad_(False)
        betas = cosine_betas(timesteps)
        alpha_bar = torch.cumprod(1 - betas, dim=0)
        self.register_buffer("betas", betas.float())
        self.register_buffer("alpha_bar", alpha_bar.float())

    def q_sample(self, x0, t, noise):
        a = self.alpha_bar[t].view(-1, 1, 1, 1)
        return a.sqrt() * x0 + (1 - a).sqrt() * noise

    def forward(self, image, step, noise):
        return self.net(self.q_sample(image, step, noise), step)

    @torch.no_grad()
    def update_ema(self, decay):
        for e, p in zip(self.ema.parameters(), self.net.parameters(), strict=True):
            e.mul_(decay).add_(p, alpha=1 - decay)

    @torch.no_grad()
    def sample(self, n, generator):
        x = torch.randn(n, 1, 8, 8, generator=generator)
        for t in reversed(range(self.T)):
            tt = torch.full((n,), t)
            eps = self.ema(x, tt)
            beta, a = self.betas[t], self.alpha_bar[t]
            mean = (x - beta / (1 - a).sqrt() * eps) / (1 - beta).sqrt()
            if t > 0:
                prev = self.alpha_bar[t - 1]
                var = beta * (1 - prev) / (1 - a)
                x = mean + var.sqrt() * torch.randn(x.shape, generator=generator)
            else:
                x = mean
        return x
