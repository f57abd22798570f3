"""Squared error a pixel, and how many codes are in use: the exponential of the entropy of their frequencies."""

import torch


@torch.no_grad()
def evaluate(model, data, split: str = "test") -> dict[str, float]:
    before = model.training
    model.eval()
    error, pixels = 0.0, 0
    device = model.quantiser.codebook.device
    counts = torch.zeros(len(model.quantiser.codebook), dtype=torch.float64)
    for batch in data.batches(split):
        x = batch["image"].to(device)
        out = model(x)
        error += (out.reconstruction - x).square().sum().item()
        pixels += x.numel()
        counts += torch.bincount(model.quantiser.indices(out.encoded).flatten(), minlength=len(counts)).cpu()
    model.train(before)
    p = counts / counts.sum()
    return {"squared_error": error / pixels, "codes_used": torch.exp(-torch.xlogy(p, p).sum()).item()}
