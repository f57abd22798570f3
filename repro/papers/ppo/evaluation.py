"""What is reported of an agent: the mean of the last 100 training episodes, and the return of evaluation episodes.

Returns are undiscounted sums of the rewards that the environment itself gives, never of scaled or clipped ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean, pstdev
from typing import Any

import numpy as np
from torch import nn


def evaluate(
    model: nn.Module,
    data: Any,
    split: str = "test",
    trajectory: Iterable[Mapping[str, Any]] | None = None,
    episodes: int = 10,
    sample: bool = False,
) -> dict[str, float]:
    """Metrics of `model`, in eval mode; the mode is restored afterwards.

    Args:
        model: actor and critic.
        data: gives episodes(split, model, count, sample).
        split: "validation" or "test": seeds of the environments.
        trajectory: rows logged while training; None leaves `last_100_episodes` out.
        episodes: how many to play.
        sample: whether actions are drawn, as while training, or the mode of the policy is taken.

    Returns:
        episode_return: mean undiscounted return of the episodes played.
        episode_return_sd: their standard deviation, of one policy over its episodes.
        last_100_episodes: mean return of the last 100 episodes that training finished (section 6.1), played by the
            exploring policy while it still changed.
    """
    was_training = model.training
    model.eval()
    try:
        returns = data.episodes(split, model, episodes, sample)
    finally:
        model.train(was_training)
    metrics = {"episode_return": fmean(returns), "episode_return_sd": pstdev(returns)}
    last = last_100_episodes(trajectory or ())
    return metrics if last is None else {**metrics, "last_100_episodes": last}


def pictures(model: nn.Module, data: Any) -> dict[str, Any]:
    """The policy at work in one test episode, and what its critic expects there beside what came."""
    model.eval()
    frames, why, rewards, values = data.film(model, 100)
    worth, after = [], 0.0
    for reward in reversed(rewards):
        after = reward + data.gamma * after
        worth.append(after)
    episode = f"one test episode without exploration, return {sum(rewards):.4g} in {len(rewards)} steps"
    drawn = {"missing": f"not rendered: {why}"} if why else {"frames": np.stack(frames)}
    found: dict[str, Any] = {"episode": {**drawn, "caption": episode}}
    if data.rewards.running is None:  # else V is in units of scaled rewards
        caption = "V of each state of that episode, and the discounted return that followed it (0 after the last step)"
        found["value"] = {"lines": np.array([values, worth[::-1]]), "caption": caption}
    return found


def last_100_episodes(trajectory: Iterable[Mapping[str, Any]]) -> float | None:
    """The newest value that training logged; None if no episode had ended by then."""
    logged = {
        row["update"]: row["last_100_episodes"]
        for row in trajectory
        if row.get("split") == "train" and row.get("last_100_episodes") is not None
    }
    return logged[max(logged)] if logged else None
