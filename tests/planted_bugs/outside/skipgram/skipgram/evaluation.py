"""The loss on held-out pairs, and how often the nearest other word is of the same topic."""

import torch
import torch.nn.functional as F

from skipgram.data import TOPICS
from skipgram.loss import loss


@torch.no_grad()
def evaluate(model, data, split="test"):
    model.eval()
    device = model.input.weight.device
    total = n = 0
    for batch in data.batches(split):
        terms = loss(*model(*(batch[k].to(device) for k in ("center", "context", "negative"))))
        total += terms["total"].item() * len(batch["center"])
        n += len(batch["center"])
    v = F.normalize(model.input.weight, dim=1)
    sim = v @ v.T
    sim.fill_diagonal_(-2)
    topic = torch.arange(len(v), device=device) // (len(v) // TOPICS)
    model.train()
    return {"held_out_loss": total / n, "same_topic": (topic[sim.argmax(1)] == topic).float().mean().item()}
