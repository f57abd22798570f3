"""Whole episodes on a 5 by 5 grid, with discounted returns to go."""

import numpy as np
import torch


class Grid:
    def __init__(self, rng):
        self.rng = rng

    def reset(self):
        self.pos = np.zeros(2, dtype=np.int64)
        self.goal = self.rng.integers(1, 5, size=2)
        self.t = 0
        return self.obs()

    def obs(self):
        return np.concatenate([self.pos, self.goal]).astype(np.float32) / 4

    def step(self, action):
        if action < 2:
            self.pos[action] = min(self.pos[action] + 1, 4)
        self.t += 1
        reached = bool((self.pos == self.goal).all())
        over = bool((self.pos > self.goal).any()) or self.t >= 15
        return self.obs(), 1.0 if reached else -0.05, reached or over


def discounted(rewards, gamma):
    g, returns = 0.0, []
    for r in rewards[::-1]:
        g = r + gamma * g
        returns.insert(0, g)
    return returns


class Episodes:
    def __init__(self, episodes=8, gamma=0.97, seed=0):
        self.episodes, self.gamma = episodes, gamma
        self.rng = np.random.default_rng(seed)

    @torch.no_grad()
    def play(self, model, rng):
        env = Grid(rng)
        obs, states, actions, rewards, done = env.reset(), [], [], [], False
        p = next(model.parameters())
        while not done:
            logits, _ = model(torch.as_tensor(obs, device=p.device, dtype=p.dtype).unsqueeze(0))
            probs = torch.softmax(logits[0].double(), 0).cpu().numpy()
            a = int(rng.choice(3, p=probs / probs.sum()))
            states.append(obs)
            actions.append(a)
            obs, r, done = env.step(a)
            rewards.append(r)
        return states, actions, discounted(rewards, self.gamma)

    def batches(self, split, model=None):
        if split != "train":
            yield self.synthetic(64, 5 if split == "validation" else 6)
            return
        for _ in range(10):
            rows = [self.play(model, self.rng) for _ in range(self.episodes)]
            yield {
                "observation": torch.tensor(np.array([s for ep in rows for s in ep[0]])),
                "action": torch.tensor([a for ep in rows for a in ep[1]]),
                "returns": torch.tensor([g for ep in rows for g in ep[2]]),
            }

    def synthetic(self, n, seed):
        rng = np.random.default_rng(seed)
        return {
            "observation": torch.tensor(rng.integers(0, 5, size=(n, 4)).astype(np.float32) / 4),
            "action": torch.tensor(rng.integers(0, 3, size=n)),
            "returns": torch.tensor(rng.normal(size=n).astype(np.float32)),
        }

    def state_dict(self):
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state):
        self.rng.bit_generator.state = state["rng"]
