"""The distribution over actions that a paper declares, computed in float64 from the model's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from repro.checks.registry import not_run
from repro.contract.bench import Bench
from repro.findings import Finding
from repro.oracles import policies as oracle


def arrays(values: Sequence[Tensor]) -> list[np.ndarray]:
    return [value.detach().double().numpy() for value in values]


def undeclared(bench: Bench, check_name: str, names: Mapping[str, str]) -> Finding | None:
    """Not run, where an option names no declared tensor; None where all do."""
    missing = [f"{option}: <tensor>" for option, name in names.items() if name not in bench.paper.tensors]
    return not_run(f"properties: {check_name} needs {', '.join(missing)}") if missing else None


def unknown(distribution: str, parameters: Sequence[str]) -> str:
    """Why a declared distribution cannot be computed; "" where it can."""
    wanted = {"categorical": 1, "gaussian": 2}.get(distribution)
    if wanted is None:
        return f"distribution is {distribution!r}, known are categorical and gaussian"
    if wanted != len(parameters):
        needed = "[logits]" if wanted == 1 else "[mean, log_std]"
        return f"parameters are {list(parameters)}, a {distribution} distribution has {needed}"
    return ""


def log_probability(distribution: str, parameters: Sequence[np.ndarray], action: np.ndarray) -> np.ndarray:
    """[n] of actions under the declared distribution, in float64."""
    if distribution == "categorical":
        return oracle.categorical_log_probability(parameters[0], action.astype(np.int64))
    return oracle.gaussian_log_probability(parameters[0], parameters[1], action)


def entropy(distribution: str, parameters: Sequence[np.ndarray]) -> np.ndarray:
    """[n] of the declared distribution, in float64."""
    if distribution == "categorical":
        return oracle.categorical_entropy(parameters[0])
    return oracle.gaussian_entropy(parameters[1])
