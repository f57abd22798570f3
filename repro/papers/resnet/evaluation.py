"""Error on held-out images, of a single view of each (section 4.2: "the original 32×32 image")."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.papers.resnet.data import augment, channels_first, preprocess


@torch.no_grad()
def evaluate(
    model: nn.Module, data: Any, split: str = "test", device: torch.device | str | None = None
) -> dict[str, float]:
    """Metrics of `model` on a split, in eval mode; the mode is restored afterwards.

    Args:
        model: called as model(image).
        data: gives batches(split).
        split: "validation" or "test".
        device: where the model is; None asks its parameters.

    Returns:
        error: images whose likeliest class is not the right one, in per cent, as Table 6 prints it.
        accuracy: the others, in per cent.
        loss: mean cross entropy, in nats per image.
    """
    if device is None:
        device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    wrong, nll, n = 0, 0.0, 0
    try:
        for batch in data.batches(split):
            image, label = batch["image"].to(device), batch["label"].to(device)
            logits = model(image)  # [b, classes]
            wrong += int((logits.argmax(-1) != label).sum())
            nll += F.cross_entropy(logits.double(), label, reduction="sum").item()
            n += len(label)
    finally:
        model.train(was_training)
    return {"error": 100 * wrong / n, "accuracy": 100 * (n - wrong) / n, "loss": nll / n}


@torch.no_grad()
def pictures(model: nn.Module, data: Any, device: torch.device | str | None = None) -> dict[str, dict[str, Any]]:
    """Training images as they are and as training sees them, their mean, and test images that the model gets wrong."""
    model.eval()
    raw = data.splits["train"][0][:8]
    changed = augment(preprocess(raw, data.mean), data.padding, data.flip, torch.Generator().manual_seed(0))
    shown: dict[str, dict[str, Any]] = {
        "augmented": {
            "image": torch.cat([beside(channels_first(raw)), beside(changed + data.mean)]).clamp(0, 1),
            "caption": "eight training images, below them a crop of each as training may see it, the mean put back",
        },
        "mean": {"image": beside(data.mean[None]), "caption": "the mean of the training images at each pixel"},
    }
    wrong, said = [], []
    for batch in data.batches("test"):
        guess = model(batch["image"].to(device)).argmax(-1).cpu()
        for i in torch.nonzero(guess != batch["label"]).flatten().tolist():
            wrong.append(batch["image"][i] + data.mean)
            said.append(f"{batch['label'][i]} as {guess[i]}")
    if wrong:
        caption = f"the first of {len(wrong)} test images whose class is taken for another: {', '.join(said[:8])}"
        shown["wrong"] = {"image": beside(torch.stack(wrong[:8])).clamp(0, 1), "caption": caption}
    return shown


def beside(images: Tensor) -> Tensor:
    """[n, k, r, c] → [r, n · (c + 1) - 1, k], or without k where it is 1: images in a row, a black line between."""
    lined = F.pad(images, (0, 1))  # [n, k, r, c + 1]
    return torch.cat(list(lined), dim=-1)[..., :-1].permute(1, 2, 0).squeeze(-1)
