"""Pieces of generative models: correct lines, listed bugs (`G03`) and correct variants (`C19`)."""

# ruff: noqa: N802 (functions have the names of bugs, and the signatures of their pieces)

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal


def kl(mu: Tensor, lv: Tensor) -> Tensor:
    return (-0.5 * (1 + lv - mu**2 - lv.exp())).sum(-1)


def G01(mu: Tensor, lv: Tensor) -> Tensor:
    return 0.5 * (1 + lv - mu**2 - lv.exp()).sum(-1)


def kl_mean(mu: Tensor, lv: Tensor) -> Tensor:
    return (-0.5 * (1 + lv - mu**2 - lv.exp())).sum(-1).mean()


def G02(mu: Tensor, lv: Tensor) -> Tensor:
    return (-0.5 * (1 + lv - mu**2 - lv.exp())).mean()


def elbo(logits: Tensor, x: Tensor, mu: Tensor, lv: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x) + kl(mu, lv).mean()


def G03(logits: Tensor, x: Tensor, mu: Tensor, lv: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, x, reduction="mean") + kl(mu, lv).mean()


def C19(logits: Tensor, x: Tensor, mu: Tensor, lv: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, x, reduction="sum") + kl(mu, lv).sum()


def likelihood(logits: Tensor, x: Tensor) -> Tensor:
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def G08(logits: Tensor, x: Tensor) -> Tensor:
    return likelihood(torch.sigmoid(logits), x)


def sample(mu: Tensor, lv: Tensor) -> Tensor:
    return mu + (0.5 * lv).exp() * torch.randn_like(mu)


def sample_by_distribution(mu: Tensor, lv: Tensor) -> Tensor:
    return Normal(mu, (0.5 * lv).exp()).rsample()


def G04(mu: Tensor, lv: Tensor) -> Tensor:
    return mu + lv.exp() * torch.randn_like(mu)


def G05(mu: Tensor, lv: Tensor) -> Tensor:
    return Normal(mu, (0.5 * lv).exp()).sample()


def G07(mu: Tensor, lv: Tensor) -> Tensor:
    return mu + (0.5 * lv).exp() * torch.rand_like(mu)


def warm_up(update: int, warm_steps: int) -> float:
    return min(1.0, update / warm_steps)


def warm_up_from_zero(update: int, warm_steps: int) -> float:
    return min(1.0, (update - 1) / warm_steps)


def G13(update: int, warm_steps: int) -> float:
    epoch = update // 100
    return min(1.0, epoch / warm_steps)


def bound(lw: Tensor) -> Tensor:
    return torch.logsumexp(lw, 1) - math.log(lw.shape[1])


def G15(lw: Tensor) -> Tensor:
    return lw.mean(1)


def G16(lw: Tensor) -> Tensor:
    return torch.logsumexp(lw, 1)


# --- diffusion
def alpha_bar(betas: Tensor) -> Tensor:
    return torch.cumprod(1 - betas, 0)


def G20(betas: Tensor) -> Tensor:
    return torch.cumprod(betas, 0)


def posterior_variance(betas: Tensor) -> Tensor:
    ab = alpha_bar(betas)
    prev = F.pad(ab[:-1], (1, 0), value=1.0)
    return betas * (1 - prev) / (1 - ab)


def G21(betas: Tensor) -> Tensor:
    ab = alpha_bar(betas)
    prev = F.pad(ab[1:], (0, 1), value=1.0)
    return betas * (1 - prev) / (1 - ab)


def posterior_mean(x0: Tensor, xt: Tensor, t: Tensor, betas: Tensor) -> Tensor:
    ab = alpha_bar(betas)
    prev = F.pad(ab[:-1], (1, 0), value=1.0)
    first, second = prev.sqrt() * betas / (1 - ab), (1 - betas).sqrt() * (1 - prev) / (1 - ab)
    return first[t][:, None] * x0 + second[t][:, None] * xt


def q_sample(x0: Tensor, t: Tensor, eps: Tensor, ab: Tensor) -> Tensor:
    a = ab[t][:, None]
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


def G22(x0: Tensor, t: Tensor, eps: Tensor, ab: Tensor) -> Tensor:
    a = ab[t][:, None]
    return a.sqrt() * x0 + (1 - a) * eps


def timesteps(n: int, steps: int) -> Tensor:
    return torch.randint(0, steps, (n,))


def G23(n: int, steps: int) -> Tensor:
    return torch.randint(0, steps - 1, (1,)).expand(n)


def G23_last(n: int, steps: int) -> Tensor:
    return torch.randint(0, steps - 1, (n,))


def noise_loss(model: Any, x0: Tensor, t: Tensor, eps: Tensor, ab: Tensor) -> Tensor:
    return F.mse_loss(model(q_sample(x0, t, eps, ab), t), eps)


def G24(model: Any, x0: Tensor, t: Tensor, eps: Tensor, ab: Tensor) -> Tensor:
    return F.mse_loss(model(q_sample(x0, t, eps, ab), t), x0)


def embedding(t: Tensor, width: int) -> Tensor:
    frequencies = torch.exp(-math.log(10000) * torch.arange(width // 2) / (width // 2 - 1))
    angles = t[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1)


def G30(t: Tensor, width: int) -> Tensor:
    return embedding(t / 1000, width)


def ema(average: Tensor, weights: Tensor, d: float) -> Tensor:
    return average.mul_(d).add_(weights, alpha=1 - d)


def ema_lerp(average: Tensor, weights: Tensor, d: float) -> Tensor:
    return torch.lerp(average, weights, 1 - d)


def G31(average: Tensor, weights: Tensor, d: float) -> Tensor:
    return average.mul_(1 - d).add_(weights, alpha=d)


# --- two players
def adversarial(scores: Tensor, label: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, label))


def discriminator_loss(d: Any, g: Any, real: Tensor, noise: Tensor) -> Tensor:
    return adversarial(d(real), 1) + adversarial(d(g(noise).detach()), 0)


def G34(d: Any, g: Any, real: Tensor, noise: Tensor) -> Tensor:
    return adversarial(d(real), 1) + adversarial(d(g(noise)), 0)


def generator_loss(d: Any, g: Any, noise: Tensor) -> Tensor:
    return adversarial(d(g(noise)), 1)


def G35(d: Any, g: Any, noise: Tensor) -> Tensor:
    return adversarial(d(g(noise).detach()), 1)
