"""Experience in a hallway of cells: the goal is at the right end, each step costs a little."""

from __future__ import annotations

import torch
from torch import Tensor


class Hallway:
    """Walks side by side. An episode ends at the goal (terminated) or after `limit` steps (cut off)."""

    def __init__(self, walkers: int, cells: int, limit: int) -> None:
        self.cells, self.limit = cells, limit
        self.cell = torch.full((walkers,), cells // 2)
        self.age = torch.zeros(walkers, dtype=torch.int64)

    def observe(self) -> Tensor:
        return torch.nn.functional.one_hot(self.cell, self.cells).float()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Reward, the observation reached (before a new episode begins), and which episodes terminated or were cut."""
        self.cell = (self.cell + 2 * action - 1).clamp(min=0)
        self.age += 1
        terminated = self.cell == self.cells - 1
        cut = (self.age == self.limit) & ~terminated
        reward = terminated.float() - 0.05
        reached = self.observe()
        over = terminated | cut
        self.cell[over], self.age[over] = self.cells // 2, 0
        return reward, reached, terminated, cut


class Experience:
    def __init__(self, walkers=8, steps=16, cells=7, limit=30, discount=0.99, seed=0):
        self.walkers, self.steps, self.cells, self.limit, self.discount = walkers, steps, cells, limit, discount
        self.hallway = Hallway(walkers, cells, limit)
        self.generator = torch.Generator().manual_seed(seed)

    def batches(self, split, model=None):
        """One rollout: in training from where the walkers stand, else from the start with a generator of its own."""
        if split == "train":
            yield self.rollout(self.hallway, model, self.generator)
        else:
            seed = {"validation": 1001, "test": 1002}[split]
            hallway = Hallway(self.walkers, self.cells, self.limit)
            yield self.rollout(hallway, model, torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def rollout(self, hallway, model, generator):
        seen, done, rewards, ends, values = [], [], [], [], []
        for _ in range(self.steps):
            observation = hallway.observe()
            logits, _ = model(observation)
            action = torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)
            reward, reached, terminated, cut = hallway.step(action)
            # the value of what was reached is worth nothing after the goal, and stands for the rest after a cut
            values.append(model(reached)[1] * ~terminated)
            seen.append(observation), done.append(action), rewards.append(reward), ends.append(terminated | cut)
        target, targets = values[-1], []
        for reward, end, value in zip(reversed(rewards), reversed(ends), reversed(values), strict=True):
            target = reward + self.discount * torch.where(end, value, target)
            targets.append(target)
        return {"observation": torch.cat(seen), "action": torch.cat(done), "target": torch.cat(targets[::-1])}

    def synthetic(self, n, seed):
        generator = torch.Generator().manual_seed(seed)
        cells = torch.randint(self.cells - 1, (n,), generator=generator)
        return {
            "observation": torch.nn.functional.one_hot(cells, self.cells).float(),
            "action": torch.randint(2, (n,), generator=generator),
            "target": torch.rand(n, generator=generator),
        }

    def state_dict(self):
        return {"generator": self.generator.get_state(), "cell": self.hallway.cell, "age": self.hallway.age}

    def load_state_dict(self, state):
        self.generator.set_state(state["generator"])
        self.hallway.cell, self.hallway.age = state["cell"].clone(), state["age"].clone()
