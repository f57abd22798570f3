"""Accuracy over episodes of classes never trained on."""

import torch


def evaluate(model, data, split="test"):
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    right = []
    with torch.no_grad():
        for batch in data.batches(split):
            guess = model(batch["support"].to(device), batch["query"].to(device)).argmax(-1).cpu()
            right.append((guess == batch["label"]).double().mean(1))
    model.train(training)
    return {"accuracy": torch.cat(right).mean().item()}
