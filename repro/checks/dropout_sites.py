"""Where dropout acts: how often a training forward calls it, at which rates, and from which lines."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from repro.arithmetic import evaluate
from repro.checks.inputs import component_location, model_sizes
from repro.checks.registry import check, failed, not_run, passed
from repro.checks.watch import NoDropout
from repro.contract.bench import Bench
from repro.contract.components import is_persons_file, relative
from repro.findings import Finding


@dataclass(frozen=True)
class Site:
    """A call of dropout: its rate, and the line of the person's code that it comes from."""

    rate: float
    line: str


class Calls(TorchFunctionMode):
    """Inside, every dropout that acts leaves a `Site`; what it returns is untouched."""

    def __init__(self) -> None:
        super().__init__()
        self.sites: list[Site] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        rate = 0.0
        if name in NoDropout.names:
            acts = kwargs.get("train", kwargs.get("training", args[2] if len(args) > 2 else True))
            rate = float(kwargs.get("p", args[1] if len(args) > 1 else 0.5)) if acts else 0.0
        elif name == "scaled_dot_product_attention":
            rate = float(kwargs.get("dropout_p", args[4] if len(args) > 4 else 0.0))
        if rate > 0:
            self.sites.append(Site(rate, persons_line()))
        return func(*args, **kwargs)


def persons_line() -> str:
    """The innermost line of the person's code on the stack; "" where none is."""
    own = [frame for frame in traceback.extract_stack() if is_persons_file(frame.filename)]
    return f"{relative(own[-1].filename)}:{own[-1].lineno}" if own else ""


@check(phase="model", family="declaration", component="model")
def dropout_sites(
    bench: Bench, *, equals: str | int | None = None, names: Mapping[str, str | float] | None = None, source: str = ""
) -> Finding:
    """Decides whether dropout acts in as many places of a training forward as the paper says, at the config's rates.

    `equals` is a number or an arithmetic expression over the values of the model's config, like that of
    `parameter_count`; `names` gives what the config leaves null.
    Broken: another number of calls, or a rate that is no rate of the config.
    Likely: dropout is missing at a place where the paper has it | dropout at a place where the paper has none (logits,
    attention weights, inside the feed-forward network) | applied twice, in the sub-layer and around it
    """
    if equals is None:
        return not_run("declare {property: dropout_sites, equals: <expression of the sizes>} to get it")
    given = model_sizes(bench, names)
    rates = sorted({value for key, value in given.items() if "drop" in key and 0 < value < 1})
    if not rates:
        return not_run("the model's config gives no rate of dropout above 0")
    wanted = round(float(evaluate(str(equals), given)))
    model = bench.model()
    for module in bench.modules(model).values():
        module.train()
    with torch.no_grad(), Calls() as calls:
        bench.forward(model, bench.synthetic(3))
    lines = Counter(site.line for site in calls.sites)
    strange = [site for site in calls.sites if all(abs(site.rate - rate) > 1e-9 for rate in rates)]
    fields: dict[str, Any] = {
        "expected": f"{wanted} = {equals}, at {' or '.join(f'{rate:g}' for rate in rates)}"
        + (f" ({source})" if source else ""),
        "observed": f"{len(calls.sites)}: "
        + (", ".join(f"{number} × {line}" if number > 1 else line for line, number in lines.items()) or "none"),
        "threshold": "exact",
        "location": component_location(bench, "model"),
    }
    if strange:
        return failed(
            f"dropout acts at a rate of {strange[0].rate:g}, which the config does not name",
            likely=(f"a rate that stands in the code, in {strange[0].line}", "the share that is kept is passed on"),
            **fields,
        )
    if len(calls.sites) == wanted:
        return passed(f"dropout acts in {wanted} places", **fields)
    missing = "dropout is missing at a place where the paper has it"
    extra = "dropout at a place where the paper has none (logits, attention weights, inside the feed-forward network)"
    few = len(calls.sites) < wanted
    return failed(
        f"dropout acts in {len(calls.sites)} places, in the paper in {wanted}",
        likely=(missing,) if few else (extra, "applied twice, in the sub-layer and around it"),
        details={"declare": "a deliberate deviation: change dropout_sites.equals in the paper's config"},
        **fields,
    )
