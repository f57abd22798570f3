"""Rollouts of several corridors at once, with advantages by GAE; the policy that learns steps the environment."""

from __future__ import annotations

import numpy as np
import torch

GAMMA, LAMBDA = 0.95, 0.9


class Corridor:
    """A walk on 0 … 8 that starts in the middle third; the right end pays 1 and ends; 20 steps are the limit."""

    def __init__(self):
        self.random = np.random.default_rng(0)

    def reset(self, seed=None):
        if seed is not None:
            self.random = np.random.default_rng(seed)
        self.place, self.steps = int(self.random.integers(3, 6)), 0
        return self.seen(), {}

    def seen(self):
        wind = self.random.normal() * 0.1
        return np.array([self.place / 8, (8 - self.place) / 8, wind], dtype=np.float32)

    def step(self, action):
        self.place = min(max(self.place + (1 if action == 1 else -1), 0), 8)
        self.steps += 1
        terminated = self.place == 8
        truncated = self.steps >= 20 and not terminated
        reward = 1.0 if terminated else -0.02
        return self.seen(), reward, terminated, truncated, {}


def gae(rewards, values, next_values, terminated, truncated, gamma, lam):
    """All [T, N]; next_values are those of the observation reached, before any reset."""
    advantages = torch.zeros_like(rewards)
    last = torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + gamma * next_values[t] * (1.0 - terminated[t]) - values[t]
        running = 1.0 - torch.maximum(terminated[t], truncated[t])
        last = delta + gamma * lam * running * last
        advantages[t] = last
    return advantages


class Rollouts:
    def __init__(self, environments=4, steps=16, seed=0):
        self.steps = steps
        self.seed = seed
        self.envs = [Corridor() for _ in range(environments)]
        self.obs = torch.tensor(np.stack([env.reset(seed=100 * seed + i)[0] for i, env in enumerate(self.envs)]))
        self.rng = torch.Generator().manual_seed(seed)

    def batches(self, split, model=None):
        if split != "train":
            yield self.synthetic(32, 11 if split == "validation" else 12)
            return
        for _ in range(10):
            yield self.collect(model)

    @torch.no_grad()
    def collect(self, model):
        keys = ("observation", "action", "reward", "value", "next_value", "terminated", "truncated")
        rows = {key: [] for key in keys}
        dtype = next(model.parameters()).dtype
        for _ in range(self.steps):
            logits, value = model(self.obs.to(dtype))
            probs = logits.softmax(-1)
            action = torch.multinomial(probs, 1, generator=self.rng).squeeze(-1)
            reached, fresh, reward, terminated, truncated = [], [], [], [], []
            for env, a in zip(self.envs, action.tolist(), strict=True):
                o, r, term, trunc, _ = env.step(a)
                reached.append(o)
                reward.append(r)
                terminated.append(float(term))
                truncated.append(float(trunc))
                fresh.append(env.reset()[0] if term or trunc else o)
            next_value = model(torch.tensor(np.stack(reached)).to(dtype))[1]
            rows["observation"].append(self.obs)
            rows["action"].append(action)
            rows["reward"].append(torch.tensor(reward))
            rows["value"].append(value.float())
            rows["next_value"].append(next_value.float())
            rows["terminated"].append(torch.tensor(terminated))
            rows["truncated"].append(torch.tensor(truncated))
            self.obs = torch.tensor(np.stack(fresh))
        rows = {key: torch.stack(value) for key, value in rows.items()}
        advantage = gae(
            rows["reward"], rows["value"], rows["next_value"], rows["terminated"], rows["truncated"], GAMMA, LAMBDA
        )
        returns = advantage + rows["value"]
        return {
            "observation": rows["observation"].flatten(0, 1),
            "action": rows["action"].flatten(),
            "advantage": advantage.flatten(),
            "returns": returns.flatten(),
        }

    def synthetic(self, n, seed):
        rng = torch.Generator().manual_seed(seed)
        place = torch.randint(0, 9, (n,), generator=rng) / 8
        return {
            "observation": torch.stack([place, 1 - place, 0.1 * torch.randn(n, generator=rng)], dim=1),
            "action": torch.randint(0, 2, (n,), generator=rng),
            "advantage": torch.randn(n, generator=rng),
            "returns": torch.rand(n, generator=rng),
        }

    def state_dict(self):
        envs = [(env.random.bit_generator.state, env.place, env.steps) for env in self.envs]
        return {"envs": envs, "obs": self.obs.clone(), "rng": self.rng.get_state()}

    def load_state_dict(self, state):
        for env, (random, place, steps) in zip(self.envs, state["envs"], strict=True):
            env.random.bit_generator.state = random
            env.place, env.steps = place, steps
        self.obs = state["obs"].clone()
        self.rng.set_state(state["rng"])
