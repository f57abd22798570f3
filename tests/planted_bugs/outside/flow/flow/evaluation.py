import math

import torch


@torch.no_grad()
def evaluate(model, data, split="test"):
    model.eval()
    total, n = 0.0, 0
    for batch in data.batches(split):
        z, log_det = model(batch["x"])
        log_p = (-0.5 * (z**2 + math.log(2 * math.pi))).sum(1) + log_det
        total -= log_p.double().sum().item()
        n += z.numel()
    return {"nats_per_dimension": total / n}
