"""Lightning Fabric around a process of training, only where mixed precision or several processes need it.

The person's `Training` notices nothing: it is built with Fabric's modules and Fabric's `backward`, and its optimisers,
found among its attributes, are replaced by Fabric's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

import torch

from repro.errors import ComponentError, ConfigError
from repro.training.process import ProcessSpec

Model = Any  # an nn.Module, or a dict of named ones


class Backend(Protocol):
    """What the loop asks of the way it runs; `Plain` and `Wrapped` are the two ways."""

    device: torch.device
    rank: int
    world: int
    weight: float

    def model(self, model: Model) -> Model: ...
    def backward(self) -> Callable[..., Any]: ...
    def training(self, training: Any) -> None: ...
    def any(self, flag: int) -> int: ...
    def mean(self, row: dict[str, float]) -> dict[str, float]: ...
    def barrier(self) -> None: ...


class Plain:
    """One process in full precision: nothing is wrapped, nothing is paid."""

    rank = 0
    world = 1
    weight = 1.0

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def model(self, model: Model) -> Model:
        return model

    def backward(self) -> Callable[..., Any]:
        return torch.Tensor.backward

    def training(self, training: Any) -> None:
        pass

    def any(self, flag: int) -> int:
        return flag

    def mean(self, row: dict[str, float]) -> dict[str, float]:
        return row

    def barrier(self) -> None:
        pass


class Wrapped:
    """Through Fabric: mixed precision, and gradients averaged over the processes."""

    def __init__(self, fabric: Any, precision: str) -> None:
        self._fabric = fabric
        self._scaled = precision == "16-mixed"
        self._optimisers: list[Any] = []
        self.device = fabric.device
        self.rank = int(fabric.global_rank)
        self.world = int(fabric.world_size)
        self.weight = 1.0  # of this process's part of the present batch, see `devices.weight`

    def model(self, model: Model) -> Model:
        if isinstance(model, dict):
            return {name: self._fabric.setup_module(module) for name, module in model.items()}
        return self._fabric.setup_module(model)

    def backward(self) -> Callable[..., Any]:
        def backward(total: torch.Tensor, *arguments: Any, **keywords: Any) -> None:
            if self.weight != 1.0:
                total = total * self.weight
            self._fabric.backward(total, *arguments, **keywords)
            if self._scaled:
                # so that the clipping which the paper prescribes sees gradients in their own units
                scaler = self._fabric._precision.scaler
                for optimiser in self._optimisers:
                    scaler.unscale_(optimiser)

        return backward

    def training(self, training: Any) -> None:
        """Replaces every optimiser among the attributes of `training`, also inside lists and dicts.

        Raises:
            ComponentError: there is none, so that mixed precision or data parallelism could not be honoured.
        """
        found = 0
        for name, value in list(vars(training).items()):
            if isinstance(value, torch.optim.Optimizer):
                setattr(training, name, self._optimiser(value))
                found += 1
            elif isinstance(value, list | dict):
                for key, part in list(enumerate(value) if isinstance(value, list) else value.items()):
                    if isinstance(part, torch.optim.Optimizer):
                        value[key] = self._optimiser(part)
                        found += 1
        if self._scaled and not found:
            raise ComponentError(
                f"training: {type(training).__name__} holds no torch optimiser among its attributes; 16-mixed scales"
                " the loss and needs one to scale back.",
                "Keep the optimiser as an attribute, or train with precision=bf16-mixed or 32-true.",
            )

    def _optimiser(self, optimiser: torch.optim.Optimizer) -> Any:
        self._optimisers.append(optimiser)
        return self._fabric.setup_optimizers(optimiser)

    def any(self, flag: int) -> int:
        """The largest `flag` of all processes, so that they stop together."""
        if self.world == 1:
            return flag
        reduced = self._fabric.all_reduce(torch.tensor(float(flag), device=self.device), reduce_op="max")
        return int(reduced)

    def mean(self, row: dict[str, float]) -> dict[str, float]:
        """Every scalar of an update averaged over the processes, each with the weight of its part of the batch."""
        if self.world == 1:
            return row
        own = torch.tensor(list(row.values()), dtype=torch.float64, device=self.device)
        mean = self._fabric.all_reduce(own * self.weight, reduce_op="sum") / self.world
        return dict(zip(row, mean.tolist(), strict=True))

    def barrier(self) -> None:
        self._fabric.barrier()


def make_fabric(spec: ProcessSpec, device: torch.device) -> Any:
    """A Fabric for this task; with several devices it starts one process each on `launch`.

    Raises:
        ConfigError: a GPU was named but several were asked for, or there are too few.
    """
    from lightning.fabric import Fabric
    from lightning.fabric.strategies.ddp import DDPStrategy

    accelerator = "cuda" if device.type == "cuda" else "cpu"
    if spec.devices == 1:
        devices: Any = [device.index or 0] if accelerator == "cuda" else 1
        return Fabric(accelerator=accelerator, devices=devices, precision=spec.precision)  # type: ignore[arg-type]
    if accelerator == "cuda" and spec.device not in ("auto", "cuda"):
        raise ConfigError(f"devices: got {spec.devices} with device={spec.device}; use device=cuda for several GPUs.")
    if accelerator == "cuda" and spec.devices > torch.cuda.device_count():
        raise ConfigError(f"devices: got {spec.devices}; this machine has {torch.cuda.device_count()} GPUs.")
    strategy = DDPStrategy(
        # spawn: a fresh interpreter inherits neither locks nor threads of this one
        start_method="spawn",
        process_group_backend="nccl" if accelerator == "cuda" else "gloo",
        # the others wait while the first evaluates, which may be long
        timeout=timedelta(hours=12),
    )
    return Fabric(accelerator=accelerator, devices=spec.devices, strategy=strategy, precision=spec.precision)  # type: ignore[arg-type]
