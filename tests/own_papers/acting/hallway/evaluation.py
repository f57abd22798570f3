"""Mean return, without discount, of episodes that are played greedily from the start."""

from __future__ import annotations

import torch

from hallway.data import Hallway


@torch.no_grad()
def evaluate(model, data, split="test", episodes=5):
    was = model.training
    model.eval()
    hallway = Hallway(episodes, data.cells, data.limit)
    total, going = torch.zeros(episodes), torch.ones(episodes, dtype=torch.bool)
    for _ in range(data.limit):
        parameter = next(model.parameters())
        logits, _ = model(hallway.observe().to(parameter.dtype))
        reward, _, terminated, cut = hallway.step(logits.argmax(-1))
        total += reward * going
        going &= ~(terminated | cut)
    model.train(was)
    return {"episode_return": total.mean().item()}
