"""Discounted returns and generalised advantage estimates, each step summed anew from its definition (O(T²)).

Termination and truncation are told apart (Pardo et al. 2018, arXiv:1712.00378): a terminal state is worth zero, a
state in which an episode was cut off is worth its value. Either way nothing of the next episode counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


def returns(rewards: Array, gamma: float) -> Array:
    """G_t = sum over k ≥ 0 of gamma^k r_(t+k) of one finished episode (Sutton and Barto 2018, equation 3.8).

    Standard signature of the piece `returns`: rewards [T], gamma. Returns [T], earliest step first.
    """
    steps = len(rewards)
    return np.array(
        [sum(gamma ** (k - t) * rewards[k] for k in range(t, steps)) for t in range(steps)], dtype=np.float64
    )


def gae(
    rewards: Array, values: Array, next_values: Array, terminated: Flags, truncated: Flags, gamma: float, lam: float
) -> Array:
    """A_t = sum over l ≥ 0 of (gamma lam)^l delta_(t+l) up to the end of the episode.

    delta_t = r_t + gamma V(s_(t+1)) - V(s_t). Schulman et al. 2015, arXiv:1506.02438, equation 16. Standard signature
    of the piece `gae`: rewards, values, next_values, terminated, truncated [T, N], gamma, lam. `values` are of the
    states acted in, `next_values` of the states that the step of the same row reached: at a truncated step the last
    state of the episode, not the first of the next, and in the last row the state in which the rollout stopped. Flags
    are 1.0 or 0.0 and belong to the step of their row. Returns the advantages [T, N].
    """
    steps, environments = rewards.shape
    result = np.zeros((steps, environments))
    for n in range(environments):
        for t in range(steps):
            for k in range(t, steps):
                worth = 0.0 if terminated[k, n] else next_values[k, n]
                result[t, n] += (gamma * lam) ** (k - t) * (rewards[k, n] + gamma * worth - values[k, n])
                if terminated[k, n] or truncated[k, n]:
                    break
    return result


def td_target(rewards: Array, terminated: Flags, next_values: Array, gamma: float) -> Array:
    """r + gamma V(s') where the episode goes on, r where it terminated (Sutton and Barto 2018, equation 6.3; with the
    largest value of the actions of s' it is that of DQN, Mnih et al. 2015, algorithm 1).

    Standard signature of the piece `td_target`: rewards, terminated, next_values [N], gamma. Flags are 1.0 or 0.0 and
    belong to the step of their row; a step that a time limit cut off has none. Returns [N].
    """
    return np.array([r if over else r + gamma * v for r, over, v in zip(rewards, terminated, next_values, strict=True)])


def td_target_as_mistaken(rewards: Array, terminated: Flags, next_values: Array, gamma: float) -> dict[str, Array]:
    """Results of the mistakes that `TD_TARGET_MISTAKES` names."""
    over = terminated.astype(np.float64)
    return {
        "flag ignored": rewards + gamma * next_values,
        "flag inverted": rewards + gamma * over * next_values,
        "no discount": rewards + (1 - over) * next_values,
        "reward too": (1 - over) * (rewards + gamma * next_values),
        "reward discounted": gamma * (rewards + (1 - over) * next_values),
        "no reward": gamma * (1 - over) * next_values,
        "flag of the step before": rewards + gamma * (1 - np.roll(over, 1)) * next_values,
        "flag of the next step": rewards + gamma * (1 - np.roll(over, -1)) * next_values,
    }


TD_TARGET_MISTAKES = {
    "flag ignored": "what follows the end of an episode counts (1 - done is missing)",
    "flag inverted": "the flag is read the other way round (done for 1 - done)",
    "no discount": "the discount is missing",
    "reward too": "the reward of the last step is left out too",
    "reward discounted": "the reward is discounted with the value",
    "no reward": "the reward is missing",
    "flag of the step before": "the flag of the step before is used",
    "flag of the next step": "the flag of the next step is used",
}


def normalised(advantages: Array, correction: int = 1) -> Array:
    """(A - mean) / standard deviation over all of them (Andrychowicz et al. 2020, arXiv:2006.05990, choice C67).

    Standard signature of the piece `normalise_advantages`: advantages [N]. Returns [N]. `correction` is 1 for the
    unbiased variance (PyTorch's default), 0 for NumPy's.
    """
    mean = advantages.sum() / advantages.size
    variance = ((advantages - mean) ** 2).sum() / (advantages.size - correction)
    return np.asarray((advantages - mean) / np.sqrt(variance))


def returns_as_mistaken(rewards: Array, gamma: float) -> dict[str, Array]:
    """Results of the mistakes that `RETURNS_MISTAKES` names."""
    right = returns(rewards, gamma)
    return {
        "undiscounted": returns(rewards, 1.0),
        "reversed": right[::-1].copy(),
        "whole episode": np.full_like(right, right[0]),
        "from the start": np.array([gamma**t * right[t] for t in range(len(right))]),
        "past": returns(rewards[::-1], gamma)[::-1].copy(),
        "late": gamma * right,
    }


RETURNS_MISTAKES = {
    "undiscounted": "the discount is forgotten (ret = r + ret)",
    "reversed": "returns are in reverse order (append for insert(0, …))",
    "whole episode": "the return of the whole episode is given to every step instead of the reward-to-go",
    "from the start": "discounted from the start of the episode, not from the step itself",
    "past": "rewards of the past are summed instead of those to come",
    "late": "one discount too many: the reward of the step itself is discounted",
}


def gae_as_mistaken(
    rewards: Array, values: Array, next_values: Array, terminated: Flags, truncated: Flags, gamma: float, lam: float
) -> dict[str, Array]:
    """Results of the mistakes that `GAE_MISTAKES` names; arguments as `gae`."""
    steps = len(rewards)
    never = np.zeros_like(terminated)

    def backwards(
        alive: Any, continues: Any, after: Array, decay: float = gamma * lam, discount: float = gamma
    ) -> Array:
        result, last = np.zeros_like(values), np.zeros(values.shape[1])
        for t in reversed(range(steps)):
            delta = rewards[t] + discount * after[t] * alive[t] - values[t]
            last = delta + decay * continues[t] * last
            result[t] = last
        return result

    alive = 1.0 - terminated
    continues = 1.0 - (terminated | truncated)
    following = np.concatenate([values[1:], next_values[-1:]])  # V of the next row, whatever episode it is of
    unfinished = next_values.copy()
    unfinished[-1] = 0.0
    shifted = 1.0 - np.concatenate([(terminated | truncated)[1:], never[:1]])
    earlier = 1.0 - np.concatenate([never[:1], (terminated | truncated)[:-1]])
    right = gae(rewards, values, next_values, terminated, truncated, gamma, lam)
    return {
        "truncated as terminated": gae(rewards, values, next_values, terminated | truncated, never, gamma, lam),
        "flag of the next step": backwards(shifted, shifted, next_values),
        "flag of the next step, rows": backwards(shifted, shifted, following),
        "flag of the step before": backwards(earlier, earlier, next_values),
        "flag of the step before, rows": backwards(earlier, earlier, following),
        "no bootstrap": gae(rewards, values, unfinished, terminated, truncated, gamma, lam),
        "no bootstrap, rows": gae(
            rewards, values, np.concatenate([values[1:], 0 * values[:1]]), terminated, truncated, gamma, lam
        ),
        "no gamma in the decay": backwards(alive, continues, next_values, decay=lam),
        "no lambda": backwards(alive, continues, next_values, decay=gamma),
        "no discount": backwards(alive, continues, next_values, discount=1.0),
        "flags ignored": gae(rewards, values, next_values, never, never, gamma, lam),
        "across episodes": backwards(alive, np.ones_like(alive), next_values),
        "across truncation": backwards(alive, alive, next_values),
        "next episode's value": gae(rewards, values, following, terminated, truncated, gamma, lam),
        "value not subtracted": right + values,
        "sign": -right,
    }


GAE_MISTAKES = {
    "truncated as terminated": "time-limit truncation is treated as termination (the last value is not bootstrapped)",
    "flag of the next step": "the done flag is read at the wrong index (of the next step, done[t + 1])",
    "flag of the next step, rows": "the done flag is read at the wrong index (of the next step, done[t + 1])",
    "flag of the step before": "the done flag is read at the wrong index (of the step before, done[t - 1])",
    "flag of the step before, rows": "the done flag is read at the wrong index (of the step before, done[t - 1])",
    "no bootstrap": "no bootstrap at the end of the rollout (the last next value is 0)",
    "no bootstrap, rows": "no bootstrap at the end of the rollout (the last next value is 0)",
    "no gamma in the decay": "gamma is missing in the decay of GAE (lam for gamma · lam)",
    "no lambda": "lambda is missing in the decay of GAE (gamma for gamma · lam)",
    "no discount": "gamma is missing in delta: the next value is not discounted",
    "flags ignored": "episode ends are ignored: the advantages of one episode see the next",
    "across episodes": "the sum runs on across the end of an episode",
    "across truncation": "the sum runs on across a truncation into the next episode",
    "next episode's value": "at a truncation the value of the next episode's first state is bootstrapped",
    "value not subtracted": "the value is not subtracted: these are lambda-returns, not advantages",
    "sign": "the sign of the advantages is wrong (value minus return)",
}


def normalised_as_mistaken(advantages: Array) -> dict[str, Array]:
    """Results of the mistakes that `NORMALISED_MISTAKES` names."""
    mean, std = advantages.mean(), advantages.std(ddof=1)
    return {
        "precedence": np.asarray(advantages - mean / std),
        "centred": np.asarray(advantages - mean),
        "scaled": np.asarray(advantages / std),
        "variance": np.asarray((advantages - mean) / std**2),
        "untouched": advantages,
    }


NORMALISED_MISTAKES = {
    "precedence": "operator precedence: only the mean is divided (a - a.mean() / a.std())",
    "centred": "not divided by the standard deviation",
    "scaled": "the mean is not subtracted",
    "variance": "divided by the variance instead of the standard deviation",
    "untouched": "advantages are not normalised at all",
}
