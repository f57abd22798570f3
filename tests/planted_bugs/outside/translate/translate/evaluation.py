"""Share of sequences that greedy decoding gets entirely right, and perplexity of the references."""

import math

import torch
import torch.nn.functional as F


@torch.no_grad()
def evaluate(model, data, split="test"):
    model.eval()
    right = n = tokens = 0
    nll = 0.0
    device = next(model.parameters()).device
    for batch in data.batches(split):
        batch = {k: v.to(device) for k, v in batch.items()}
        logits = model(batch["source"], batch["target_input"])
        nll += F.cross_entropy(logits.transpose(1, 2), batch["target"], ignore_index=0, reduction="sum").item()
        tokens += (batch["target"] != 0).sum().item()
        out = model.greedy(batch["source"])
        for hyp, ref in zip(out.tolist(), batch["target"].tolist(), strict=True):
            right += [w for w in hyp if w != 0] == [w for w in ref if w != 0]
            n += 1
    return {"exact_match": right / n, "perplexity": math.exp(nll / tokens)}
