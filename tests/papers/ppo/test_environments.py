"""Time limits, resuming in the middle of an episode, running statistics, and what a rollout stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from repro.configuration.compose import compose
from repro.errors import DataError
from repro.papers.ppo import drawing
from repro.papers.ppo.environments import Environment, Environments, Observations, Rewards, Running, collect


class Count:
    """Counts its steps: the observation is (episode, step), the reward the action; `ends` at this step, if at all."""

    def __init__(self, ends: int | None = None) -> None:
        self.ends = ends
        self.episode = -1
        self.steps = 0

    def reset(self, **_: Any) -> tuple[np.ndarray, dict[str, Any]]:
        self.episode += 1
        self.steps = 0
        return np.array([self.episode, 0.0]), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return np.array([self.episode, self.steps]), float(action), self.steps == self.ends, False, {}


def environments(*each: Environment, **rewards: Any) -> Environments:
    paid = Rewards(len(each), 0.5, rewards.get("scale", False), rewards.get("clip"))
    return Environments(each, Observations((2,), rewards.get("normalise", False), None), paid, learn=True)


def test_a_rollout_by_hand() -> None:
    made = environments(Environment(Count(ends=2)), Environment(Count(), limit=3))
    rollout = collect(made, lambda seen: (seen[:, 1] + 1).astype(int), 4)
    assert rollout["observation"][:, 0].tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert rollout["observation"][:, 1].tolist() == [[0, 0], [0, 1], [0, 2], [1, 0]]
    assert rollout["reward"].tolist() == [[1, 1], [2, 2], [1, 3], [2, 1]]
    assert rollout["terminated"][:, 0].tolist() == [False, True, False, True]
    assert rollout["truncated"].T.tolist() == [[False] * 4, [False, False, True, False]]
    assert {key: value.tolist() for key, value in rollout["cut"].items()} == {(2, 1): [0, 3]}  # not (1, 0)
    assert rollout["after"].tolist() == [[2, 0], [1, 1]]
    assert list(made.finished) == [3.0, 6.0, 3.0]  # undiscounted: 1 + 2, 1 + 2 + 3, 1 + 2


def test_a_terminal_state_at_the_limit_is_no_truncation() -> None:
    environment = Environment(Count(ends=3), limit=3)
    environment.reset()
    ends = [environment.step(1)[2:] for _ in range(3)]
    assert ends == [(False, False), (False, False), (True, False)]


def test_running_statistics_are_those_of_all_that_was_seen() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=(40, 2))
    running = Running((2,))
    for part in np.split(values, [1, 7, 20]):
        running.update(part)
    # the start counts as 1e-4 examples of mean 0 and variance 1
    np.testing.assert_allclose(running.mean, values.sum(0) / 40.0001, rtol=1e-9)
    np.testing.assert_allclose(running.variance, values.var(0), rtol=1e-4)


def test_observations_are_standardised_and_clipped() -> None:
    observations = Observations((1,), True, 1.0)
    assert observations.running is not None
    observations.running.mean, observations.running.variance = np.array([2.0]), np.array([4.0])
    assert observations(np.array([[3.0], [9.0], [-9.0]]), False).flatten().tolist() == pytest.approx([0.5, 1.0, -1.0])
    assert observations.running.mean.tolist() == [2.0]  # not learned
    observations(np.array([[3.0]]), True)
    assert observations.running.mean[0] > 2.0


def test_rewards_are_divided_by_the_spread_of_discounted_sums() -> None:
    rewards = Rewards(1, 0.5, True, None)
    for _ in range(3):
        rewards(np.array([2.0]), np.array([False]), True)
    assert rewards.running is not None
    assert rewards.sums.tolist() == [2 + 0.5 * (2 + 0.5 * 2)]
    sums = np.array([2.0, 3.0, 3.5])
    assert float(rewards.running.variance) == pytest.approx(sums.var(), rel=1e-3)
    assert rewards(np.array([2.0]), np.array([True]), False)[0] == pytest.approx(2 / sums.std(), rel=1e-3)
    rewards(np.array([2.0]), np.array([True]), True)
    assert rewards.sums.tolist() == [0.0]  # the sum of the next episode starts anew


def test_evaluation_leaves_statistics_alone() -> None:
    observations, rewards = Observations((2,), True, 10.0), Rewards(2, 0.99, True, 10.0)
    training = Environments([Environment(Count(ends=n)) for n in (3, 4)], observations, rewards, learn=True)
    collect(training, lambda seen: np.ones(2, int), 10)
    assert observations.running is not None and rewards.running is not None
    before = observations.running.state_dict(), rewards.running.state_dict(), rewards.sums.tolist()
    elsewhere = Environments([Environment(Count(ends=n)) for n in (2, 5)], observations, rewards, learn=False)
    assert elsewhere.play(lambda seen: np.ones(2, int)) == [2.0, 5.0]
    collect(elsewhere, lambda seen: np.ones(2, int), 10)
    after = observations.running.state_dict(), rewards.running.state_dict(), rewards.sums.tolist()
    assert repr(before) == repr(after)


def test_an_environment_resumes_in_the_middle_of_an_episode() -> None:
    def fresh(seed: int) -> Environment:
        environment = Environment.named("Acrobot-v1")
        environment.seed([seed])
        return environment

    actions = np.random.default_rng(0).integers(0, 3, size=60).tolist()
    one = fresh(0)
    one.reset()
    for action in actions[:20]:
        one.step(action)
    one.reset()  # a second episode, from the same stream
    for action in actions[:30]:
        one.step(action)
    other = fresh(9)
    other.load_state_dict(one.state_dict())
    assert other.total == one.total == -30.0
    for action in actions:
        a, b = one.step(action), other.step(action)
        assert np.array_equal(a[0], b[0]) and a[1:] == b[1:]
    assert np.array_equal(one.reset(), other.reset())


def test_seeds_tell_environments_apart_and_resets_go_on() -> None:
    made = [Environment.named("CartPole-v1") for _ in range(2)]
    together = environments(*made)
    together.seed(0, 0)
    first = together.reset().copy()
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(together.reset(), first)  # another episode
    together.seed(0, 0)
    assert np.array_equal(together.reset(), first)
    together.seed(1, 0)
    assert not np.array_equal(together.reset(), first)


def test_an_unknown_environment_is_named() -> None:
    with pytest.raises(DataError, match="gymnasium has no environment 'CartPool-v1'"):
        Environment.named("CartPool-v1")


def test_an_environment_whose_construction_raises_is_an_error_of_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ImportError("`Pusher-v4` is only supported on `mujoco<3`, for more information …")

    monkeypatch.setattr("gymnasium.make", refuse)
    with pytest.raises(DataError) as raised:
        Environment.named("Pusher-v4")
    # what, why, and both ways out
    assert "data.environment: Pusher-v4 cannot be made here: ImportError: `Pusher-v4`" in raised.value.message
    assert raised.value.hint == (
        "Either pip install 'mujoco<3', or take another version of it, data.environment=Pusher-v5."
    )


def test_the_environment_that_is_named_instead_has_its_sizes() -> None:
    spaces = compose(["paper=ppo", "data=mujoco", "data.environment=Pusher-v5"]).config.space
    assert dict(spaces) == {"observations": 23, "actions": 7}
    pytest.importorskip("mujoco")
    made = Environment.named("Pusher-v5").raw
    assert (made.observation_space.shape, made.action_space.shape) == ((23,), (7,))


def test_mujoco_leaves_no_file_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("mujoco")
    monkeypatch.chdir(tmp_path)
    Environment.named("HalfCheetah-v4")  # its model file has what newer versions of MuJoCo call deprecated
    environment = Environment.named("Hopper-v4")
    environment.seed([0])
    environment.reset()
    environment.raw.data.qvel[:] = np.nan
    environment.step(np.zeros(3))
    assert "MuJoCo: Nan, Inf or huge value in QVEL" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_what_mujoco_draws_with_is_tried_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MUJOCO_GL", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(drawing.sys, "platform", "linux")
    tried: list[str] = []

    def failure(name: str) -> str:
        tried.append(name)
        return "" if name in works else f"no {name} here"

    monkeypatch.setattr(drawing, "failure", failure)
    works = {"osmesa"}
    assert drawing.backend.__wrapped__() == "osmesa" and tried == ["egl", "osmesa"]
    works = set()
    with pytest.raises(ValueError, match=r"no OpenGL to draw with \(egl: no egl here; osmesa: no osmesa here\)"):
        drawing.backend.__wrapped__()
    monkeypatch.setenv("MUJOCO_GL", "egl")  # the user's own choice is the only one
    with pytest.raises(ValueError, match=r"draw with \(egl: no egl here\)"):
        drawing.backend.__wrapped__()


def test_a_library_that_cannot_draw_says_why() -> None:
    pytest.importorskip("mujoco")
    assert "nonsense" in drawing.failure("nonsense")
