"""The returns that evaluation and training report, against the rewards that the environments gave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from repro.checks.inputs import component_location
from repro.checks.passes import needs_acting
from repro.checks.registry import check, failed, not_run, passed
from repro.checks.watch import seed_all
from repro.contract.bench import Bench
from repro.findings import Finding


@dataclass
class Played:
    """Rewards of one environment, an entry for each episode that was begun; `ended` of those that came to an end."""

    episodes: list[list[float]] = field(default_factory=list)
    ended: list[bool] = field(default_factory=list)


@contextmanager
def recorded_environments() -> Iterator[list[Played]]:
    """Every environment that `gymnasium.make` gives inside leaves the rewards it gave, before anybody scaled them."""
    import gymnasium

    original, all_played = gymnasium.make, []

    def make(*arguments: Any, **named: Any) -> Any:
        made = original(*arguments, **named)
        raw, played = made.unwrapped, Played()
        limit = made.spec.max_episode_steps if made.spec else None
        step, reset = raw.step, raw.reset
        all_played.append(played)

        def recorded_step(action: Any) -> Any:
            result = step(action)
            played.episodes[-1].append(float(result[1]))
            played.ended[-1] = bool(result[2] or result[3] or len(played.episodes[-1]) == limit)
            return result

        def recorded_reset(*given: Any, **more: Any) -> Any:
            played.episodes.append([])
            played.ended.append(False)
            return reset(*given, **more)

        vars(raw).update(step=recorded_step, reset=recorded_reset)
        return made

    gymnasium.make = make
    try:
        yield all_played
    finally:
        gymnasium.make = original


def why_unwatched(bench: Bench) -> str:
    """Why no environment can be recorded, "" where one can."""
    if not needs_acting(bench):
        return "the data do not come from acting"
    return "" if find_spec("gymnasium") else "gymnasium is not installed, so no environment can be watched"


PASSES = 6  # of acting, at most, until an episode has ended


@check(phase="data", family="oracle", component="data")
def finished_returns(bench: Bench, *, tensor: str = "", window: int = 100) -> Finding:
    """Decides whether a number that batches carry is the mean undiscounted return, in the environment's own rewards, of
    the last `window` episodes that acting for training has finished.

    The rewards of every environment are recorded inside gymnasium while batches are made.
    Broken: a number that is no mean of the returns of the episodes that had ended when its batch was handed out.
    Likely: rewards scaled or clipped for training are summed | returns are discounted | an episode is counted before it
    has ended | summed instead of averaged
    """
    if not tensor:
        return not_run("declare {property: finished_returns, tensor: <of the batch>, window: <episodes>} to get it")
    reason = why_unwatched(bench) or ("" if tensor in bench.paper.tensors else f"{tensor!r} is no declared tensor")
    if reason:
        return not_run(reason)
    with recorded_environments() as played, bench.precision(torch.float32):
        seed_all(bench.seed)
        model = bench.model(dtype=torch.float32)
        data = bench.paper.build_data(bench.seed)
        seen: list[tuple[float, list[float]]] = []
        for _ in range(PASSES):
            for batch in data.batches("train", model=model):
                if tensor in batch:
                    seen.append((float(batch[tensor]), whole_episodes(played)))
            if seen:
                break
    if not seen or len(seen[-1][1]) > window:
        many = "too many episodes end in one rollout to know which were last" if seen else "no episode ended"
        return not_run(f"in {PASSES} rollouts at most, no {tensor} could be told: {many}")
    fields: dict[str, Any] = {"component": tensor, "location": component_location(bench, "data")}
    for value, returns in seen:
        mean = float(np.mean(returns)) if returns else float("nan")
        bound = 1e-4 * max(1.0, *(abs(number) for number in returns), 0.0)
        if not abs(value - mean) <= bound:
            likely = ["rewards scaled or clipped for training are summed", "returns are discounted"]
            if returns and abs(value - sum(returns)) <= bound * len(returns):
                likely.insert(0, "summed instead of averaged")
            elif returns and value > max(returns) + bound:
                likely.insert(0, "the sum of an episode is not set back to 0 when the next one begins")
            elif returns and min(returns) - bound <= value <= max(returns) + bound:
                likely.insert(0, "only some of the episodes are averaged, or one that has not ended")
            return failed(
                f"{tensor} is not the mean return of the episodes that had ended",
                expected=f"{mean:.6g}: mean undiscounted return of {len(returns)} whole episodes",
                observed=f"{value:.6g}",
                threshold=f"{bound:.2g} (float32 sums)",
                likely=tuple(likely),
                **fields,
            )
    return passed(f"{tensor} is the mean return of the episodes that had ended, {len(seen[-1][1])} at last", **fields)


def whole_episodes(played: list[Played], before: Sequence[int] = ()) -> list[float]:
    """Undiscounted returns of the episodes that came to an end, without the first ones: so many `before`, by place."""
    found: list[float] = []
    for number, one in enumerate(played):
        first = before[number] if number < len(before) else 0
        found += [sum(r) for r, ended in zip(one.episodes[first:], one.ended[first:], strict=True) if ended]
    return found


@check(phase="evaluation", family="oracle", component="evaluation")
def evaluated_returns(bench: Bench, *, metric: str = "episode_return") -> Finding:
    """Decides whether a metric is the mean undiscounted return, in the environment's own rewards, of whole episodes.

    The rewards of every environment are recorded inside gymnasium while evaluate() plays.
    Broken: a metric that is no mean of the returns of the episodes that were played to their end.
    Likely: rewards scaled or clipped for training are summed | returns are discounted | an episode is counted before it
    has ended | the returns of training episodes are evaluated
    """
    reason = why_unwatched(bench)
    if reason:
        return not_run(reason)
    with recorded_environments() as played, bench.precision(torch.float32):
        seed_all(bench.seed)
        model = bench.model(dtype=torch.float32)
        data = bench.paper.build_data(bench.seed)
        next(iter(data.batches("train", model=model)), None)  # so that running statistics have learned something
        before = [len(one.episodes) for one in played]
        metrics = bench.evaluate(model, "test", data=data)
    if metric not in metrics:
        return not_run(f"evaluate returns no {metric}, only {', '.join(metrics)}")
    whole = whole_episodes(played, before)
    if not whole:
        return not_run("no environment that gymnasium.make gave was played to an end while evaluate() ran")
    value, bound = float(metrics[metric]), 1e-4 * max(1.0, *(abs(number) for number in whole))
    count = (bench.paper.settings.get("evaluation") or {}).get("episodes")
    sizes = {len(whole), *([int(count)] if isinstance(count, int) and count <= len(whole) else [])}
    fields: dict[str, Any] = {
        "expected": f"{float(np.mean(whole)):.6g}: mean undiscounted return of {len(whole)} whole episodes",
        "observed": f"{metric} {value:.6g}",
        "threshold": f"{bound:.2g} (float32 sums)",
        "location": component_location(bench, "evaluation"),
    }
    if any(abs(value - float(np.mean(whole[:size]))) <= bound for size in sizes):
        return passed(f"{metric} is the mean return of the episodes played", **fields)
    likely = [
        "rewards scaled or clipped for training are summed",
        "returns are discounted",
        "an episode is counted before it has ended",
    ]
    if not min(whole) - bound <= value <= max(whole) + bound:
        return failed(f"{metric} lies outside of all returns that were played", likely=tuple(likely), **fields)
    likely = ["an episode is counted before it has ended", "only some of the episodes are averaged", *likely[:2]]
    return failed(f"{metric} is not the mean return of the episodes played", likely=tuple(likely), **fields)
