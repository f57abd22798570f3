"""Experience: N actors for T steps under the present policy, advantages, then K epochs of minibatches (algorithm 1).

A batch is a dict of

    observation [b, observations]                float32, as the agent saw it
    action [b] int64, or [b, actions] float32    as drawn, before any clipping
    old_log_probability, old_value [b]           of the policy and the critic that acted, constants
    advantage [b]                                generalised advantage estimates, normalised
    value_target [b]                             V^targ = A + V_old, before normalisation
    last_100_episodes []                         mean undiscounted return of the last episodes, once one is finished
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from repro.papers.ppo.environments import Array, Environment, Environments, Observations, Rewards, collect
from repro.papers.ppo.loss import gae, normalise

#: Number of a split in the seeds of its environments: none meets an episode of another.
SPLITS = {"train": 0, "validation": 1, "test": 2}
TRUNCATIONS = ("bootstrap", "terminate")
SCOPES = ("minibatch", "rollout", None)


def flatten(rollout: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every tensor [T, N, …] → [T N, …], the steps of one moment side by side."""
    return {name: value.flatten(0, 1) for name, value in rollout.items()}


class Rollouts:
    """Minibatches of on-policy experience.

    Args:
        environment: its name in gymnasium.
        environments, horizon: N and T.
        epochs, minibatches: K, and in how many parts an epoch cuts the N · T steps.
        gamma, lam: discount, and λ of the advantages.
        truncation: what a time limit means. "bootstrap": the episode would have gone on, so V of the state it reached
            counts. "terminate": nothing comes after, as in baselines and CleanRL, which do not tell the two apart.
        normalise_advantages: over each "minibatch", over the whole "rollout", or None.
        normalise_observations, clip_observations, scale_rewards, clip_rewards: see `Observations` and `Rewards`.
        evaluation_environments: how many evaluate side by side.
        options: for gymnasium.make, such as {g: 10}.
        seed: of environments, actions and the order of minibatches.

    Raises:
        ValueError: an unknown choice, an environment that has other than numbers or vectors for actions, or
            minibatches that do not divide N · T.
        DataError: an environment that does not exist or cannot be made here.
    """

    def __init__(
        self,
        environment: str,
        environments: int = 4,
        horizon: int = 128,
        epochs: int = 4,
        minibatches: int = 4,
        gamma: float = 0.99,
        lam: float = 0.95,
        truncation: str = "bootstrap",
        normalise_advantages: str | None = "minibatch",
        normalise_observations: bool = False,
        clip_observations: float | None = 10.0,
        scale_rewards: bool = False,
        clip_rewards: float | None = 10.0,
        evaluation_environments: int = 10,
        options: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        if truncation not in TRUNCATIONS:
            raise ValueError(f"data.truncation is {truncation!r}, needed {' or '.join(TRUNCATIONS)}")
        if normalise_advantages not in SCOPES:
            raise ValueError(
                f"data.normalise_advantages is {normalise_advantages!r}, needed minibatch, rollout or null"
            )
        if environments * horizon % minibatches:
            raise ValueError(
                f"data.minibatches is {minibatches}, which does not divide {environments} · {horizon} steps"
            )
        self.name, self.options = environment, dict(options or {})
        self.horizon, self.epochs, self.minibatches = horizon, epochs, minibatches
        self.gamma, self.lam = gamma, lam
        self.truncation = truncation
        self.normalise_advantages = normalise_advantages
        self.seed = seed
        each = [Environment.named(environment, **self.options) for _ in range(environments)]
        space, actions = each[0].raw.observation_space, each[0].raw.action_space
        self.low = self.high = None
        if isinstance(actions, gymnasium.spaces.Box):
            self.low, self.high = actions.low, actions.high
        elif not isinstance(actions, gymnasium.spaces.Discrete):
            raise ValueError(f"data.environment: {environment} has actions {actions}, needed Discrete or Box")
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise ValueError(f"data.environment: {environment} has observations {space}, needed a Box of one axis")
        self.width = space.shape[0]
        self.choices = None if self.low is not None else int(actions.n)
        self.observations = Observations(space.shape, normalise_observations, clip_observations)
        self.rewards = Rewards(environments, gamma, scale_rewards, clip_rewards)
        self.acting = Environments(each, self.observations, self.rewards, True, self.low, self.high)
        self.acting.seed(seed, SPLITS["train"])
        self.evaluation_environments = evaluation_environments
        self.evaluating: Environments | None = None  # made when first needed
        self.generator = torch.Generator().manual_seed(seed)
        self.rollout: dict[str, Tensor] | None = None  # the rollout that minibatches are cut from, flat
        self.order = torch.empty(0, dtype=torch.int64)  # of its rows in the present epoch
        self.position = 0  # minibatches of the rollout already handed out

    # --- batches

    def batches(self, split: str, model: Any) -> Iterator[dict[str, Tensor]]:
        """Train: act, or go on with the rollout that is half used, to its last minibatch. Else: one rollout elsewhere.

        The model acts when a rollout is needed, so that each is made by the policy that all updates before it left.
        """
        if split != "train":
            yield from self.held_out(split, model)
            return
        if self.rollout is None:
            self.rollout = self.experience(model, self.acting, self.generator)
            self.position = 0
        recent = self.acting.finished
        beside = {"last_100_episodes": torch.tensor(float(np.mean(recent)))} if recent else {}
        rows = len(self.rollout["advantage"])
        size = rows // self.minibatches
        while self.position < self.epochs * self.minibatches:
            place = self.position % self.minibatches
            if place == 0:
                self.order = torch.randperm(rows, generator=self.generator)
            self.position += 1
            yield self.minibatch(self.rollout, self.order[place * size : (place + 1) * size]) | beside
        self.rollout = None

    def minibatch(self, rollout: Mapping[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
        """These rows of a rollout, their advantages normalised."""
        batch = {name: value[rows] for name, value in rollout.items()}
        if self.normalise_advantages == "minibatch":
            batch["advantage"] = normalise(batch["advantage"])
        return batch

    def experience(self, model: Any, environments: Environments, generator: torch.Generator) -> dict[str, Tensor]:
        """One rollout of the model's policy, flat: what a batch holds of it, for [T N] steps."""
        number = len(environments.each)
        like = next(model.parameters())  # where the model is, and in which precision
        with torch.inference_mode():
            # drawn at once: a step of all actors takes as long as little else does
            noise = iter(model.noise(self.horizon, number, generator).to(like))

            def act(seen: Array) -> Array:
                action: Array = model.act(torch.from_numpy(seen).to(like), next(noise)).cpu().numpy()
                return action

            steps = collect(environments, act, self.horizon)
        after, cut = torch.from_numpy(steps.pop("after")), steps.pop("cut")
        rollout = {name: torch.from_numpy(value) for name, value in steps.items()}
        with torch.no_grad():
            # one pass over all states that need a value: those acted in, those reached last, those cut off
            acted_in = rollout["observation"].flatten(0, 1)
            states = torch.cat([acted_in, after, *(torch.from_numpy(seen)[None] for seen in cut.values())])
            outputs = [output.cpu() for output in model(states.to(like))]
            taken = rollout["action"].flatten(0, 1)
            log_probability = model.log_probability([output[: len(acted_in)] for output in outputs], taken)
        values = outputs[-1][: len(acted_in) + number].view(self.horizon + 1, number)
        value, next_value = values[:-1], values[1:].clone()
        for (t, n), worth in zip(cut, outputs[-1][len(acted_in) + number :], strict=True):
            next_value[t, n] = worth  # of the episode's own last state, not of the next one's first
        terminated, truncated = rollout["terminated"], rollout["truncated"]
        if self.truncation == "terminate":
            terminated = terminated | truncated
        reward = rollout["reward"].to(value.dtype)
        advantage = gae(reward, value, next_value, terminated, truncated, self.gamma, self.lam)
        flat = flatten(
            {
                "observation": rollout["observation"],
                "action": rollout["action"],
                "old_log_probability": log_probability.view(self.horizon, number),
                "old_value": value,
                "advantage": advantage,
                "value_target": advantage + value,
            }
        )
        flat = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in flat.items()}
        if self.normalise_advantages == "rollout":
            flat["advantage"] = normalise(flat["advantage"])
        return flat

    # --- elsewhere: nothing here moves the training environments or what they have learned

    def elsewhere(self, split: str) -> Environments:
        """Environments of a held-out split at the start of their seeds; what training learned is left alone."""
        if self.evaluating is None:
            each = [Environment.named(self.name, **self.options) for _ in range(self.evaluation_environments)]
            self.evaluating = Environments(each, self.observations, self.rewards, False, self.low, self.high)
        self.evaluating.seed(self.seed, SPLITS[split])
        return self.evaluating

    def held_out(self, split: str, model: Any) -> Iterator[dict[str, Tensor]]:
        """The minibatches of one rollout in other environments, in order."""
        generator = torch.Generator().manual_seed(SPLITS[split])
        rollout = self.experience(model, self.elsewhere(split), generator)
        for rows in torch.arange(len(rollout["advantage"])).chunk(self.minibatches):
            yield self.minibatch(rollout, rows)

    def episodes(self, split: str, model: Any, count: int, sample: bool) -> list[float]:
        """Undiscounted returns, rewards as the environment gives them, of `count` whole episodes.

        Args:
            sample: whether actions are drawn from the policy, or its mode is taken.
        """
        like = next(model.parameters())  # where the model is, and in which precision
        environments = self.elsewhere(split)
        generator = torch.Generator().manual_seed(SPLITS[split])

        def act(seen: Array) -> Array:
            noise = model.noise(1, len(seen), generator)[0].to(like) if sample else None
            action: Array = model.act(torch.from_numpy(seen).to(like), noise).cpu().numpy()
            return action

        returns: list[float] = []
        with torch.inference_mode():
            while len(returns) < count:
                returns += environments.play(act)
        return returns[:count]

    def film(self, model: Any, frames: int) -> tuple[list[Array], str, list[float], list[float]]:
        """One evaluation episode as seen from outside.

        Args:
            frames: how many of an episode that goes to its time limit.

        Returns:
            Frames evenly spread over the longest length of an episode, why there are none ("" if there are), and of
            each step its reward and V of the state before it.
        """
        like = next(model.parameters())
        environment = Environment.named(self.name, render_mode="rgb_array", **self.options)
        environment.seed([self.seed, SPLITS["test"], 0])
        one = Environments([environment], self.observations, self.rewards, False, self.low, self.high)
        every = max(1, (environment.limit or 10 * frames) // frames)
        drawn: list[Array] = []
        why = ""
        rewards: list[float] = []
        values: list[float] = []
        raw, ended = environment.reset(), False
        with torch.inference_mode():
            while not ended:
                if not why and len(rewards) % every == 0:
                    try:
                        drawn.append(environment.picture()[::2, ::2].copy())
                    except ValueError as error:
                        why = str(error)
                seen = torch.from_numpy(self.observations(raw[None], False)).to(like)
                values.append(float(model(seen)[-1]))
                (action,) = one.executable(model.act(seen).cpu().numpy())
                raw, reward, terminated, truncated = environment.step(action)
                rewards.append(reward)
                ended = terminated or truncated
        environment.raw.close()
        return drawn, why, rewards, values

    # --- made up, and saved

    def synthetic(self, n: int, seed: int) -> dict[str, Tensor]:
        """n made-up steps, of about the sizes that real ones have."""
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(n, *shape, generator=generator)

        batch = {"observation": normal(self.width)}
        if self.choices is not None:
            batch["action"] = torch.randint(self.choices, (n,), generator=generator)
            likely = -float(np.log(self.choices))
        else:
            assert self.low is not None
            batch["action"] = normal(len(self.low))
            likely = -1.42 * len(self.low)  # mean log density of a standard normal, in each dimension
        batch["old_log_probability"] = likely + 0.1 * normal()
        for name in ("old_value", "advantage", "value_target"):
            batch[name] = normal()
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Where training stands, in the middle of a rollout and of every episode if need be."""
        return {
            "environments": self.acting.state_dict(),
            "generator": self.generator.get_state(),
            "rollout": self.rollout,
            "order": self.order,
            "position": self.position,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken, with the very next minibatch and the very next step."""
        self.acting.load_state_dict(state["environments"])
        self.generator.set_state(state["generator"])
        self.rollout = None if state["rollout"] is None else dict(state["rollout"])
        self.order = state["order"]
        self.position = state["position"]
