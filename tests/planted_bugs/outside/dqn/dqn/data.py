"""A walk to a goal on a 5 by 5 grid; transitions go into a replay buffer and are sampled from it."""

import random
from collections import deque

import numpy as np
import torch


class Grid:
    def __init__(self, seed=None):
        self.rng = random.Random(seed)

    def reset(self):
        self.x, self.y, self.t = 0, 0, 0
        self.gx, self.gy = self.rng.randint(1, 4), self.rng.randint(1, 4)
        return self.obs()

    def obs(self):
        return np.array([self.x, self.y, self.gx, self.gy], dtype=np.float32) / 4

    def step(self, action):
        if action == 0:
            self.x = min(self.x + 1, 4)
        elif action == 1:
            self.y = min(self.y + 1, 4)
        self.t += 1
        reached = (self.x, self.y) == (self.gx, self.gy)
        missed = self.x > self.gx or self.y > self.gy
        reward = 1.0 if reached else (-1.0 if missed else -0.05)
        return self.obs(), reward, reached or missed, self.t >= 15


class Replay:
    def __init__(self, batch_size=32, capacity=500, seed=0):
        self.batch_size = batch_size
        self.env = Grid(seed)
        self.rng = random.Random(seed + 1)
        self.buffer = deque(maxlen=capacity)
        self.state = self.env.reset()
        self.steps = 0

    def epsilon(self):
        return max(0.1, 1.0 - self.steps / 500)

    @torch.no_grad()
    def act(self, model, n):
        q = model["online"]
        p = next(q.parameters())
        for _ in range(n):
            if self.rng.random() < self.epsilon():
                action = self.rng.randrange(3)
            else:
                action = int(q(torch.from_numpy(self.state)[None].to(p)).argmax(1))
            nxt, reward, done, timeout = self.env.step(action)
            self.buffer.append((self.state, action, reward, nxt, float(done)))
            self.state = self.env.reset() if done or timeout else nxt
            self.steps += 1

    def batches(self, split, model=None):
        if split != "train":
            yield self.synthetic(64, 1 if split == "validation" else 2)
            return
        if len(self.buffer) < 100:
            self.act(model, 100)
        for _ in range(25):
            self.act(model, 4)
            yield self.collate(self.rng.sample(list(self.buffer), self.batch_size))

    def collate(self, rows):
        s, a, r, n, d = zip(*rows, strict=True)
        return {
            "observation": torch.tensor(np.stack(s)),
            "action": torch.tensor(a),
            "reward": torch.tensor(r, dtype=torch.float32),
            "next_observation": torch.tensor(np.stack(n)),
            "done": torch.tensor(d, dtype=torch.float32),
        }

    def synthetic(self, n, seed):
        env, rng = Grid(seed), random.Random(seed + 100)
        rows, s = [], env.reset()
        while len(rows) < n:
            a = rng.randrange(3)
            nxt, r, done, timeout = env.step(a)
            rows.append((s, a, r, nxt, float(done)))
            s = env.reset() if done or timeout else nxt
        return self.collate(rows)

    def state_dict(self):
        e = self.env
        return {
            "env": (e.rng.getstate(), e.x, e.y, e.t, e.gx, e.gy),
            "rng": self.rng.getstate(),
            "buffer": list(self.buffer),
            "state": self.state,
            "steps": self.steps,
        }

    def load_state_dict(self, state):
        e = self.env
        rng, e.x, e.y, e.t, e.gx, e.gy = state["env"]
        e.rng.setstate(rng)
        self.rng.setstate(state["rng"])
        self.buffer.clear()
        self.buffer.extend(state["buffer"])
        self.state, self.steps = state["state"], state["steps"]
