"""Accuracy of the nearest neighbour among training embeddings."""

import torch
import torch.nn.functional as F


@torch.no_grad()
def evaluate(model, data, split="test"):
    model.eval()
    p = next(model.parameters())
    bank = torch.from_numpy(data.x["train"]).to(p)
    bank_y = torch.from_numpy(data.y["train"])
    bank = F.normalize(model.embed(bank), dim=1)
    right = total = 0
    for batch in data.batches(split):
        h = F.normalize(model.embed(batch["view1"].to(p)), dim=1)
        nearest = (h @ bank.T).argmax(1).cpu()
        right += (bank_y[nearest] == batch["label"]).sum().item()
        total += len(batch["label"])
    return {"knn_accuracy": right / total}
