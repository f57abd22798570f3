"""Cross entropy with label smoothing (section 5.4), per target piece, padding left out."""

from __future__ import annotations

from torch import Tensor


def label_smoothed_cross_entropy(logits: Tensor, targets: Tensor, smoothing: float, padding: int) -> Tensor:
    """Cross entropy against (1 - eps_ls) one-hot + eps_ls uniform over all classes, mean over non-pad targets.

    Section 5.4 cites Szegedy et al. 2015, whose smoothed label is this mixture (their section 7): the true class keeps
    1 - eps + eps / C.

    Args:
        logits: [n, C], unnormalised.
        targets: [n], class ids.
        smoothing: eps_ls, from 0 to below 1.
        padding: targets with this id do not count.

    Returns:
        A scalar in nats per target.
    """
    real = targets != padding  # [n]
    log_p = logits[real].log_softmax(dim=-1)  # [k, C], k of the n targets are real
    nll = -log_p.gather(-1, targets[real][:, None]).squeeze(-1)  # [k]
    uniform = -log_p.mean(dim=-1)  # [k], cross entropy against the uniform distribution
    return ((1 - smoothing) * nll + smoothing * uniform).mean()


class Loss:
    """The terms of the loss of one batch.

    Args:
        smoothing: eps_ls; the paper uses 0.1 for every model it reports as final.
        padding: piece id of padding.
    """

    def __init__(self, smoothing: float = 0.1, padding: int = 0) -> None:
        self.smoothing = smoothing
        self.padding = padding

    def __call__(self, logits: Tensor, target_output: Tensor) -> dict[str, Tensor]:
        """logits [b, n, vocabulary], target_output [b, n] → terms, each a scalar in nats per target piece."""
        flat = logits.flatten(0, 1)  # [b * n, vocabulary]
        targets = target_output.flatten()  # [b * n]
        return {
            # what is minimised: cross entropy against the smoothed labels
            "total": label_smoothed_cross_entropy(flat, targets, self.smoothing, self.padding),
            # what perplexity is made of: the same without smoothing; it carries no gradient
            "nll": label_smoothed_cross_entropy(flat.detach(), targets, 0.0, self.padding),
        }
