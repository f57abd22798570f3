"""The objective of PPO: clipped surrogate, value loss and entropy bonus (equations 7 and 9), and its advantages (11).

L = - L^CLIP + c_1 · L^VF - c_2 · S          (equation 9 is maximised; this is minimised)
"""

from __future__ import annotations

import torch
from torch import Tensor

from repro.papers.ppo.model import (
    categorical_entropy,
    categorical_log_probability,
    gaussian_entropy,
    gaussian_log_probability,
)


def gae(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    """Generalised advantage estimates (equations 11 and 12; Schulman et al. 2015, arXiv:1506.02438).

        delta_t = r_t + gamma V(s_{t+1}) - V(s_t)
        A_t = delta_t + gamma lam A_{t+1}

    A terminal state is worth nothing, so its V is left out. An episode that is only cut off, by a time limit or by the
    end of the rollout, goes on in principle: there V of the state it reached stands for all that would follow. In both
    cases the sum stops, for the next row belongs to another episode.

    Args:
        reward, value: [T, N], of the step in each row and of the state it was taken in.
        next_value: [T, N], V of the state that the step reached; of the last state of the episode where it ended.
        terminated, truncated: [T, N], 1 where the step ended the episode.

    Returns:
        A [T, N].
    """
    goes_on = 1 - torch.maximum(terminated, truncated).to(reward.dtype)
    delta = reward + gamma * next_value * (1 - terminated.to(reward.dtype)) - value
    decay = gamma * lam * goes_on
    advantage = torch.empty_like(delta)
    last = torch.zeros_like(delta[0])
    for t in range(len(delta) - 1, -1, -1):
        last = torch.addcmul(delta[t], decay[t], last)  # delta_t + gamma lam A_{t+1}
        advantage[t] = last
    return advantage


def normalise(advantage: Tensor) -> Tensor:
    """(A - mean) / standard deviation, [n] → [n]; not in the paper, detail 7 of Huang et al. 2022."""
    return (advantage - advantage.mean()) / (advantage.std() + 1e-8)


def clipped_surrogate(
    log_probability: Tensor, old_log_probability: Tensor, advantage: Tensor, clip: float | None
) -> Tensor:
    """- L^CLIP (equation 7): the mean over [n] of - min(r A, clip(r, 1 - ε, 1 + ε) A), r = π / π_old.

    The minimum takes away the incentive to move r beyond 1 ± ε in the direction of A, and leaves it where r has moved
    the wrong way. `clip` None: - r A, "no clipping or penalty" in Table 1.
    """
    ratio = (log_probability - old_log_probability).exp()
    if clip is None:
        return -(ratio * advantage).mean()
    return -torch.min(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).mean()


def value_loss(value: Tensor, old_value: Tensor, target: Tensor, clip: float | None) -> Tensor:
    """L^VF, half of the mean over [n] of (V - V^targ)² (equation 9 prints no half; c_1 makes up for it).

    With `clip`, V may move by no more than that from its value at acting before the loss stops falling: the larger of
    both errors counts. Not in the paper; detail 9 of Huang et al. 2022.
    """
    error = (value - target).square()
    if clip is not None:
        moved = old_value + (value - old_value).clamp(-clip, clip)
        error = torch.max(error, (moved - target).square())
    return 0.5 * error.mean()


class PPO:
    """The loss of a minibatch.

    Args:
        clip: ε of the surrogate; None does not clip.
        clip_value: how far V may move, or None.
        value_coefficient, entropy_coefficient: c_1 and c_2.
    """

    def __init__(
        self,
        clip: float | None = 0.2,
        clip_value: float | None = 0.2,
        value_coefficient: float = 0.5,
        entropy_coefficient: float = 0.01,
    ) -> None:
        self.clip = clip
        self.clip_value = clip_value
        self.value_coefficient = value_coefficient
        self.entropy_coefficient = entropy_coefficient

    def terms(
        self,
        log_probability: Tensor,
        entropy: Tensor,
        value: Tensor,
        old_log_probability: Tensor,
        old_value: Tensor,
        advantage: Tensor,
        value_target: Tensor,
    ) -> dict[str, Tensor]:
        """Terms of the minibatch, each a scalar; the arguments are [b].

        Returns:
            total: what is minimised.
            policy: - L^CLIP. Near 0 at first, for advantages have mean 0 and ratios start at 1.
            value: L^VF, in squared units of return.
            entropy: S, in nats; a bonus for staying undecided.
            kl: estimate of KL(π_old || π), mean of (r - 1) - log r, which is never negative. Watched only.
        """
        policy = clipped_surrogate(log_probability, old_log_probability, advantage, self.clip)
        error = value_loss(value, old_value, value_target, self.clip_value)
        bonus = entropy.mean()
        with torch.no_grad():
            log_ratio = log_probability - old_log_probability
            kl = (log_ratio.exp() - 1 - log_ratio).mean()
        total = policy + self.value_coefficient * error - self.entropy_coefficient * bonus
        return {"total": total, "policy": policy, "value": error, "entropy": bonus, "kl": kl}


class CategoricalPPO(PPO):
    """The loss for a finite number of actions."""

    def __call__(
        self,
        logits: Tensor,
        value: Tensor,
        action: Tensor,
        old_log_probability: Tensor,
        old_value: Tensor,
        advantage: Tensor,
        value_target: Tensor,
    ) -> dict[str, Tensor]:
        """logits [b, actions], action [b] int64, all else [b] → terms, see `PPO.terms`."""
        log_probability = categorical_log_probability(logits, action)
        entropy = categorical_entropy(logits)
        return self.terms(log_probability, entropy, value, old_log_probability, old_value, advantage, value_target)


class GaussianPPO(PPO):
    """The loss for actions that are real vectors."""

    def __call__(
        self,
        mean: Tensor,
        log_std: Tensor,
        value: Tensor,
        action: Tensor,
        old_log_probability: Tensor,
        old_value: Tensor,
        advantage: Tensor,
        value_target: Tensor,
    ) -> dict[str, Tensor]:
        """mean, log_std and action [b, actions], all else [b] → terms, see `PPO.terms`."""
        log_probability = gaussian_log_probability(mean, log_std, action)
        entropy = gaussian_entropy(log_std)
        return self.terms(log_probability, entropy, value, old_log_probability, old_value, advantage, value_target)
