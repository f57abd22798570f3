"""Mean return of greedy episodes."""

import torch

from dqn.data import Grid


@torch.no_grad()
def evaluate(model, data, split="test"):
    q = model["online"].eval()
    p = next(q.parameters())
    returns = []
    for episode in range(20):
        env = Grid(seed=1000 + episode if split == "validation" else 2000 + episode)
        s, total, over = env.reset(), 0.0, False
        while not over:
            a = q(torch.from_numpy(s).to(p)[None]).argmax(1).item()
            s, r, done, timeout = env.step(a)
            total += r
            over = done or timeout
        returns.append(total)
    return {"episode_return": sum(returns) / len(returns)}
