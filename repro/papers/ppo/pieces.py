"""Adapters from this paper's environments to the signatures of the oracles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from repro.papers.ppo.environments import Array, Environment, Environments, Observations, Rewards
from repro.papers.ppo.environments import collect as collect_steps


def collect(environment: Any, act: Callable[[Array], Any], steps: int) -> dict[str, Array]:
    """`steps` steps in one environment with gymnasium's interface.

    Returns:
        observations [T, …], actions, rewards, terminated, truncated [T]
    """
    observations, rewards = Observations((2,), False, None), Rewards(1, 0.99, False, None)
    environments = Environments([Environment(environment)], observations, rewards, learn=True)
    rollout = collect_steps(environments, lambda seen: np.array([act(seen[0])]), steps)
    names = {"observations": "observation", "actions": "action", "rewards": "reward"}
    names |= {name: name for name in ("terminated", "truncated")}
    return {theirs: rollout[ours][:, 0] for theirs, ours in names.items()}


def flatten_rollout(rollout: dict[str, Any]) -> dict[str, Any]:
    """dict of tensors [T, N, …] → [T N, …]."""
    from repro.papers.ppo.data import flatten

    return flatten(rollout)
