"""Equation 4: log sigmoid of the true pair and of minus the drawn ones; a sum over words drawn, a mean over pairs."""

from torch.nn.functional import logsigmoid


def loss(positive_score, negative_score):
    positive = -logsigmoid(positive_score)
    negative = -logsigmoid(-negative_score).sum(dim=1)
    return {"positive": positive.mean(), "negative": negative.mean(), "total": (positive + negative).mean()}
