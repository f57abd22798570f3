"""Which device a process trains on, and batches and parts of batches on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from repro.contract.components import takes_model
from repro.contract.declarations import TensorDeclaration
from repro.errors import ComponentError, ConfigError

Batch = dict[str, Any]


def resolve(device: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda` or `cuda:N` means here.

    Raises:
        ConfigError: no such device on this machine; the message says what there is.
    """
    there = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if device == "auto":
        return torch.device("cuda:0" if there else "cpu")
    if device == "cpu":
        return torch.device("cpu")
    if device == "cuda" and there:
        return torch.device("cuda:0")
    if device in there:
        return torch.device(device)
    raise ConfigError(
        f"device: got {device!r}; this machine has {', '.join(['cpu', *there])}.",
        "Use device=auto or one of these.",
    )


def training_stream(data: Any, model: Any) -> Iterator[Batch]:
    """Endless training batches: one pass after the other from where the data stands.

    Raises:
        ComponentError: two passes in a row yield nothing.
    """
    acts = takes_model(data)
    empty = 0
    while empty < 2:  # one empty pass is what remains when training resumes at the end of a pass
        empty += 1
        for batch in data.batches("train", model=model) if acts else data.batches("train"):
            empty = 0
            yield batch
    raise ComponentError(
        "data: batches('train') yields nothing.",
        "Yield every training batch of one pass, from the current position.",
    )


def move(batch: Mapping[str, Any], device: torch.device) -> Batch:
    """The batch with its tensors on `device`; copies from pinned memory overlap with computing."""
    return {k: v.to(device, non_blocking=True) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}


def shard(batch: Mapping[str, Any], declared: Mapping[str, TensorDeclaration], rank: int, world: int) -> Batch:
    """Part `rank` of `world` of a batch, cut along the declared axis `batch`: the paper's batch size stays what it is.

    Tensors without that axis go to every process whole.

    Raises:
        ComponentError: fewer examples than processes.
    """
    parts: Batch = {}
    for name, value in batch.items():
        axes = declared[name].axes if name in declared else ()
        if "batch" not in axes:
            parts[name] = value
            continue
        axis = axes.index("batch")
        if value.shape[axis] < world:
            raise ComponentError(
                f"data: a batch has {value.shape[axis]} examples in {name!r}, fewer than the {world} processes that"
                " share it.",
                "Train with fewer devices, or with larger batches.",
            )
        parts[name] = value.tensor_split(world, dim=axis)[rank]
    return parts


def weight(
    whole: Mapping[str, Any],
    part: Mapping[str, Any],
    declared: Mapping[str, TensorDeclaration],
    mean_over: str | None,
    world: int,
) -> float:
    """How much a part counts when the means of `world` parts are averaged, so that the result is the mean of the whole.

    Args:
        whole, part: a batch and what `shard` cut from it.
        declared: the tensors of the paper.
        mean_over: tensor over whose entries the loss is a mean, padding left out; None: over examples.
        world: number of parts.

    Raises:
        ComponentError: the batch has no such tensor.
    """
    if mean_over is not None and mean_over not in whole:
        raise ComponentError(
            f"loss_mean_over names {mean_over!r}, but a batch has {', '.join(whole)}.",
            "Name the tensor of the batch over whose entries the loss is a mean, or null for examples.",
        )
    if mean_over is not None:
        padding = declared[mean_over].padding if mean_over in declared else None
        counts = [
            int(b[mean_over].numel() if padding is None else (b[mean_over] != padding).sum()) for b in (whole, part)
        ]
    else:
        cut = next((name for name in whole if name in declared and "batch" in declared[name].axes), None)
        if cut is None:
            return 1.0
        axis = declared[cut].axes.index("batch")
        counts = [int(b[cut].shape[axis]) for b in (whole, part)]
    return world * counts[1] / counts[0]
