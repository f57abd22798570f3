"""One update of section 4.2: SGD with momentum, weight decay, a rate in steps, and for 110 layers a warm-up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

WARM_UPS = ("none", "until_learning")


def learning_rate(step: int, rate: float, first_drop: int, second_drop: int) -> float:
    """The rate of update `step`, counted from 1: `rate`, a tenth after `first_drop` updates, a hundredth after both.

    "We start with a learning rate of 0.1, divide it by 10 at 32k and 48k iterations": update 32,001 is the first with
    the lower one.
    """
    drops = (step > first_drop) + (step > second_drop)
    return rate * 0.1**drops


def over_processes(value: Tensor) -> Tensor:
    """The mean of a scalar over the processes that share each batch, so that all of them decide alike."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return value
    total = value.clone()
    torch.distributed.all_reduce(total)
    return total / torch.distributed.get_world_size()


class Training:
    """The paper's optimiser around one model.

    Args:
        model: called as model(image).
        loss: called as loss(logits, label), returns terms with `total`.
        backward: computes the gradients from the total; the harness hands in its own where precision or several
            processes need it.
        rate: the learning rate before the first drop.
        first_drop, second_drop: after so many updates the rate is divided by 10.
        momentum, weight_decay: of SGD; the decay acts on every parameter, as the paper names no exception.
        warmup: "until_learning" trains at `warmup_rate` until the training error is below `warmup_error`, as section
            4.2 does for 110 layers; "none" starts at `rate`.
        warmup_error: per cent; the mean over the last `warmup_batches` batches is compared with it.
        warmup_batches: the paper says neither which images the training error is of nor how often it is looked at.

    Raises:
        ValueError: an unknown warm-up.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[..., dict[str, Tensor]],
        backward: Callable[[Tensor], Any] = Tensor.backward,
        *,
        rate: float = 0.1,
        first_drop: int = 32_000,
        second_drop: int = 48_000,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        warmup: str = "none",
        warmup_rate: float = 0.01,
        warmup_error: float = 80.0,
        warmup_batches: int = 50,
    ) -> None:
        if warmup not in WARM_UPS:
            raise ValueError(f"training.warmup is {warmup!r}, needed one of {', '.join(WARM_UPS)}")
        self.model = model
        self.loss = loss
        self.backward = backward
        self.rate = rate
        self.first_drop = first_drop
        self.second_drop = second_drop
        self.warming = warmup == "until_learning"
        self.warmup_rate = warmup_rate
        self.warmup_error = warmup_error
        self.warmup_batches = warmup_batches
        self.errors: list[float] = []  # per cent, of the last batches while warming up
        self.step = 0  # updates made; the next one is step + 1
        self.optimiser = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum, weight_decay=weight_decay)

    def learning_rate(self, step: int) -> float:
        """Learning rate of update `step`, counted from 1; the warm-up counts as updates of the schedule."""
        if self.warming:
            return self.warmup_rate
        return learning_rate(step, self.rate, self.first_drop, self.second_drop)

    def update(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor | float]:
        """One step on one batch (image, label); returns the scalars to log.

        `loss` is in nats per image, `error` in per cent, both of this batch before the step.
        """
        self.model.train()
        self.step += 1
        rate = self.learning_rate(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        logits = self.model(batch["image"])  # [b, classes]
        terms = self.loss(logits, batch["label"])
        self.backward(terms["total"])
        self.optimiser.step()
        error = 100 * (logits.detach().argmax(-1) != batch["label"]).float().mean()
        if self.warming:
            self.end_warmup(float(over_processes(error)))
        return {"loss": terms["total"].detach(), "error": error, "learning_rate": rate}

    def end_warmup(self, error: float) -> None:
        """Note the error of a batch, in per cent; once the last ones average below `warmup_error`, warm-up is over."""
        self.errors = [*self.errors, error][-self.warmup_batches :]
        if len(self.errors) == self.warmup_batches and sum(self.errors) / self.warmup_batches < self.warmup_error:
            self.warming, self.errors = False, []

    def state_dict(self) -> dict[str, Any]:
        """What the next update needs besides the model's own state: momenta, the step counter, where the warm-up is."""
        return {
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "warming": self.warming,
            "errors": list(self.errors),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned; the model is loaded on its own."""
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
        self.warming = state["warming"]
        self.errors = list(state["errors"])
