"""One update of section 5: Adam under the warm-up schedule of equation 3."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def learning_rate(step: int, width: int, warmup_steps: int) -> float:
    """lrate = d_model^-0.5 · min(step^-0.5, step · warmup_steps^-1.5) (section 5.3, equation 3).

    Args:
        step: number of the update, counted from 1; the peak is at step = warmup_steps.
        width: d_model.
        warmup_steps: updates of linear warm-up.
    """
    return width**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)


class Training:
    """The paper's optimiser around one model.

    Args:
        model: called as model(source, target_input).
        loss: called as loss(logits, target_output), returns terms with `total`.
        backward: computes the gradients from the total; the harness hands in its own where precision or several
            processes need it.
        width: d_model, which sets the height of the schedule.
        warmup_steps: updates of linear warm-up.
        betas, eps: Adam's (section 5.3).
        clip: largest norm of the gradient; None is no clipping, as in the paper.
        peak: height of the schedule; None is the paper's, (width · warmup_steps)^-0.5. The learning-rate sweep sets it.
        warmup: false starts at the peak instead of ramping up to it (an ablation).
        accumulate: parts that a batch is computed in, one after the other; the update stays the same, memory falls.
        padding: piece id of padding: parts weigh as much as their real pieces.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[..., dict[str, Tensor]],
        backward: Callable[[Tensor], Any] = Tensor.backward,
        *,
        width: int,
        warmup_steps: int = 4000,
        betas: Sequence[float] = (0.9, 0.98),
        eps: float = 1e-9,
        clip: float | None = None,
        peak: float | None = None,
        warmup: bool = True,
        accumulate: int = 1,
        padding: int = 0,
    ) -> None:
        self.model = model
        self.loss = loss
        self.backward = backward
        self.width = width
        self.warmup_steps = warmup_steps
        self.clip = clip
        self.peak = peak
        self.warmup = warmup
        self.accumulate = accumulate
        self.padding = padding
        self.step = 0  # updates made; the next one is step + 1
        beta1, beta2 = betas
        self.optimiser = torch.optim.Adam(model.parameters(), lr=0.0, betas=(beta1, beta2), eps=eps)

    def learning_rate(self, step: int) -> float:
        """Learning rate of update `step`, counted from 1."""
        if not self.warmup:
            step = max(step, self.warmup_steps)
        rate = learning_rate(step, self.width, self.warmup_steps)
        if self.peak is not None:
            rate *= self.peak / learning_rate(self.warmup_steps, self.width, self.warmup_steps)
        return rate

    def update(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor | float]:
        """One step on one batch (source, target_input, target_output); returns the scalars to log.

        `loss` and `nll` are nats per target piece of this batch before the step, `gradient_norm` is before clipping.
        """
        self.model.train()
        self.step += 1
        rate = self.learning_rate(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        terms = self.gradients(batch) if self.accumulate == 1 else self.accumulated(batch)
        # at infinity nothing is clipped, and the norm is measured all the same
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), math.inf if self.clip is None else self.clip)
        self.optimiser.step()
        return {
            "loss": terms["total"].detach(),
            "nll": terms["nll"].detach(),
            "learning_rate": rate,
            "gradient_norm": norm,
        }

    def gradients(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Forward and backward of one batch; returns the terms of the loss."""
        logits = self.model(batch["source"], batch["target_input"])  # [b, n, vocabulary]
        terms = self.loss(logits, batch["target_output"])
        self.backward(terms["total"])
        return terms

    def accumulated(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The gradients and terms of `gradients`, from parts: a mean over all pieces is a weighted mean of means."""
        pieces = int((batch["target_output"] != self.padding).sum())
        whole: dict[str, Tensor] = {}
        for rows in torch.arange(len(batch["source"])).chunk(self.accumulate):
            part = {name: tensor[rows] for name, tensor in batch.items()}
            share = int((part["target_output"] != self.padding).sum()) / pieces
            terms = self.loss(self.model(part["source"], part["target_input"]), part["target_output"])
            self.backward(terms["total"] * share)
            for name, term in terms.items():
                whole[name] = whole.get(name, 0) + share * term.detach()
        return whole

    def state_dict(self) -> dict[str, Any]:
        """What the next update needs besides the model's own state: Adam's moments and the step counter."""
        return {"optimiser": self.optimiser.state_dict(), "step": self.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned; the model is loaded on its own."""
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
