"""Settings of PyTorch's own layers that are easily taken for their opposite: the rate of dropout, momentum of norms."""

from __future__ import annotations

import math
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from repro.checks.inputs import flat
from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.contract.components import location_of
from repro.findings import Finding


def layers(bench: Bench, kind: type[nn.Module]) -> list[tuple[str, Any, nn.Module]]:
    """(name, layer, the module of the person's that holds it) of every layer of a kind in the model."""
    found = []
    for owner, model in bench.modules(bench.model()).items():
        for name, layer in model.named_modules():
            if isinstance(layer, kind):
                parent = model.get_submodule(name.rpartition(".")[0])
                found.append((f"{owner}.{name}", layer, model if isinstance(parent, nn.Sequential) else parent))
    return found


@check(phase="model", family="declaration", component="model")
def dropout_rate(bench: Bench) -> Finding:
    """Decides whether layers of dropout leave out the share that the config's `dropout` says, not the share it keeps.

    Broken: a layer whose rate is 1 minus a rate of the model's config, and is none itself.
    Likely: the rate of dropout is taken for the share that is kept (TensorFlow 1's keep_prob) | 1 - dropout is given
    """
    settings = flat(bench.paper.settings.get("model") or {})
    rates = {
        key: float(v) for key, v in settings.items() if "drop" in key and isinstance(v, (int, float)) and 0 < v < 1
    }
    if not rates:
        return not_run("the model's config has no key with `drop` in its name and a rate between 0 and 1")
    found = layers(bench, _DropoutNd)
    if not found:
        return not_run("the model has no layers of nn.Dropout")
    given = [float(v) for v in settings.values() if isinstance(v, (int, float))]
    for name, layer, parent in found:
        p = float(layer.p)
        turned = [key for key, rate in rates.items() if math.isclose(p, 1 - rate, abs_tol=1e-9)]
        if turned and not any(math.isclose(p, value, abs_tol=1e-9) for value in given):
            return failed(
                f"{name} leaves out {p:g}, which is the share that {turned[0]} = {rates[turned[0]]:g} keeps",
                expected=f"p = {rates[turned[0]]:g}: PyTorch's p is the share that is left out",
                observed=f"p = {p:g}",
                threshold="exact",
                location=location_of(parent),
            )
    rates_seen = sorted({float(layer.p) for _, layer, _ in found})
    return passed(f"{len(found)} layers of dropout leave out {', '.join(f'{p:g}' for p in rates_seen)}")


@check(phase="model", family="declaration", component="model")
def batch_norm_momentum(bench: Bench, *, momentum: float | None = None, source: str = "") -> Finding:
    """Decides whether running statistics of batch normalisation move by a small share of each batch, as in PyTorch.

    PyTorch's momentum is the weight of the new batch (0.1), TensorFlow's and many papers' that of the old value (0.9,
    0.99). `momentum` declares PyTorch's, where the paper has another one.
    Broken: a momentum of 0.9 or more, below 1, that is not declared; or another one than declared.
    Likely: momentum in TensorFlow's sense: 1 - momentum is meant | the paper's momentum is not set
    """
    found = [one for one in layers(bench, _BatchNorm) if one[1].track_running_stats]
    if not found:
        return not_run("the model has no batch normalisation with running statistics")
    by = f" ({source})" if source else ""
    for name, layer, parent in found:
        p = layer.momentum
        fields: dict[str, Any] = {
            "observed": f"momentum = {p}",
            "threshold": "exact",
            "location": location_of(parent),
        }
        if momentum is not None and (p is None or not math.isclose(p, momentum)):
            return failed(f"{name} has another momentum than declared", expected=f"{momentum:g}{by}", **fields)
        if momentum is None and p is not None and 0.9 <= p < 1:
            return failed(
                f"{name} forgets {p:.0%} of its running statistics at each batch",
                expected="a small share of each batch, such as 0.1; if so meant, declare "
                f"{{property: batch_norm_momentum, momentum: {p:g}}}",
                likely=(f"momentum in TensorFlow's sense: 1 - {p:g} = {1 - p:g} is meant",),
                **fields,
            )
    seen = sorted({str(layer.momentum) for _, layer, _ in found})
    return passed(f"{len(found)} layers of batch normalisation with momentum {', '.join(seen)}{by}")
