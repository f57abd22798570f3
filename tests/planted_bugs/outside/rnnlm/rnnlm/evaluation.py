import math

import torch
import torch.nn.functional as F


@torch.no_grad()
def evaluate(model, data, split="test"):
    model.eval()
    hidden, nll, n = None, 0.0, 0
    for batch in data.batches(split):
        logits, h, c = model(batch["tokens"], hidden)
        hidden = (h, c)
        nll += F.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten(), reduction="sum").item()
        n += batch["targets"].numel()
    return {"perplexity": math.exp(nll / n)}
