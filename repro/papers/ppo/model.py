"""Actor and critic: two separate tanh networks (section 6.1: two hidden layers of 64 units, no shared parameters).

Of a discrete action the actor gives unnormalised log-probabilities; of a continuous one the mean of a Gaussian whose
standard deviation is a parameter of its own, the same in every state ("variable standard deviations").

Initial weights are not in the paper. Orthogonal ones with these gains are those of the authors' openai/baselines,
listed as detail 2 by Huang et al. 2022, "The 37 Implementation Details of Proximal Policy Optimization".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

INITIALISATIONS = ("orthogonal", "default")


def categorical_log_probability(logits: Tensor, action: Tensor) -> Tensor:
    """log softmax(logits)[action]: logits [b, actions], action [b] int64 → [b], in nats."""
    return logits.log_softmax(-1).gather(-1, action[:, None]).squeeze(-1)


def categorical_entropy(logits: Tensor) -> Tensor:
    """- sum of p log p: logits [b, actions] → [b], in nats."""
    log_p = logits.log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)


def gaussian_log_probability(mean: Tensor, log_std: Tensor, action: Tensor) -> Tensor:
    """Log density of independent normals, summed over the dimensions of an action: all [b, actions] → [b], in nats."""
    z = (action - mean) * (-log_std).exp()
    return (-0.5 * z * z - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)


def gaussian_entropy(log_std: Tensor) -> Tensor:
    """Sum over dimensions of ½ log(2 π e σ²): log_std [b, actions] → [b], in nats."""
    return (log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)


class MLP(nn.Module):
    """Two hidden layers with tanh.

    Args:
        inputs, outputs, hidden: units.
        gain: of the output layer's orthogonal weights; hidden layers have √2. Biases start at 0.
        initialisation: "orthogonal", or "default" for what PyTorch does (an ablation).

    Raises:
        ValueError: another initialisation.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, gain: float, initialisation: str) -> None:
        super().__init__()
        if initialisation not in INITIALISATIONS:
            raise ValueError(f"model.initialisation is {initialisation!r}, needed {' or '.join(INITIALISATIONS)}")
        self.hidden1 = nn.Linear(inputs, hidden)
        self.hidden2 = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, outputs)
        if initialisation == "orthogonal":
            gains = {self.hidden1: math.sqrt(2), self.hidden2: math.sqrt(2), self.output: gain}
            for layer, its_gain in gains.items():
                nn.init.orthogonal_(layer.weight, its_gain)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[b, inputs] → [b, outputs]."""
        x = torch.tanh(self.hidden1(x))  # [b, hidden]
        x = torch.tanh(self.hidden2(x))  # [b, hidden]
        output: Tensor = self.output(x)
        return output


class CategoricalActorCritic(nn.Module):
    """Policy over a finite number of actions, and value.

    Args:
        observations: numbers in an observation.
        actions: how many there are to choose from.
        hidden: units of each hidden layer.
        initialisation: see `MLP`. The actor's last layer starts a hundred times smaller, so that the first policy is
            close to uniform.
    """

    def __init__(self, observations: int, actions: int, hidden: int = 64, initialisation: str = "orthogonal") -> None:
        super().__init__()
        self.actions = actions
        self.actor = MLP(observations, actions, hidden, 0.01, initialisation)
        self.critic = MLP(observations, 1, hidden, 1.0, initialisation)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """observation [b, observations] → logits [b, actions], value [b]."""
        return self.actor(observation), self.critic(observation).squeeze(-1)

    def noise(self, steps: int, environments: int, generator: torch.Generator) -> Tensor:
        """Gumbel noise [steps, environments, actions] that `act` chooses with."""
        return torch.empty(steps, environments, self.actions).exponential_(generator=generator).log_().neg_()

    def act(self, observation: Tensor, noise: Tensor | None = None) -> Tensor:
        """observation [b, observations] → action [b]: a draw, or the likeliest without noise.

        The largest of logits plus Gumbel noise is a draw from their softmax (Maddison et al. 2014), and cheap.
        """
        logits = self.actor(observation)
        return (logits if noise is None else logits + noise).argmax(-1)

    def log_probability(self, outputs: tuple[Tensor, ...], action: Tensor) -> Tensor:
        """[b] of what forward returned and the actions taken."""
        return categorical_log_probability(outputs[0], action)


class GaussianActorCritic(nn.Module):
    """Policy over real vectors, and value; arguments as of `CategoricalActorCritic`, `actions` counts dimensions."""

    def __init__(self, observations: int, actions: int, hidden: int = 64, initialisation: str = "orthogonal") -> None:
        super().__init__()
        self.actions = actions
        self.actor = MLP(observations, actions, hidden, 0.01, initialisation)
        self.log_std = nn.Parameter(torch.zeros(actions))  # σ = 1 at first
        self.critic = MLP(observations, 1, hidden, 1.0, initialisation)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """observation [b, observations] → mean [b, actions], log_std [b, actions], value [b]."""
        mean = self.actor(observation)
        return mean, self.log_std.expand_as(mean), self.critic(observation).squeeze(-1)

    def noise(self, steps: int, environments: int, generator: torch.Generator) -> Tensor:
        """Normal noise [steps, environments, actions] that `act` explores with."""
        return torch.randn(steps, environments, self.actions, generator=generator)

    def act(self, observation: Tensor, noise: Tensor | None = None) -> Tensor:
        """observation [b, observations] → action [b, actions], not clipped: a draw, or the mean without noise."""
        mean: Tensor = self.actor(observation)
        return mean if noise is None else mean + self.log_std.exp() * noise

    def log_probability(self, outputs: tuple[Tensor, ...], action: Tensor) -> Tensor:
        """[b] of what forward returned and the actions taken."""
        return gaussian_log_probability(outputs[0], outputs[1], action)
