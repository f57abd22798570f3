"""Batches that come from acting: made for a check, and whether their steps can be told apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.checks.inputs import forward_inputs
from repro.contract.bench import Bench
from repro.contract.components import persons_errors

BATCHES = 80  # of one pass, at most: two epochs of 32 minibatches and a few more
REPEATED = 50  # rows that came twice, from which it is clear whether what is stored with them is constant
#: Why steps are not told apart by what was observed.
RECURRING = "observations recur within one batch (a few states): two experiences meet the same ones"


def acted(bench: Bench, seed: int, model: Any) -> Iterator[dict[str, Tensor]]:
    """Batches of one training pass by a data component of this seed, which `model` acts for as its weights change."""
    with bench.precision(torch.float32):
        data = bench.paper.build_data(seed)
        with persons_errors("data: batches('train') raised"):
            yield from (dict(batch) for batch in data.batches("train", model=model))


def recurs(bench: Bench, batch: Mapping[str, Tensor]) -> bool:
    """Whether a tenth of the steps of a batch share their observation with another."""
    return len(observed(bench, [batch])) < 0.9 * max((len(value) for value in batch.values() if value.dim()), default=1)


def observed(bench: Bench, batches: Iterable[Mapping[str, Tensor]]) -> set[bytes]:
    """The floating inputs of the model in these batches, a key for each step."""
    return {key for batch in batches for key in steps(bench, batch)}


def steps(bench: Bench, batch: Mapping[str, Tensor]) -> Iterator[bytes]:
    """One key for each step of the batch, of what the model was given there."""
    return keys(batch, [n for n in forward_inputs(bench, batch) if batch[n].is_floating_point()])


def keys(batch: Mapping[str, Tensor], names: Sequence[str]) -> Iterator[bytes]:
    """One key for each step of the batch, the same where all the named tensors are the same bit for bit."""
    columns = [batch[name].detach().cpu().numpy() for name in names]
    for row in range(len(columns[0]) if columns else 0):
        yield b"".join(np.ascontiguousarray(column[row]).tobytes() for column in columns)
