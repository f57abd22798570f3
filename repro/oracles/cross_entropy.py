"""Cross entropy with label smoothing (Szegedy et al. 2015, section 7), one target at a time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ids = NDArray[np.int64]


def log_softmax(logits: Array) -> Array:
    """log of softmax over a vector [C]."""
    shifted = logits - logits.max()
    return np.asarray(shifted - math.log(np.exp(shifted).sum()))


def smoothed_label(target: int, classes: int, smoothing: float) -> Array:
    """(1 - smoothing) one-hot + smoothing / classes on every class, the true one included: [classes]."""
    label = np.full(classes, smoothing / classes)
    label[target] += 1 - smoothing
    return label


def label_smoothed_cross_entropy(
    logits: Array, targets: Ids, smoothing: float = 0.0, padding: int | None = None
) -> float:
    """Mean over targets that are not `padding` of -sum_c label_c log softmax(logits)_c, in nats per target.

    Standard signature of the piece `label_smoothed_cross_entropy`: logits [n, C], targets [n], smoothing in [0, 1),
    padding a target id that does not count (None: every target counts). No target left: NaN.
    """
    per_target = target_losses(logits, targets, smoothing, padding)
    return sum(per_target) / len(per_target) if per_target else math.nan


def target_losses(logits: Array, targets: Ids, smoothing: float = 0.0, padding: int | None = None) -> list[float]:
    """Cross entropy of each target that counts, in nats."""
    losses = []
    for row, target in zip(logits, targets, strict=True):
        if padding is not None and target == padding:
            continue
        label = smoothed_label(int(target), len(row), smoothing)
        losses.append(float(-(label * log_softmax(row)).sum()))
    return losses


def floor(classes: int, smoothing: float) -> float:
    """The least label-smoothed cross entropy: the entropy of the smoothed label, in nats per target."""
    label = smoothed_label(0, classes, smoothing)
    return float(-sum(p * math.log(p) for p in label if p > 0))


def cross_entropy_as_mistaken(
    mistake: str, logits: Array, targets: Ids, smoothing: float, padding: int | None
) -> float:
    """What the loss is under one of the mistakes of `MISTAKES`.

    NaN where padding is no class (PyTorch's -100) and the mistake would need it to be one.
    """
    classes = logits.shape[1]
    if padding is not None and not 0 <= padding < classes and "padding" in mistake and padding in targets:
        return math.nan
    real = [i for i, target in enumerate(targets) if padding is None or target != padding]
    match mistake:
        case "padding counted":
            losses = target_losses(logits, targets, smoothing, None)
            return sum(losses) / len(losses)
        case "sum":
            return sum(target_losses(logits, targets, smoothing, padding))
        case "divided by all positions":
            return sum(target_losses(logits, targets, smoothing, padding)) / len(targets)
        case "softmax twice":
            rows = np.array([np.exp(log_softmax(row)) for row in logits])
            return label_smoothed_cross_entropy(rows, targets, smoothing, padding)
        case "probabilities for log-probabilities":
            return -float(np.mean([np.exp(log_softmax(logits[i]))[targets[i]] for i in real]))
        case "no smoothing":
            return label_smoothed_cross_entropy(logits, targets, 0.0, padding)
        case "sign":
            return -label_smoothed_cross_entropy(logits, targets, smoothing, padding)
        case "base 2":
            return label_smoothed_cross_entropy(logits, targets, smoothing, padding) / math.log(2)
    raise KeyError(mistake)


#: Mistakes that `cross_entropy_as_mistaken` knows, with the words a failure message uses for them.
MISTAKES = {
    "padding counted": "padding counted in the loss (no ignore_index, or the mask is lost)",
    "divided by all positions": "the sum over real targets is divided by all positions, padding included",
    "sum": "sum instead of mean reduction",
    "softmax twice": "softmax applied before the cross entropy, which applies its own",
    "probabilities for log-probabilities": "nll taken of probabilities instead of log-probabilities",
    "no smoothing": "label smoothing is not applied",
    "sign": "the sign of the loss is flipped",
    "base 2": "logarithm to base 2 instead of nats",
}
#: Other conventions of smoothing that are in use; they deviate from Szegedy et al. and are no bug. A divergence has the
#: gradient of the cross entropy, and lies lower by the entropy of the label.
CONVENTIONS = {
    "wrong classes": "the smoothing mass is spread over the C - 1 wrong classes (fairseq)",
    "wrong classes but padding": "the smoothing mass is spread over C - 2 classes, without the true one and padding",
    "divergence, all classes": "it is the divergence KL(label ‖ p), which is lower by the label's entropy at every"
    " output",
    "divergence, wrong classes": "it is the divergence KL(label ‖ p), which is lower by the label's entropy at every"
    " output, and the smoothing mass is spread over the C - 1 wrong classes",
    "divergence, wrong classes but padding": "it is the divergence KL(label ‖ p), which is lower by the label's entropy"
    " at every output, and the smoothing mass is spread over C - 2 classes, without the true one and padding (The"
    " Annotated Transformer)",
}


def losses_by_convention(
    convention: str, logits: Array, targets: Ids, smoothing: float, padding: int | None
) -> list[float]:
    """The loss of each target that counts, in nats, under one of `CONVENTIONS`."""
    divergence, _, spread = convention.rpartition(", ")
    losses = []
    for row, target in zip(logits, targets, strict=True):
        if padding is not None and target == padding:
            continue
        label = conventional_label(spread, int(target), len(row), smoothing, padding)
        entropy = -sum(p * math.log(p) for p in label if p > 0) if divergence else 0.0
        losses.append(float(-(label * log_softmax(row)).sum()) - entropy)
    return losses


def conventional_label(spread: str, target: int, classes: int, smoothing: float, padding: int | None) -> Array:
    """The smoothed label [classes] with its mass `smoothing` over "all classes", "wrong classes" or "wrong classes but
    padding".
    """
    if spread == "all classes":
        return smoothed_label(target, classes, smoothing)
    without_padding = spread == "wrong classes but padding"
    label = np.full(classes, smoothing / max(1, classes - (2 if without_padding else 1)))
    if without_padding and padding is not None and 0 <= padding < classes:
        label[padding] = 0.0
    label[target] = 1 - smoothing
    return label
