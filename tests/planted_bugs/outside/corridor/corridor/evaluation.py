"""Mean undiscounted return of greedy episodes, each from a start of its own."""

from __future__ import annotations

import torch

from corridor.data import Corridor


@torch.no_grad()
def evaluate(model, data, split="test", episodes=20):
    was = model.training
    model.eval()
    first = 5000 if split == "validation" else 9000
    total = 0.0
    dtype = next(model.parameters()).dtype
    for episode in range(episodes):
        env = Corridor()
        obs, _ = env.reset(seed=first + episode)
        done = False
        while not done:
            logits, _ = model(torch.tensor(obs, dtype=dtype)[None])
            obs, reward, terminated, truncated, _ = env.step(int(logits.argmax(-1)))
            total += reward
            done = terminated or truncated
    model.train(was)
    return {"episode_return": total / episodes}
