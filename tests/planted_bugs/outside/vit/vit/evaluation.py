"""Accuracy in per cent."""

import numpy as np
import torch


def evaluate(model, data, split="test"):
    model.eval()
    predicted, truth = [], []
    with torch.inference_mode():
        for batch in data.batches(split):
            predicted.append(model(batch["image"].to(model.pos.device)).argmax(1).cpu().numpy())
            truth.append(batch["label"].numpy())
    return {"accuracy": 100.0 * float(np.mean(np.concatenate(predicted) == np.concatenate(truth)))}
