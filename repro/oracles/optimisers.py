"""Optimiser steps from their papers' definitions, in float64 NumPy, one array at a time.

Standard signature: `step(parameter, gradient, state, number, …) -> (new parameter, new state)`; `number` counts updates
from 1, `state` is a dict that starts empty. Arrays may have any shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

State = dict[str, np.ndarray]


def sgd_step(
    parameter: np.ndarray,
    gradient: np.ndarray,
    state: State,
    number: int,
    *,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    dampening: float = 0.0,
) -> tuple[np.ndarray, State]:
    """Stochastic gradient descent with momentum as PyTorch writes it: v ← μ v + (1 − τ) g, w ← w − lr v.

    The velocity starts as the first gradient. Sutskever et al. 2013 put lr inside the velocity; both agree while lr is
    constant. Weight decay is the gradient of (λ/2)‖w‖², added to g.
    """
    g = np.asarray(gradient, dtype=np.float64) + weight_decay * np.asarray(parameter, dtype=np.float64)
    if momentum:
        velocity = g if "velocity" not in state else momentum * state["velocity"] + (1 - dampening) * g
        state = {"velocity": velocity}
        g = g + momentum * velocity if nesterov else velocity
    return parameter - lr * g, state


def adam_step(
    parameter: np.ndarray,
    gradient: np.ndarray,
    state: State,
    number: int,
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    epsilon_hat: bool = False,
) -> tuple[np.ndarray, State]:
    """Adam (Kingma & Ba 2015, Algorithm 1); `decoupled` is AdamW (Loshchilov & Hutter 2019, Algorithm 2).

    `epsilon_hat` is the reordered form of the end of their section 2, eps added before the correction of v's bias.
    """
    w = np.asarray(parameter, dtype=np.float64)
    g = np.asarray(gradient, dtype=np.float64)
    if weight_decay and not decoupled:
        g = g + weight_decay * w
    beta1, beta2 = betas
    m = beta1 * state.get("m", np.zeros_like(g)) + (1 - beta1) * g
    v = beta2 * state.get("v", np.zeros_like(g)) + (1 - beta2) * g**2
    correction1, correction2 = 1 - beta1**number, 1 - beta2**number
    if epsilon_hat:
        change = lr * np.sqrt(correction2) / correction1 * m / (np.sqrt(v) + eps)
    else:
        change = lr * (m / correction1) / (np.sqrt(v / correction2) + eps)
    if weight_decay and decoupled:
        w = w - lr * weight_decay * w
    return w - change, {"m": m, "v": v}


def adamw_step(
    parameter: np.ndarray, gradient: np.ndarray, state: State, number: int, **settings: Any
) -> tuple[np.ndarray, State]:
    """AdamW: Adam whose weight decay acts on the weights and not through the moments."""
    return adam_step(parameter, gradient, state, number, **{**settings, "decoupled": True})


def clip_by_norm(gradients: list[np.ndarray], limit: float) -> list[np.ndarray]:
    """All gradients times min(1, limit / their joint Euclidean norm) (Pascanu et al. 2013, Algorithm 1)."""
    norm = float(np.sqrt(sum(float((np.asarray(g, dtype=np.float64) ** 2).sum()) for g in gradients)))
    scale = min(1.0, limit / norm) if norm > 0 else 1.0
    return [scale * np.asarray(g, dtype=np.float64) for g in gradients]


STEPS: dict[str, Callable[..., tuple[np.ndarray, State]]] = {"sgd": sgd_step, "adam": adam_step, "adamw": adamw_step}
