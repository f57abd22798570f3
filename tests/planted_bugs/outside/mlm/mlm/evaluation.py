"""Share of hidden words guessed, and their perplexity, with the same words hidden each time."""

import math

import torch
import torch.nn.functional as F


@torch.no_grad()
def evaluate(model, data, split="test"):
    was = model.training
    model.eval()
    device = model.bias.device
    right = count = 0
    nll = 0.0
    for batch in data.batches(split):
        batch = {k: v.to(device) for k, v in batch.items()}
        logits = model(batch["tokens"], batch["attention_mask"])
        chosen = batch["labels"] != -100
        right += (logits.argmax(-1) == batch["labels"])[chosen].sum().item()
        nll += F.cross_entropy(logits[chosen], batch["labels"][chosen], reduction="sum").item()
        count += chosen.sum().item()
    model.train(was)
    return {"accuracy": right / count, "perplexity": math.exp(nll / count)}
