"""Pieces of papers that learn by acting: correct lines, listed bugs (`R03`) and correct variants (`C13`)."""

# ruff: noqa: E501, N802 (functions have the names of bugs, and the signatures of their pieces)

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, Normal


# --- returns and advantages
def returns(rewards: Tensor, gamma: float, insert: bool = True, discount: bool = True) -> Tensor:
    found: list[Tensor] = []
    ret = torch.zeros(())
    for r in reversed(rewards):
        ret = r + gamma * ret if discount else r + ret
        if insert:
            found.insert(0, ret)
        else:
            found.append(ret)
    return torch.stack(found)


def R23(rewards: Tensor, gamma: float) -> Tensor:
    return returns(rewards, gamma, discount=False)


def R24(rewards: Tensor, gamma: float) -> Tensor:
    return returns(rewards, gamma, insert=False)


def gae(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lam: float,
    bug: str = "",
) -> Tensor:
    adv, last = torch.zeros_like(rewards), torch.zeros_like(rewards[0])
    done = torch.maximum(terminated, truncated)
    for t in reversed(range(len(rewards))):
        nonterm, alive = 1 - terminated[t], 1 - done[t]
        next_v = next_values[t]
        if bug == "R10":
            nonterm = 1 - done[t]
        if bug == "R11":
            nonterm = alive = 1 - done[t + 1] if t + 1 < len(done) else torch.ones_like(done[t])
        if bug == "R13" and t == len(rewards) - 1:
            next_v = torch.zeros_like(next_v)
        delta = rewards[t] + gamma * next_v * nonterm - values[t]
        decay = lam if bug == "R15" else gamma * lam
        last = delta + decay * alive * last
        adv[t] = last
    return adv


def R10(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    return gae(rewards, values, next_values, terminated, truncated, gamma, lam, "R10")


def R11(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    return gae(rewards, values, next_values, terminated, truncated, gamma, lam, "R11")


def R13(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    return gae(rewards, values, next_values, terminated, truncated, gamma, lam, "R13")


def R15(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    return gae(rewards, values, next_values, terminated, truncated, gamma, lam, "R15")


def C14(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    """CleanRL's buffer: done of the step before stands in a row, next_done closes it; truncation is put into the reward."""
    rewards = rewards + gamma * next_values * truncated
    done = torch.maximum(terminated, truncated)
    dones, next_done = torch.cat([torch.zeros_like(done[:1]), done[:-1]]), done[-1]
    adv, last = torch.zeros_like(rewards), torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        alive = 1 - (next_done if t == len(rewards) - 1 else dones[t + 1])
        after = next_values[-1] if t == len(rewards) - 1 else values[t + 1]
        delta = rewards[t] + gamma * after * alive - values[t]
        last = delta + gamma * lam * alive * last
        adv[t] = last
    return adv


def C16(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    """A truncated step gets gamma V of its last state as reward and then counts as terminated; flags are bool here."""
    rewards = torch.where(truncated & ~terminated, rewards + gamma * next_values, rewards)
    done = (terminated | truncated).to(rewards.dtype)
    return gae(rewards, values, next_values, done, done, gamma, lam)


def normalise(adv: Tensor) -> Tensor:
    return (adv - adv.mean()) / (adv.std() + 1e-8)


def normalise_biased(adv: Tensor) -> Tensor:
    return (adv - adv.mean()) / (adv.std(correction=0) + 1e-5)


def R17(adv: Tensor) -> Tensor:
    return adv - adv.mean() / (adv.std() + 1e-8)


# --- distributions
def categorical(z: Tensor, actions: Tensor) -> Tensor:
    return Categorical(logits=z).log_prob(actions)


def R38(z: Tensor, actions: Tensor) -> Tensor:
    return Categorical(logits=z.softmax(-1)).log_prob(actions)


def entropy(z: Tensor) -> Tensor:
    return Categorical(logits=z).entropy()


def gaussian(mean: Tensor, log_std: Tensor, a: Tensor) -> Tensor:
    return Normal(mean, log_std.exp()).log_prob(a).sum(-1)


def gaussian_entropy(log_std: Tensor) -> Tensor:
    return Normal(torch.zeros_like(log_std), log_std.exp()).entropy().sum(-1).mean()


def R06(mean: Tensor, log_std: Tensor, a: Tensor) -> Tensor:
    return Normal(mean, log_std.exp()).log_prob(a)


def tanh_gaussian(mean: Tensor, log_std: Tensor, u: Tensor) -> Tensor:
    a = u.tanh()
    return Normal(mean, log_std.exp()).log_prob(u).sum(-1) - torch.log(1 - a**2 + 1e-6).sum(-1)


def tanh_gaussian_stable(mean: Tensor, log_std: Tensor, u: Tensor) -> Tensor:
    jacobian = 2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))
    return Normal(mean, log_std.exp()).log_prob(u).sum(-1) - jacobian.sum(-1)


def R09(mean: Tensor, log_std: Tensor, u: Tensor) -> Tensor:
    return Normal(mean, log_std.exp()).log_prob(u).sum(-1)


# --- losses
def policy_gradient(z: Tensor, actions: Tensor, adv: Tensor, coefficient: float) -> Tensor:
    dist = Categorical(logits=z)
    return -(dist.log_prob(actions) * adv).mean() - coefficient * dist.entropy().mean()


def R01(z: Tensor, actions: Tensor, adv: Tensor, coefficient: float) -> Tensor:
    dist = Categorical(logits=z)
    return (dist.log_prob(actions) * adv).mean() - coefficient * dist.entropy().mean()


def R02(z: Tensor, actions: Tensor, adv: Tensor, coefficient: float) -> Tensor:
    dist = Categorical(logits=z)
    return -(dist.log_prob(actions) * adv).mean() + coefficient * dist.entropy().mean()


def ppo(new: Tensor, old: Tensor, a: Tensor, e: float) -> Tensor:
    r = (new - old).exp()
    return -torch.min(r * a, r.clamp(1 - e, 1 + e) * a).mean()


def R03(new: Tensor, old: Tensor, a: Tensor, e: float) -> Tensor:
    r = (new - old).exp()
    return -torch.max(r * a, r.clamp(1 - e, 1 + e) * a).mean()


def R05(new: Tensor, old: Tensor, a: Tensor, e: float) -> Tensor:
    return ppo(new, new.detach(), a, e)


def R18(new: Tensor, old: Tensor, a: Tensor, e: float) -> Tensor:
    return ppo(new, old, a.view(-1, 1), e)


def C11(new: Tensor, old: Tensor, a: Tensor, e: float) -> Tensor:
    r = (new - old).exp()
    return torch.max(-a * r, -a * r.clamp(1 - e, 1 + e)).mean()


def reinforce(logp: Tensor, rewards: Tensor, gamma: float) -> Tensor:
    return -(logp * returns(rewards, gamma)).sum()


def R26(logp: Tensor, rewards: Tensor, gamma: float) -> Tensor:
    return -(logp * returns(rewards, gamma)[0]).sum()


def actor(logp: Tensor, v: Tensor, ret: Tensor) -> Tensor:
    return -(logp * (ret - v).detach()).mean()


def R19(logp: Tensor, v: Tensor, ret: Tensor) -> Tensor:
    return -(logp * (ret - v)).mean()


C17 = actor


def C13(v: Tensor, old: Tensor, ret: Tensor, clip: float | None) -> Tensor:
    if clip is None:
        return 0.5 * (v - ret).pow(2).mean()
    moved = old + (v - old).clamp(-clip, clip)
    return 0.5 * torch.max((v - ret).pow(2), (moved - ret).pow(2)).mean()


def R20(v: Tensor, old: Tensor, ret: Tensor, clip: float | None) -> Tensor:
    return C13(old, old, ret, clip)


# --- data
def collect(environment: Any, act: Any, steps: int, bug: str = "") -> dict[str, Any]:
    rows: dict[str, list[Any]] = {
        name: [] for name in ("observations", "actions", "rewards", "terminated", "truncated")
    }
    o, _ = environment.reset(seed=1)
    before = 0.0
    for _ in range(steps):
        a = act(o)
        after, r, terminated, truncated, _ = environment.step(a)
        row = (o, a, before if bug == "R27" else r, terminated, truncated)
        for name, value in zip(rows, row, strict=True):
            rows[name].append(value)
        o, before = after, r
        if terminated or truncated:
            o, _ = environment.reset(seed=1 if bug == "R35" else None)
    return rows


def R27(environment: Any, act: Any, steps: int) -> dict[str, Any]:
    return collect(environment, act, steps, "R27")


def R35(environment: Any, act: Any, steps: int) -> dict[str, Any]:
    return collect(environment, act, steps, "R35")


def flatten(rollout: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.reshape(-1, *value.shape[2:]) for name, value in rollout.items()}


def flatten_by_environment(rollout: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.transpose(0, 1).reshape(-1, *value.shape[2:]) for name, value in rollout.items()}


def R37(rollout: dict[str, Tensor]) -> dict[str, Tensor]:
    return flatten(rollout) | {"advantages": rollout["advantages"].transpose(0, 1).reshape(-1)}
