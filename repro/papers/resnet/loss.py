"""Cross entropy of the right class: section 3.4 ends the network in a "1000-way fully-connected layer with softmax"."""

from __future__ import annotations

from torch import Tensor


def cross_entropy(logits: Tensor, label: Tensor) -> dict[str, Tensor]:
    """Mean negative log-probability of the right class.

    Args:
        logits: [b, classes], unnormalised: the softmax is in here.
        label: [b], the right class of each image.

    Returns:
        total: a scalar in nats per image, what is minimised; weight decay is the optimiser's.
    """
    log_p = logits.log_softmax(dim=-1)  # [b, classes]
    return {"total": -log_p.gather(-1, label[:, None]).mean()}
