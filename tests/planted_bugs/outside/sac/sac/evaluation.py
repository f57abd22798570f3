"""Mean undiscounted return of episodes without noise."""

import torch

from sac.data import PointMass


@torch.no_grad()
def evaluate(model, data, split="test", episodes=10):
    actor = model["actor"]
    device = next(actor.parameters()).device
    env = PointMass({"validation": 101, "test": 202, "train": 303}[split])
    total = 0.0
    for _ in range(episodes):
        state, over = env.reset(), False
        while not over:
            state, reward, terminated, truncated = env.step(actor.greedy(state[None].to(device))[0].cpu())
            total += reward
            over = terminated or truncated
    return {"mean_return": total / episodes}
