"""How far the mean of 1,000 generated points lies from the mean of a split."""

from __future__ import annotations

import torch


def evaluate(model, data, split: str = "test", latent: int = 4) -> dict[str, float]:
    generator = model["generator"]
    generator.eval()
    noise = torch.randn(1000, latent, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made = generator(noise.to(next(generator.parameters())))
        real = torch.cat([batch["points"] for batch in data.batches(split)])
    return {"distance": float((made.mean(0) - real.mean(0)).norm())}
