import torch


@torch.no_grad()
def evaluate(model, data, split="test"):
    model.eval()
    (g,) = data.batches(split)
    mask = g[{"train": "train_mask", "validation": "val_mask", "test": "test_mask"}[split]]
    pred = model(g["x"], g["adjacency"]).argmax(1)
    return {"accuracy": (pred[mask] == g["y"][mask]).float().mean().item()}
