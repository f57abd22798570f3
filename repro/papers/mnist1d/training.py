"""One update: Adam at a constant learning rate ("All models used Adam"; the rate is the authors' code's)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Training:
    """Adam around one model.

    Args:
        model: called as model(signal).
        loss: called as loss(logits, digit), returns terms with `total`.
        backward: computes the gradients from the total; the harness hands in its own where precision or several
            processes need it.
        learning_rate: constant; 0.01 in the authors' notebooks/train.py, not in the paper.
        betas, eps: Adam's, PyTorch's defaults in the authors' code.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[..., dict[str, Tensor]],
        backward: Callable[[Tensor], Any] = Tensor.backward,
        *,
        learning_rate: float = 0.01,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.model = model
        self.loss = loss
        self.backward = backward
        beta1, beta2 = betas
        self.optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate, betas=(beta1, beta2), eps=eps)

    def update(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor | float]:
        """One step on one batch (signal, digit); returns the scalars to log.

        `loss` is in nats per signal, `accuracy` in per cent, both of this batch before the step.
        """
        self.model.train()
        self.optimiser.zero_grad()
        logits = self.model(batch["signal"])  # [b, classes]
        terms = self.loss(logits, batch["digit"])
        self.backward(terms["total"])
        self.optimiser.step()
        return {
            "loss": terms["total"].detach(),
            "accuracy": 100 * (logits.detach().argmax(-1) == batch["digit"]).float().mean(),
            "learning_rate": self.optimiser.param_groups[0]["lr"],
        }

    def state_dict(self) -> dict[str, Any]:
        """What the next update needs besides the model's own state: Adam's moments and step counts."""
        return {"optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned; the model is loaded on its own."""
        self.optimiser.load_state_dict(state["optimiser"])
