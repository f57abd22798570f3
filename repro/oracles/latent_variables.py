"""Terms of latent-variable models: divergence, Bernoulli likelihood, evidence and importance-weighted bounds."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def gaussian_kl(mean: Array, log_variance: Array) -> Array:
    """KL(N(mean, exp(log_variance)) || N(0, 1)), summed over latents (Kingma and Welling 2013, appendix B).

    Standard signature of the piece `gaussian_kl`: mean and log_variance [N, L]. Returns [N] (or its mean or sum),
    nats.
    """
    result = np.zeros(len(mean))
    for n, d in np.ndindex(*mean.shape):
        result[n] += 0.5 * (mean[n, d] ** 2 + math.exp(log_variance[n, d]) - 1 - log_variance[n, d])
    return result


def bernoulli_log_likelihood(logits: Array, x: Array) -> Array:
    """sum over pixels of x log p + (1 - x) log(1 - p), p = 1 / (1 + exp(-logit)).

    Standard signature of the piece `bernoulli_log_likelihood`: logits and x in [0, 1], both [N, D]. Returns [N] (or
    its mean or sum), nats, never above 0.
    """
    result = np.zeros(len(logits))
    for n, d in np.ndindex(*logits.shape):
        z = logits[n, d]
        log_p, log_not_p = -np.logaddexp(0, -z), -np.logaddexp(0, z)
        result[n] += x[n, d] * log_p + (1 - x[n, d]) * log_not_p
    return result


def negative_elbo(logits: Array, x: Array, mean: Array, log_variance: Array) -> Array:
    """- log p(x | z) + KL(q(z | x) || p(z)) of each example: minus the evidence lower bound with one sample of z.

    Kingma and Welling 2013, equation 10. Standard signature of the piece `negative_elbo`: logits and x [N, D], mean
    and log_variance [N, L]. Returns the mean (or sum, or each) over N, nats.
    """
    return gaussian_kl(mean, log_variance) - bernoulli_log_likelihood(logits, x)


def importance_weighted_bound(log_weights: Array) -> Array:
    """log (1/K sum of exp(log w_k)) of each example (Burda et al. 2015, equation 8).

    Standard signature of the piece `importance_weighted_bound`: log_weights [N, K] = log p(x, z_k) - log q(z_k | x).
    Returns [N] (or its mean), nats.
    """
    result = np.empty(len(log_weights))
    for n, row in enumerate(log_weights):
        largest = row.max()
        result[n] = largest + math.log(sum(math.exp(value - largest) for value in row) / len(row))
    return result


def kl_weight(update: int, warm_up: int) -> float:
    """min(1, update / warm_up): the weight of the divergence grows linearly over updates.

    Bowman et al. 2015, section 3.1.     Standard signature of the piece `kl_weight`: update (from 1), warm_up in
    updates.
    """
    return min(1.0, update / warm_up)


def kl_as_mistaken(mean: Array, log_variance: Array) -> dict[str, Array]:
    """Results of the mistakes that `KL_MISTAKES` names."""
    each = -0.5 * (1 + log_variance - mean**2 - np.exp(log_variance))
    return {
        "sign": -each.sum(-1),
        "averaged": each.mean(-1),
        "not summed": each,
        "no half": 2 * each.sum(-1),
        "log std": (-0.5 * (1 + 2 * log_variance - mean**2 - np.exp(2 * log_variance))).sum(-1),
        "std for variance": (-0.5 * (1 + log_variance - mean**2 - np.exp(0.5 * log_variance))).sum(-1),
        "no square": (-0.5 * (1 + log_variance - mean - np.exp(log_variance))).sum(-1),
        "no one": (-0.5 * (log_variance - mean**2 - np.exp(log_variance))).sum(-1),
        "reversed": 0.5 * ((1 + mean**2) / np.exp(log_variance) - 1 + log_variance).sum(-1),
    }


KL_MISTAKES = {
    "sign": "the sign of the KL divergence is wrong: it is below 0",
    "averaged": "the KL divergence is averaged over latent dimensions instead of summed",
    "not summed": "the KL divergence is not summed over latent dimensions",
    "no half": "the factor ½ of the KL divergence is missing",
    "log std": "log_variance is taken for log std",
    "std for variance": "the standard deviation stands where the variance belongs",
    "no square": "the mean is not squared",
    "no one": "the 1 is missing: the divergence of equal distributions is not 0",
    "reversed": "the divergence runs the other way: KL(p || q)",
}


def likelihood_as_mistaken(logits: Array, x: Array) -> dict[str, Array]:
    """Results of the mistakes that `LIKELIHOOD_MISTAKES` names."""
    right = bernoulli_log_likelihood(logits, x)
    p = 1 / (1 + np.exp(-logits))
    return {
        "averaged": right / logits.shape[1],
        "sign": -right,
        "twice": bernoulli_log_likelihood(p, x),
        "squares": -((p - x) ** 2).sum(-1),
        "half": (x * np.log(p)).sum(-1),
        "sign averaged": -right / logits.shape[1],
        "sign twice": -bernoulli_log_likelihood(p, x),
    }


LIKELIHOOD_MISTAKES = {
    "averaged": "the reconstruction is averaged over pixels, not summed",
    "sign": "the sign is wrong: the loss is returned, not the log-likelihood",
    "twice": "sigmoid applied twice: probabilities are handed over as logits",
    "squares": "squared error instead of the Bernoulli likelihood",
    "half": "the term of dark pixels, (1 - x) log(1 - p), is missing",
    "sign averaged": "the reconstruction is averaged over pixels, and its sign is the loss's",
    "sign twice": "sigmoid applied twice, and the sign is the loss's",
}


def negative_elbo_as_mistaken(logits: Array, x: Array, mean: Array, log_variance: Array) -> dict[str, Array]:
    """Results of the mistakes of either term, and of their balance, that `ELBO_MISTAKES` names."""
    reconstruction, kl = -bernoulli_log_likelihood(logits, x), gaussian_kl(mean, log_variance)
    pixels, latents, n = x.shape[1], mean.shape[1], len(x)
    kls, likelihoods = kl_as_mistaken(mean, log_variance), likelihood_as_mistaken(logits, x)
    return {
        "reconstruction averaged": reconstruction / pixels + kl,
        "kl averaged": reconstruction + kl / latents,
        "both averaged": reconstruction / pixels + kl / latents,
        "kl sign": reconstruction - kl,
        "sign": -reconstruction - kl,
        "reconstruction sign": -reconstruction + kl,
        "reconstruction twice": -likelihoods["twice"] + kl,
        "kl log std": reconstruction + kls["log std"],
        "kl no half": reconstruction + kls["no half"],
        "no kl": reconstruction,
        "kl summed over the batch": reconstruction + n * kl,
        "reconstruction averaged, kl summed over the batch": reconstruction / pixels + n * kl,
        "reconstruction summed over the batch": n * reconstruction + kl,
    }


ELBO_MISTAKES = {
    "reconstruction averaged": "the reconstruction is averaged over pixels, and the KL divergence summed",
    "kl averaged": KL_MISTAKES["averaged"],
    "kl sign": "the sign of the KL divergence is wrong",
    "both averaged": "both terms are averaged over their own axes, so that their balance is another",
    "reconstruction twice": LIKELIHOOD_MISTAKES["twice"],
    "sign": "the bound itself is returned, not its negative",
    "reconstruction sign": "the sign of the reconstruction is wrong",
    "kl log std": KL_MISTAKES["log std"],
    "kl no half": KL_MISTAKES["no half"],
    "no kl": "the KL divergence is left out",
    "kl summed over the batch": "the KL divergence is summed over the batch, the reconstruction averaged",
    "reconstruction averaged, kl summed over the batch": "the reconstruction is averaged over all, the KL summed",
    "reconstruction summed over the batch": "the reconstruction is summed over the batch, the KL divergence averaged",
}


def bound_as_mistaken(log_weights: Array) -> dict[str, Array]:
    """Results of the mistakes that `BOUND_MISTAKES` names."""
    samples = log_weights.shape[1]
    right = importance_weighted_bound(log_weights)
    return {
        "elbo": log_weights.mean(1),
        "no log K": right + math.log(samples),
        "sign": -right,
        "over the batch": importance_weighted_bound(log_weights.T),
        "largest": log_weights.max(1),
        "log K added": right + 2 * math.log(samples),
    }


BOUND_MISTAKES = {
    "elbo": "the importance-weighted bound is replaced by the ELBO (mean of logs instead of log of the mean)",
    "no log K": "log K is missing: the weights are summed, not averaged",
    "sign": "the sign is wrong: the loss is returned, not the bound",
    "over the batch": "samples and examples are exchanged: the mean runs over the batch",
    "largest": "only the largest weight counts",
    "log K added": "log K is added instead of subtracted",
}
