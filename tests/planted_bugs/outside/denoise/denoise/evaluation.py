"""Mean squared error of the predicted noise over the split, at steps and noise that are fixed."""

import torch


@torch.no_grad()
def evaluate(model, data, split="test"):
    model.eval()
    gen = torch.Generator().manual_seed(0)
    total, count = 0.0, 0
    for batch in data.batches(split):
        x = batch["image"].to(next(model.parameters()).device)
        for i in range(len(x)):
            t = torch.randint(0, model.T, (1,), generator=gen)
            noise = torch.randn(x[i : i + 1].shape, generator=gen).to(x)
            out = model.ema(model.q_sample(x[i : i + 1], t, noise), t)
            total += ((out - noise) ** 2).sum().item()
            count += noise.numel()
    return {"denoising_error": total / count}
