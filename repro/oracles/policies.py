"""Log-probabilities, entropies and losses of policies: REINFORCE, PPO and the value function."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from repro.oracles.returns import returns

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


def probabilities(logits: Array) -> Array:
    """softmax over the last axis."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def categorical_log_probability(logits: Array, actions: Integers) -> Array:
    """log softmax(logits)[action].

    Standard signature of the piece `categorical_log_probability`: logits [N, A], actions [N] int64. Returns [N], nats.
    """
    return np.array([math.log(probabilities(row)[action]) for row, action in zip(logits, actions, strict=True)])


def categorical_entropy(logits: Array) -> Array:
    """- sum of p log p. Standard signature of the piece `categorical_entropy`: logits [N, A]. Returns [N], nats."""
    return np.array([-sum(p * math.log(p) for p in probabilities(row) if p > 0) for row in logits])


def gaussian_log_probability(mean: Array, log_std: Array, actions: Array) -> Array:
    """log density of a normal with independent dimensions, summed over them.

    Standard signature of the piece `gaussian_log_probability`: mean, log_std and actions [N, D]. Returns [N], nats.
    """
    result = np.zeros(len(mean))
    for n, d in np.ndindex(*mean.shape):
        std = math.exp(log_std[n, d])
        result[n] += -((actions[n, d] - mean[n, d]) ** 2) / (2 * std**2) - math.log(std) - 0.5 * math.log(2 * math.pi)
    return result


def gaussian_entropy(log_std: Array) -> Array:
    """Sum over dimensions of ½ log(2 π e std²).

    Standard signature of `gaussian_entropy`: log_std [N, D]. Returns [N]."""
    return np.array([sum(0.5 * math.log(2 * math.pi * math.e) + value for value in row) for row in log_std])


def tanh_gaussian_log_probability(mean: Array, log_std: Array, unsquashed: Array) -> Array:
    """log density of a = tanh(u), u normal: log N(u) - sum of log(1 - tanh(u)²) (Haarnoja et al. 2018, equation 21).

    Standard signature of the piece `tanh_gaussian_log_probability`: mean, log_std and unsquashed (u, before tanh) [N,
    D]. Returns [N], nats.
    """
    result = gaussian_log_probability(mean, log_std, unsquashed)
    for n, d in np.ndindex(*mean.shape):
        result[n] -= math.log(1 - math.tanh(unsquashed[n, d]) ** 2)
    return result


def policy_gradient_loss(logits: Array, actions: Integers, advantages: Array, entropy_coefficient: float) -> Array:
    """- log π(a) A - c H(π) of each example; its mean is minimised (Williams 1992; Mnih et al. 2016, section 4).

    Standard signature of the piece `policy_gradient_loss`: logits [N, A], actions [N] int64, advantages [N],
    entropy_coefficient. Returns the mean (or sum) over N.
    """
    bonus = entropy_coefficient * categorical_entropy(logits)
    return np.asarray(-categorical_log_probability(logits, actions) * advantages - bonus)


def reinforce_loss(log_probabilities: Array, rewards: Array, gamma: float) -> Array:
    """- log π(a_t) G_t of each step of one episode, G_t the reward-to-go (Sutton and Barto 2018, section 13.3).

    Standard signature of the piece `reinforce_loss`: log_probabilities [T], rewards [T], gamma. Returns the sum (or
    mean).
    """
    return np.asarray(-log_probabilities * returns(rewards, gamma))


def ppo_surrogate(log_probabilities: Array, old_log_probabilities: Array, advantages: Array, clip: float) -> Array:
    """- min(r A, clip(r, 1 - ε, 1 + ε) A), r = π / π_old, of each example (Schulman et al. 2017, equation 7, negated).

    Standard signature of the piece `ppo_surrogate`: log_probabilities, old_log_probabilities, advantages [N], clip
    (ε). Returns the mean (or sum) over N of what is minimised.
    """
    result = np.empty(len(advantages))
    for n, advantage in enumerate(advantages):
        ratio = math.exp(log_probabilities[n] - old_log_probabilities[n])
        result[n] = -min(ratio * advantage, min(max(ratio, 1 - clip), 1 + clip) * advantage)
    return result


def value_loss(values: Array, old_values: Array, targets: Array, clip: float | None) -> Array:
    """(V - R)² of each example, or with `clip` max((V - R)², (V_old + clip(V - V_old, ± ε) - R)²), as baselines has it.

    Standard signature of the piece `value_loss`: values, old_values (of the rollout), targets [N], clip (ε, or None).
    Returns the mean (or sum) over N; a factor ½ is a convention.
    """
    result = np.empty(len(values))
    for n in range(len(values)):
        result[n] = (values[n] - targets[n]) ** 2
        if clip is not None:
            moved = old_values[n] + min(max(values[n] - old_values[n], -clip), clip)
            result[n] = max(result[n], (moved - targets[n]) ** 2)
    return result


def log_probability_mistakes(mean: Array, log_std: Array, actions: Array) -> dict[str, Array]:
    """Results of the mistakes of a diagonal Gaussian that `LOG_PROBABILITY_MISTAKES` names; arguments as the oracle."""
    z = (actions - mean) / np.exp(log_std)
    each = -0.5 * z**2 - log_std - 0.5 * math.log(2 * math.pi)
    as_variance = -0.5 * (actions - mean) ** 2 / np.exp(log_std) - 0.5 * log_std - 0.5 * math.log(2 * math.pi)
    return {
        "not summed": each,
        "averaged": each.mean(-1),
        "no constant": (-0.5 * z**2 - log_std).sum(-1),
        "no scale": (-0.5 * z**2 - 0.5 * math.log(2 * math.pi)).sum(-1),
        "variance": as_variance.sum(-1),
    }


LOG_PROBABILITY_MISTAKES = {
    "not summed": "log-probabilities are not summed over the action dimensions",
    "averaged": "log-probabilities are averaged over the action dimensions instead of summed",
    "no scale": "the logarithm of the standard deviation is missing",
    "variance": "log_std is taken for the log of the variance",
    "no constant": "the constant ½ log 2π is missing (harmless in ratios, wrong in entropies)",
}
