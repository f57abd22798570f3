"""Gymnasium environments stepped side by side, resumable in the middle of an episode, with running normalisation."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from repro.errors import DataError
from repro.papers.ppo.drawing import backend

Array = NDArray[Any]

#: Finished episodes whose returns are kept: the paper's Table 1 and the documented results average the last 100.
LAST = 100

LOG = logging.getLogger(__name__)


class Environment:
    """One environment with its time limit.

    Its state is the random state that its episode began with and what was done since: replayed, they lead to the same
    place, whatever the environment keeps inside.

    Args:
        raw: with gymnasium's reset and step.
        limit: steps after which an episode is truncated; None leaves that to `raw`.
    """

    def __init__(self, raw: Any, limit: int | None = None) -> None:
        self.raw = raw
        self.limit = limit
        self.began: Any = None
        self.done: list[Any] = []  # actions of this episode
        self.total = 0.0  # undiscounted return of this episode so far

    @classmethod
    def named(cls, name: str, **options: Any) -> Environment:
        """The environment that gymnasium knows under this name, such as CartPole-v1, with its time limit.

        Raises:
            DataError: no such environment, it needs a package that is not installed, or it cannot be made with what is.
        """
        try:
            with warnings.catch_warnings():
                # the version that a paper used is meant, even where gymnasium has a newer one
                warnings.filterwarnings("ignore", message=".*is out of date.*")
                if "mujoco" in str(gymnasium.spec(name).entry_point) and find_spec("mujoco"):
                    quiet_mujoco()  # before the environment is made: its model is compiled then
                made = gymnasium.make(name, disable_env_checker=True, **options)
        except gymnasium.error.DependencyNotInstalled as error:
            raise DataError(
                f"data.environment: {name} needs a package that is not installed ({error})",
                "For MuJoCo: pip install 'repro[mujoco]'.",
            ) from error
        except gymnasium.error.UnregisteredEnv as error:
            raise DataError(f"data.environment: gymnasium has no environment {name!r}: {error}") from error
        except Exception as error:
            # whatever the class of an environment raises: Pusher-v4 an ImportError where MuJoCo is 3 or newer
            raise DataError(
                f"data.environment: {name} cannot be made here: {type(error).__name__}: {error}",
                instead_of(name, str(error)),
            ) from error
        limit = made.spec.max_episode_steps if made.spec else None
        return cls(made.unwrapped, limit)

    def picture(self) -> Array:
        """What the environment looks like now, uint8 [height, width, 3].

        Raises:
            ValueError: it was made without `render_mode="rgb_array"`, or what draws it raised.
        """
        if hasattr(self.raw, "mujoco_renderer"):
            os.environ.setdefault("MUJOCO_GL", backend())
        try:
            drawn = self.raw.render()
        except Exception as error:  # of whatever library draws it
            raise ValueError(f"{type(error).__name__}: {error}") from error
        if not isinstance(drawn, np.ndarray):
            raise ValueError(f'render() gives {type(drawn).__name__}, needed an array: render_mode="rgb_array"')
        return drawn

    def seed(self, seed: Sequence[int]) -> None:
        """Give the environment a random stream of its own; resets go on in it and never start it again."""
        self.raw.np_random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
        self.began = None

    def reset(self) -> Array:
        """Begin an episode; the first observation."""
        random = getattr(self.raw, "np_random", None)
        self.began = None if random is None else random.bit_generator.state
        self.done = []
        self.total = 0.0
        observation: Array = self.raw.reset()[0]
        return observation

    def step(self, action: Any) -> tuple[Array, float, bool, bool]:
        """observation reached, reward, terminated, truncated. A terminal state is no truncation, even at the limit."""
        observation, reward, terminated, truncated, _ = self.raw.step(action)
        self.done.append(action)
        self.total += float(reward)
        if self.limit is not None and len(self.done) >= self.limit:
            truncated = True
        return observation, float(reward), bool(terminated), bool(truncated and not terminated)

    def state_dict(self) -> dict[str, Any]:
        """`random` of the episode's start; `done`, the actions since, None before the first episode."""
        if self.began is None:
            return {"random": self.raw.np_random.bit_generator.state, "done": None}
        return {"random": self.began, "done": torch.as_tensor(np.array(self.done))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Begin the episode again and do what was done."""
        self.raw.np_random.bit_generator.state = state["random"]
        self.began = None
        if state["done"] is None:
            return
        self.reset()
        actions = state["done"].numpy()
        for action in actions.tolist() if actions.ndim == 1 else actions:
            self.step(action)


def instead_of(name: str, said: str) -> str:
    """What to do where an environment cannot be made: the package it asks for in `said`, or another version of it."""
    stem, _, _ = name.rpartition("-v")
    others = [other for other in gymnasium.registry if stem and other != name and other.rpartition("-v")[0] == stem]
    newest = max(others, key=lambda other: int(other.rpartition("-v")[2]), default="")
    asked = re.search(r"`([\w-]+[<>=!]=?[\d.]+)`", said)
    ways = [f"pip install '{asked.group(1)}'"] if asked else []
    ways += [f"take another version of it, data.environment={newest}"] if newest else []
    return f"Either {', or '.join(ways)}." if len(ways) > 1 else f"Try: {ways[0]}." if ways else ""


def quiet_mujoco() -> None:
    """Send MuJoCo's warnings to the log; by itself it writes MUJOCO_LOG.TXT into whatever folder is the current one."""
    mujoco = import_module("mujoco")  # an extra: only where its environments are asked for
    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(mujoco_warns)


@lru_cache(maxsize=256)
def mujoco_warns(text: str) -> None:
    """Log a warning of MuJoCo once. What is deprecated in gymnasium's model files is nothing that a user can mend."""
    LOG.log(logging.DEBUG if "deprecated" in text else logging.WARNING, "MuJoCo: %s", text)


class Running:
    """Mean and variance of all that was seen, of each entry, merged batch by batch (Chan et al. 1979).

    Starts as baselines' does: mean 0 and variance 1 with a weight of 1e-4 examples.
    """

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.mean = np.zeros(shape)
        self.variance = np.ones(shape)
        self.count = 1e-4

    def update(self, batch: Array) -> None:
        """batch [n, *shape]."""
        n = len(batch)
        total = self.count + n
        delta = batch.mean(axis=0) - self.mean
        squares = self.variance * self.count + batch.var(axis=0) * n + delta**2 * self.count * n / total
        self.mean = self.mean + delta * n / total
        self.variance = squares / total
        self.count = total

    def state_dict(self) -> dict[str, Any]:
        return {
            "mean": torch.as_tensor(self.mean),
            "variance": torch.as_tensor(self.variance),
            "count": self.count,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.mean = state["mean"].numpy().copy()
        self.variance = state["variance"].numpy().copy()
        self.count = float(state["count"])


class Observations:
    """What the agent sees: observations as they are, or standardised by all seen so far and clipped.

    Args:
        normalise: detail 6 of continuous control in Huang et al. 2022.
        clip: largest distance from 0, in standard deviations (detail 7); None clips nothing.
    """

    def __init__(self, shape: tuple[int, ...], normalise: bool, clip: float | None) -> None:
        self.running = Running(shape) if normalise else None
        self.clip = clip

    def __call__(self, raw: Array, learn: bool) -> Array:
        """raw [n, *shape] → float32 of the same shape; with `learn`, the statistics take them in first."""
        if self.running is None:
            return raw.astype(np.float32)
        if learn:
            self.running.update(raw)
        seen = (raw - self.running.mean) / np.sqrt(self.running.variance + 1e-8)
        if self.clip is not None:
            seen = seen.clip(-self.clip, self.clip)
        return np.asarray(seen, np.float32)


class Rewards:
    """What the agent is paid: rewards as they are, or divided by the spread of discounted returns and clipped.

    The mean is not taken away: it would change which policy is best. The discounted sum of rewards runs forwards, as in
    baselines, so it is no return of any state; only its spread is used (detail 8 in Huang et al. 2022; clip: detail 9).
    """

    def __init__(self, environments: int, gamma: float, scale: bool, clip: float | None) -> None:
        self.running = Running() if scale else None
        self.gamma = gamma
        self.clip = clip
        self.sums = np.zeros(environments)

    def __call__(self, raw: Array, ended: Array, learn: bool) -> Array:
        """raw and ended [n] of one step → float64 [n]."""
        if self.running is None:
            return raw
        if learn:
            self.sums = self.gamma * self.sums + raw
            self.running.update(self.sums)
            self.sums[ended] = 0.0
        paid = raw / np.sqrt(self.running.variance + 1e-8)
        return paid if self.clip is None else paid.clip(-self.clip, self.clip)


class Environments:
    """N environments that are stepped together; one that ends an episode begins the next at once.

    Args:
        each: the environments.
        observations, rewards: what the agent sees and is paid; shared with the environments that evaluate.
        learn: whether their statistics take in what happens here. Never while evaluating.
        low, high: bounds that a continuous action is clipped to (what is stored stays unclipped), None for discrete.
    """

    def __init__(
        self,
        each: Sequence[Environment],
        observations: Observations,
        rewards: Rewards,
        learn: bool,
        low: Array | None = None,
        high: Array | None = None,
    ) -> None:
        self.each = list(each)
        self.observations = observations
        self.rewards = rewards
        self.learn = learn
        self.low, self.high = low, high
        self.now: Array | None = None  # what the agent sees [N, …]; None before the first episode
        self.finished: deque[float] = deque(maxlen=LAST)  # undiscounted returns of the last episodes

    def seed(self, *seed: int) -> None:
        """Seed every environment differently and begin anew."""
        for number, environment in enumerate(self.each):
            environment.seed([*seed, number])
        self.now = None

    def reset(self) -> Array:
        """Begin an episode in every environment; what the agent sees [N, …]."""
        self.now = self.observations(np.stack([one.reset() for one in self.each]), self.learn)
        return self.now

    def executable(self, actions: Array) -> Sequence[Any]:
        """Actions as the environments take them: whole numbers, or vectors within their bounds."""
        if self.low is None:
            return actions.tolist()
        return list(actions.clip(self.low, self.high))

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[int, Array]]:
        """One step in all.

        Returns:
            seen: [N, …] to act on next, of a new episode where one ended.
            reward, terminated, truncated: [N] of this step.
            cut: what the agent would have seen in the last state of an episode that was truncated, by environment.
        """
        reward, terminated, truncated = np.zeros(len(self.each)), *np.zeros((2, len(self.each)), bool)
        raw, last = [], {}
        for number, (environment, action) in enumerate(zip(self.each, self.executable(actions), strict=True)):
            observation, reward[number], terminated[number], truncated[number] = environment.step(action)
            if terminated[number] or truncated[number]:
                self.finished.append(environment.total)
                if truncated[number]:
                    last[number] = observation
                observation = environment.reset()
            raw.append(observation)
        self.now = self.observations(np.stack(raw), self.learn)
        cut = {number: self.observations(observation[None], False)[0] for number, observation in last.items()}
        return self.now, self.rewards(reward, terminated | truncated, self.learn), terminated, truncated, cut

    def play(self, act: Callable[[Array], Array]) -> list[float]:
        """The undiscounted return of one whole episode in each environment, from fresh resets."""
        playing = list(range(len(self.each)))
        raw = np.stack([one.reset() for one in self.each])
        while playing:
            actions = self.executable(act(self.observations(raw, False)))
            for number in list(playing):
                raw[number], _, terminated, truncated = self.each[number].step(actions[number])
                if terminated or truncated:
                    playing.remove(number)
        return [one.total for one in self.each]

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on. Normalisers are shared, and saved here where they learn."""
        state: dict[str, Any] = {
            "each": [one.state_dict() for one in self.each],
            "now": None if self.now is None else torch.from_numpy(self.now.copy()),
            "finished": list(self.finished),
            "sums": torch.from_numpy(self.rewards.sums.copy()),
        }
        for name, running in (("observations", self.observations.running), ("rewards", self.rewards.running)):
            if running is not None:
                state[name] = running.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`: the same observations, rewards and resets."""
        for one, saved in zip(self.each, state["each"], strict=True):
            one.load_state_dict(saved)
        self.now = None if state["now"] is None else state["now"].numpy().copy()
        self.finished = deque(state["finished"], maxlen=LAST)
        self.rewards.sums = state["sums"].numpy().copy()
        for name, running in (("observations", self.observations.running), ("rewards", self.rewards.running)):
            if running is not None:
                running.load_state_dict(state[name])


def collect(environments: Environments, act: Callable[[Array], Array], steps: int) -> dict[str, Any]:
    """Act for `steps` steps in all environments.

    Args:
        act: what the agent sees [N, …] → actions [N] or [N, dimensions].

    Returns:
        observation [T, N, …], action, reward, terminated, truncated [T, N]: each row is one step, the observation it
        was taken on, and what came of it. after [N, …]: what is seen after the last step. cut: {(t, n): what was seen
        last of an episode that step t of environment n truncated}.
    """
    seen = environments.now if environments.now is not None else environments.reset()
    observations = np.empty((steps, *seen.shape), seen.dtype)
    rewards = np.empty((steps, len(seen)))
    terminated, truncated = np.empty((2, steps, len(seen)), bool)
    actions, cut = [], {}
    for t in range(steps):
        observations[t] = seen
        action = act(seen)
        actions.append(action)
        seen, rewards[t], terminated[t], truncated[t], last = environments.step(action)
        cut.update({(t, n): observation for n, observation in last.items()})
    return {
        "observation": observations,
        "action": np.stack(actions),
        "reward": rewards,
        "terminated": terminated,
        "truncated": truncated,
        "after": seen,
        "cut": cut,
    }
