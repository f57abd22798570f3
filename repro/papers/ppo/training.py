"""One update of PPO: a step of Adam on one minibatch. Epochs and minibatches of a rollout come from the data.

Rate and moments are Table 3's Adam; annealing, clipping of gradients and Adam's epsilon are not in the paper (details
4, 11 and 3 of Huang et al. 2022), each a key here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Training:
    """Adam around actor and critic.

    Args:
        model: called as model(observation), returns the distribution's parameters and last the value.
        loss: called with these, then action, old_log_probability, old_value, advantage and value_target of the batch.
        backward: computes the gradients from the total; the harness hands in its own where precision or several
            processes need it.
        learning_rate: of the first rollout.
        anneal: whether the rate falls in a straight line, a step each rollout, so that it would be 0 after the last.
        updates: of the whole training.
        per_rollout: updates on each rollout, epochs · minibatches.
        betas, eps: Adam's.
        clip: largest Euclidean norm of the gradient of all parameters together; None clips nothing.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[..., dict[str, Tensor]],
        backward: Callable[[Tensor], Any] = Tensor.backward,
        *,
        learning_rate: float = 2.5e-4,
        anneal: bool = True,
        updates: int = 15_616,
        per_rollout: int = 16,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-5,
        clip: float | None = 0.5,
    ) -> None:
        self.model = model
        self.loss = loss
        self.backward = backward
        self.learning_rate = learning_rate
        self.anneal = anneal
        self.per_rollout = per_rollout
        self.rollouts = max(1, updates // per_rollout)
        self.clip = clip
        self.parameters = list(model.parameters())
        beta1, beta2 = betas
        # one kernel for all parameters where there is one: they are small and many
        fused = all(parameter.device.type in ("cpu", "cuda") for parameter in self.parameters)
        self.optimiser = torch.optim.Adam(self.parameters, lr=learning_rate, betas=(beta1, beta2), eps=eps, fused=fused)
        self.made = 0  # updates so far

    def rate(self, update: int) -> float:
        """The learning rate of the update with this number, the first is 1."""
        if not self.anneal:
            return self.learning_rate
        rollout = (update - 1) // self.per_rollout  # the first is 0
        return self.learning_rate * (1 - rollout / self.rollouts)

    def update(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor | float]:
        """One step on one minibatch; returns the scalars to log, all of this batch before the step.

        `total`, `policy`, `value`, `entropy` and `kl` are the terms of the loss; `last_100_episodes`, which the data
        give, is the mean undiscounted return of the last 100 episodes that training finished.
        """
        self.model.train()
        self.made += 1
        rate = self.rate(self.made)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        outputs = self.model(batch["observation"])
        terms = self.loss(
            *outputs,
            batch["action"],
            batch["old_log_probability"],
            batch["old_value"],
            batch["advantage"],
            batch["value_target"],
        )
        self.backward(terms["total"])
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimiser.step()
        logged: dict[str, Tensor | float] = {name: term.detach() for name, term in terms.items()}
        if "last_100_episodes" in batch:
            logged["last_100_episodes"] = batch["last_100_episodes"]
        return {**logged, "learning_rate": rate}

    def state_dict(self) -> dict[str, Any]:
        """What the next update needs besides the model's own state: Adam's moments and the number of updates made."""
        return {"optimiser": self.optimiser.state_dict(), "made": self.made}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned; the model is loaded on its own."""
        self.optimiser.load_state_dict(state["optimiser"])
        self.made = state["made"]
