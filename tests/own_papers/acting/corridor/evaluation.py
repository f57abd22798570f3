"""Mean return, without discount, of episodes that are played greedily from the start."""

from __future__ import annotations

import torch

from corridor.data import Corridor


@torch.no_grad()
def evaluate(model, data, split="test", episodes=5):
    was = model.training
    model.eval()
    corridor = Corridor(episodes, data.cells, data.limit)
    total, going = torch.zeros(episodes), torch.ones(episodes, dtype=torch.bool)
    for _ in range(data.limit):
        parameter = next(model.parameters())
        logits, _ = model(corridor.observe().to(parameter.dtype))
        reward, _, terminated, cut = corridor.step(logits.argmax(-1))
        total += reward * going
        going &= ~(terminated | cut)
    model.train(was)
    return {"episode_return": total.mean().item()}
