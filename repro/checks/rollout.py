"""Pieces that collect experience, in a small environment whose every number can be recomputed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from repro.checks.oracle import bound_piece
from repro.checks.pieces import fields_of
from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.contract.components import persons_errors
from repro.findings import Finding

SIGNATURE = "(environment, act, steps) → dict of observations [T, 2], actions, rewards, terminated, truncated [T]"


class Track:
    """A walk on two numbers with gymnasium's interface: r = o₀ + 10 a; episodes end after 5 steps or are cut at 4.

    `reset(seed=…)` starts anew as gymnasium does: a seed restarts the generator, without one it goes on.
    """

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.episodes = -1
        self.observation = np.zeros(2, np.float32)
        self.starts: list[np.ndarray] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        if seed is not None:
            self.random = np.random.default_rng(seed)
        self.episodes += 1
        self.steps = 0
        self.observation = self.random.normal(size=2).astype(np.float32)
        self.starts.append(self.observation.copy())
        return self.observation.copy(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        chosen = int(action)
        reward = float(self.observation[0]) + 10.0 * chosen
        self.observation = (0.9 * self.observation + np.float32(chosen) + self.random.normal(size=2) * 0.1).astype(
            np.float32
        )
        self.steps += 1
        even = self.episodes % 2 == 0
        return self.observation.copy(), reward, even and self.steps == 5, not even and self.steps == 4, {}


def act(observation: Any) -> int:
    """The action of an observation, a function of it, so that it can be recomputed: 0, 1 or 2."""
    return int(abs(float(np.asarray(observation).reshape(-1)[1])) * 7) % 3


@check(phase="data", family="data", component="collect")
def collect_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the piece `collect` stores each reward and each end with the step it belongs to.

    The environment has gymnasium's reset and step; act(observation) gives an action that can be recomputed.
    Broken: r ≠ f(s, a) in some row, an action of another observation, a flag in another row, or every episode alike.
    Likely: the reward is stored one step late | the same seed is given at every reset | the observation after the
    step is stored instead of the one acted on | flags are stored one step late
    """
    steps = 30
    piece = bound_piece(bench, "collect", SIGNATURE, Track(), act, steps)
    if isinstance(piece, Finding):
        return [piece]
    track = Track()
    with persons_errors(f"pieces.collect raised on {SIGNATURE}"), torch.no_grad():
        stored = piece(track, act, steps)
    names = ("observations", "actions", "rewards", "terminated", "truncated")
    if not isinstance(stored, dict) or any(name not in stored for name in names):
        return [
            not_run(
                f"pieces.collect must return {SIGNATURE.partition('→ ')[2]}; bridge it in pieces.py",
                component="collect",
            )
        ]
    rows = {name: np.asarray(stored[name], dtype=np.float64) for name in names}
    seen = rows["observations"].reshape(-1, 2)
    actions, rewards, terminated, truncated = (rows[name].reshape(-1) for name in names[1:])
    if not len(seen) == len(actions) == len(rewards) == len(terminated) == len(truncated):
        lengths = {name: len(value) for name, value in rows.items()}
        return [
            failed(
                "collect stores unequal numbers of rows",
                expected="one row a step",
                observed=str(lengths),
                **fields_of(bench, "collect"),
            )
        ]
    wanted = np.array([act(row) for row in seen])
    findings = [judge_rows(bench, "action", actions, wanted)]
    findings.append(judge_rows(bench, "reward", rewards, seen[:, 0] + 10 * actions))
    findings.append(judge_ends(bench, terminated != 0, truncated != 0))
    findings.append(judge_starts(bench, track))
    return findings


def judge_rows(bench: Bench, what: str, stored: np.ndarray, wanted: np.ndarray) -> Finding:
    """Rewards or actions against what their own row's observation and action give, in float32."""

    def equal(a: np.ndarray, b: np.ndarray) -> bool:
        return bool(np.allclose(a, b, rtol=1e-5, atol=1e-5))

    fields = fields_of(bench, "collect", threshold="1e-5 (the environment computes in float32)")
    wrong = np.flatnonzero(~np.isclose(stored, wanted, rtol=1e-5, atol=1e-5))
    if not len(wrong):
        return passed(f"every {what} belongs to the observation of its row", **fields)
    late = f"the {what} is stored one step late (that of the step before)"
    early = f"the {what} is stored one step early (that of the step after)"
    after = "the observation after the step is stored instead of the one acted on"
    others = ("flags and observations are stored at different places of the step",)
    order = (late, after, early)
    if equal(stored[:-1], wanted[1:]):
        order = (early, after, late)
    elif what == "action":
        order = (after, late, early)
    first = int(wrong[0])
    return failed(
        f"{len(wrong)} of {len(stored)} {what}s do not belong to the observation of their row",
        expected=f"{what} {wanted[first]:.4g} in row {first}",
        observed=f"{stored[first]:.4g}",
        likely=(*order, *others),
        **fields,
    )


def judge_ends(bench: Bench, terminated: np.ndarray, truncated: np.ndarray) -> Finding:
    """Episodes last 5 steps and terminate, or 4 and are truncated, in turn."""
    steps = len(terminated)
    right = np.zeros((2, steps), bool)
    place, number = 0, 0
    while (place := place + (4 if number % 2 else 5)) <= steps:
        right[number % 2, place - 1] = True
        number += 1
    fields = fields_of(
        bench,
        "collect",
        expected="terminated in rows {}, truncated in {}".format(*(np.flatnonzero(x).tolist() for x in right)),
        observed="terminated in rows {}, truncated in {}".format(
            *(np.flatnonzero(x).tolist() for x in (terminated, truncated))
        ),
        threshold="exact",
    )
    if (terminated == right[0]).all() and (truncated == right[1]).all():
        return passed("every end of an episode stands in the row of its last step", **fields)
    both = right[0] | right[1]
    late = "flags are stored one step late (done before the action: bridge it with the next step's flag)"
    merged = "time-limit truncation is stored as termination"
    order = (merged, late) if (terminated == both).all() else (late, merged)
    return failed(
        "ends of episodes are stored wrongly", likely=(*order, "the environment is not reset at the end"), **fields
    )


def judge_starts(bench: Bench, track: Track) -> Finding:
    starts = np.array(track.starts)
    spread = float(starts.std(axis=0).max()) if len(starts) else 0.0
    fields = fields_of(
        bench,
        "collect",
        expected="episodes that start differently",
        observed=f"{len(starts)} starts with a spread of {spread:.3g}",
        threshold="> 0",
    )
    if len(starts) < 2:
        likely: tuple[str, ...] = ("the environment is not reset at the end of an episode",)
        return failed("the environment is reset once", likely=likely, **fields)
    if spread > 0:
        return passed("episodes start differently", **fields)
    likely = ("the same seed is given at every reset", "the environment is built anew, with its seed, for each episode")
    return failed("every episode starts alike", likely=likely, **fields)


@check(phase="data", family="data", component="flatten_rollout")
def flatten_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `flatten_rollout` brings every tensor from [T, N] to [T N] in the same order.

    Broken: a row holds the observation of one step and the advantage of another.
    Likely: tensors are flattened in different orders ((T, N) for one, (N, T) for another) | a tensor keeps its axes |
    time and environments are mixed by a reshape without transpose
    """
    steps, environments = 4, 3
    tags = torch.arange(steps * environments, dtype=bench.dtype).reshape(steps, environments)
    given = {
        "observations": tags[..., None] + torch.tensor([0.0, 0.25]),
        "actions": tags.clone(),
        "log_probabilities": tags.clone(),
        "advantages": tags.clone(),
        "returns": tags.clone(),
        "values": tags.clone(),
    }
    signature = f"(dict of {', '.join(given)} [T, N, …]) → dict of the same [T N, …]"
    piece = bound_piece(bench, "flatten_rollout", signature, given)
    if isinstance(piece, Finding):
        return piece
    with persons_errors(f"pieces.flatten_rollout raised on {signature}"), torch.no_grad():
        flat = piece({name: value.clone() for name, value in given.items()})
    fields = fields_of(bench, "flatten_rollout", threshold="exact", expected="the same step in row i of every tensor")
    orders: dict[str, list[int]] = {}
    for name in given:
        if name in flat:
            value = torch.as_tensor(flat[name])
            if value.shape[0] != steps * environments:
                return failed(f"{name} is not flat", observed=f"{name} has shape {list(value.shape)}", **fields)
            orders[name] = [int(number) for number in value.reshape(steps * environments, -1)[:, 0].round()]
    if len(orders) < 2:
        return not_run("pieces.flatten_rollout returns fewer than two of the tensors", component="flatten_rollout")
    first = next(iter(orders))
    for name, order in orders.items():
        if sorted(order) != list(range(steps * environments)):
            return failed(f"{name} lost or doubled rows", observed=f"{name}: {order}", **fields)
        if order != orders[first]:
            return failed(
                f"{name} is in another order than {first}",
                observed=f"{first} {orders[first]}, {name} {order}",
                **fields,
            )
    return passed(f"{', '.join(orders)} are flattened in one order", **fields)
