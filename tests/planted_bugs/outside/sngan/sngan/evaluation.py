"""Energy distance between made points and a split."""

import numpy as np
import torch


def evaluate(model, data, split="test", latent=4):
    gen = model["generator"]
    gen.eval()
    z = torch.randn(500, latent, generator=torch.Generator().manual_seed(123))
    with torch.no_grad():
        fake = gen(z.to(next(gen.parameters()))).cpu().numpy().astype(np.float64)
    real = np.concatenate([b["points"].cpu().numpy() for b in data.batches(split)]).astype(np.float64)

    def d(a, b):
        return np.linalg.norm(a[:, None] - b[None], axis=-1).mean()

    return {"distance": float(2 * d(fake, real) - d(fake, fake) - d(real, real))}
