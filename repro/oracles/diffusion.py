"""Denoising diffusion (Ho et al. 2020, arXiv:2006.11239): tables, forward process, posterior; moving averages.

Steps count from 0 here as in code: t = 0 is the paper's t = 1, the first that adds noise.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


def alpha_bar(betas: Array) -> Array:
    """Product over s ≤ t of (1 - beta_s) (section 2).

    Standard signature of the piece `alpha_bar`: betas [T]. Returns [T]."""
    return np.array([math.prod(1 - float(beta) for beta in betas[: t + 1]) for t in range(len(betas))])


def alpha_bar_previous(betas: Array) -> Array:
    """alpha_bar of the step before; 1 before the first, where there is no noise. Same signature as `alpha_bar`."""
    table = alpha_bar(betas)
    return np.array([1.0 if t == 0 else table[t - 1] for t in range(len(betas))])


def posterior_variance(betas: Array) -> Array:
    """(1 - alpha_bar_(t-1)) / (1 - alpha_bar_t) · beta_t (equation 7); 0 at the first step.

    Standard signature of the piece `posterior_variance`: betas [T]. Returns [T], before any clipping of its logarithm.
    """
    now, before = alpha_bar(betas), alpha_bar_previous(betas)
    return np.array([(1 - before[t]) / (1 - now[t]) * betas[t] for t in range(len(betas))])


def posterior_mean(x0: Array, xt: Array, t: Integers, betas: Array) -> Array:
    """Mean of q(x_(t-1) | x_t, x_0) (equation 7).

    Standard signature of the piece `posterior_mean`: x0 and xt [N, D], t [N] int64 from 0, betas [T]. Returns [N, D].
    """
    now, before = alpha_bar(betas), alpha_bar_previous(betas)
    result = np.empty_like(xt)
    for n, step in enumerate(t):
        of_x0 = math.sqrt(before[step]) * betas[step] / (1 - now[step])
        of_xt = math.sqrt(1 - betas[step]) * (1 - before[step]) / (1 - now[step])
        result[n] = of_x0 * x0[n] + of_xt * xt[n]
    return result


def q_sample(x0: Array, t: Integers, noise: Array, alpha_bars: Array) -> Array:
    """sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) noise (equation 4).

    Standard signature of the piece `q_sample`: x0 and noise [N, D], t [N] int64 from 0, alpha_bars [T]. Returns [N,
    D].
    """
    result = np.empty_like(x0)
    for n, step in enumerate(t):
        result[n] = math.sqrt(alpha_bars[step]) * x0[n] + math.sqrt(1 - alpha_bars[step]) * noise[n]
    return result


def exponential_moving_average(average: Array, weights: Array, decay: float) -> Array:
    """decay · average + (1 - decay) · weights, one update.

    Standard signature of the piece `exponential_moving_average`: average and weights of one shape, decay. Returns the
    new average (the piece may also change `average` in place and return it).
    """
    return np.array(
        [decay * a + (1 - decay) * w for a, w in zip(average.ravel(), weights.ravel(), strict=True)]
    ).reshape(average.shape)


def alpha_bar_as_mistaken(betas: Array) -> dict[str, Array]:
    """Results of the mistakes that `ALPHA_BAR_MISTAKES` names."""
    return {
        "betas": np.cumprod(betas),
        "sum": 1 - np.cumsum(betas),
        "no product": 1 - betas,
        "square root": np.sqrt(alpha_bar(betas)),
        "shifted": alpha_bar_previous(betas),
        "reversed": alpha_bar(betas[::-1]),
    }


ALPHA_BAR_MISTAKES = {
    "betas": "alpha_bar is the product of betas instead of 1 - betas",
    "no product": "alpha is returned, not its cumulative product",
    "shifted": "alpha_bar is shifted by one step",
    "square root": "the square root of alpha_bar is returned",
    "sum": "betas are summed, not 1 - betas multiplied",
    "reversed": "the schedule runs backwards",
}


def posterior_variance_as_mistaken(betas: Array) -> dict[str, Array]:
    """Results of the mistakes that `POSTERIOR_MISTAKES` names."""
    now, before = alpha_bar(betas), alpha_bar_previous(betas)
    after = np.concatenate([now[1:], [1.0]])
    return {
        "wrong side": betas * (1 - after) / (1 - now),
        "beta": np.array(betas),
        "zero before": betas * (1 - np.concatenate([[0.0], now[:-1]])) / (1 - now),
        "upside down": betas * (1 - now) / np.where(before < 1, 1 - before, np.inf),
        "no beta": (1 - before) / (1 - now),
    }


POSTERIOR_MISTAKES = {
    "wrong side": "alpha_bar_prev is padded on the wrong side (that of the next step, not of the one before)",
    "zero before": "alpha_bar before the first step is 0 instead of 1",
    "beta": "beta itself is used (a choice of the sampler, not the posterior's variance)",
    "upside down": "the ratio is upside down",
    "no beta": "beta is missing",
}


def q_sample_as_mistaken(x0: Array, t: Integers, noise: Array, alpha_bars: Array) -> dict[str, Array]:
    """Results of the mistakes that `Q_SAMPLE_MISTAKES` names."""
    a = alpha_bars[t][:, None]
    late = alpha_bars[np.minimum(t + 1, len(alpha_bars) - 1)][:, None]
    early = alpha_bars[np.maximum(t - 1, 0)][:, None]
    return {
        "no square root of the noise": np.sqrt(a) * x0 + (1 - a) * noise,
        "no square root": a * x0 + (1 - a) * noise,
        "no square root of the data": a * x0 + np.sqrt(1 - a) * noise,
        "exchanged": np.sqrt(1 - a) * x0 + np.sqrt(a) * noise,
        "late": np.sqrt(late) * x0 + np.sqrt(1 - late) * noise,
        "early": np.sqrt(early) * x0 + np.sqrt(1 - early) * noise,
        "added": x0 + np.sqrt(1 - a) * noise,
    }


Q_SAMPLE_MISTAKES = {
    "no square root of the noise": "the noise coefficient lacks its square root",
    "no square root": "both coefficients lack their square root",
    "no square root of the data": "the coefficient of the data lacks its square root",
    "exchanged": "the coefficients of data and noise are exchanged",
    "late": "alpha_bar is read one step late (t + 1)",
    "early": "alpha_bar is read one step early (t - 1)",
    "added": "the data is not scaled down: the variance grows",
}
