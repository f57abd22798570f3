"""Initialisation checks: each declared parameter's spread, mean, bounds, by a test sized by the number of samples."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from repro.arithmetic import evaluate
from repro.checks.inputs import component_location, flat
from repro.checks.modules import near
from repro.checks.placement import embedding_factor
from repro.checks.registry import check, failed, not_run, passed, warned
from repro.contract.bench import Bench
from repro.findings import Finding

SIGMA = 5  # standard errors: one false alarm in 1.7 million tests of a right initialisation
ENOUGH_FOR_SHAPE = 2000  # samples from which the fourth moment tells a normal from a uniform (5 standard errors apart)
DISTRIBUTIONS = (
    "normal",
    "truncated_normal",
    "uniform",
    "xavier_uniform",
    "xavier_normal",
    "kaiming_uniform",
    "kaiming_normal",
    "default",
    "constant",
    "zeros",
    "ones",
    "orthogonal",
)


@dataclass(frozen=True)
class Spread:
    """What a distribution says of each value: `std` around `mean`, and the largest distance from it (inf: none)."""

    mean: float
    std: float
    bound: float = math.inf
    uniform: bool = False


def fans(parameter: Tensor) -> tuple[int, int]:
    """(fan in, fan out) of a weight [out, in, *kernel]; of fewer axes, its size twice."""
    if parameter.dim() < 2:
        return parameter.numel(), parameter.numel()
    field = math.prod(parameter.shape[2:])
    return parameter.shape[1] * field, parameter.shape[0] * field


def expected_spread(entry: Mapping[str, Any], parameter: Tensor, names: Mapping[str, float]) -> Spread:
    """The spread that a declaration gives one parameter. Raises KeyError for an unknown distribution."""

    def of(key: str, default: float) -> float:
        value = entry.get(key, default)
        return float(evaluate(str(value), {**names, **(entry.get("names") or {})}))

    fan_in, fan_out = fans(parameter)
    kind = entry.get("distribution")
    gain = of("gain", math.sqrt(2.0) if str(kind).startswith("kaiming") else 1.0)
    fan = {"fan_in": fan_in, "fan_out": fan_out}.get(str(entry.get("mode") or entry.get("fan") or "fan_in"), fan_in)
    match kind:
        case "normal":
            return Spread(of("mean", 0.0), of("std", 1.0))
        case "truncated_normal":
            # cut at two standard deviations unless declared; the cut takes the spread down to 0.8796 of std
            std, cut = of("std", 1.0), of("cut", 2.0)
            density = math.exp(-(cut**2) / 2) / math.sqrt(2 * math.pi)
            inside = math.erf(cut / math.sqrt(2))
            return Spread(of("mean", 0.0), std * math.sqrt(1 - 2 * cut * density / inside), cut * std)
        case "uniform":
            low, high = of("low", -of("bound", 1.0)), of("high", of("bound", 1.0))
            return Spread((low + high) / 2, (high - low) / math.sqrt(12), (high - low) / 2, uniform=True)
        case "xavier_uniform" | "xavier_normal":
            std = gain * math.sqrt(2 / (fan_in + fan_out))
        case "kaiming_uniform" | "kaiming_normal":
            std = gain / math.sqrt(fan)
        case "default":  # torch.nn.Linear and Conv: uniform within 1 / sqrt(fan_in)
            std = 1 / math.sqrt(3 * fan_in)
        case "constant" | "zeros" | "ones":
            return Spread({"zeros": 0.0, "ones": 1.0}.get(str(kind), of("value", 0.0)), 0.0, 0.0)
        case "orthogonal":
            return Spread(0.0, gain / math.sqrt(max(parameter.shape[0], parameter[0].numel())))
        case _:
            raise KeyError(kind)
    uniform = kind in ("xavier_uniform", "kaiming_uniform", "default")
    return Spread(0.0, std, std * math.sqrt(3) if uniform else math.inf, uniform)


def best_glob(name: str, globs: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """The glob that means this parameter: of several, the narrowest, which matches the fewest of all `names`."""
    matching = [glob for glob in globs if fnmatch.fnmatchcase(name, glob)]
    if len(matching) < 2:
        return matching[0] if matching else None
    known = list(names)
    return min(matching, key=lambda glob: sum(fnmatch.fnmatchcase(other, glob) for other in known))


@check(phase="model", family="initial value", component="model")
def initialisation(bench: Bench) -> list[Finding]:
    """Decides for each declared parameter whether its initial values have the declared mean, spread and bounds.

    Broken: a mean or standard deviation more than 5 standard errors away, a value beyond the bounds, or another shape.
    Likely: default init instead of the declared one (never called, or called before the layer was replaced) | fan in
    and fan out swapped | gain missing | all weights initialised to the same constant
    """
    declared = bench.paper.initialisation
    if not declared:
        return [not_run("paper silent: declare initialisation: {<parameter glob>: {distribution: …}} to get it")]
    names = {k: v for k, v in flat(bench.paper.settings.get("model") or {}).items() if isinstance(v, (int, float))}
    model = bench.model()
    groups: dict[str, list[tuple[str, Tensor]]] = {glob: [] for glob in declared}
    silent: list[str] = []
    known = [
        n if o == "model" else f"{o}.{n}" for o, m in bench.modules(model).items() for n, _ in m.named_parameters()
    ]
    for owner, module in bench.modules(model).items():
        prefix = "" if owner == "model" else f"{owner}."
        for name, parameter in module.named_parameters():
            glob = best_glob(prefix + name, declared, known)
            if glob is None:
                silent.append(prefix + name)
            else:
                groups[glob].append((prefix + name, parameter.detach().double()))
    findings = []
    table = []
    for glob, members in groups.items():
        finding, row = judge_group(bench, glob, declared[glob], members, names, silent)
        findings.append(finding)
        table.append(row)
    if silent:
        findings.append(
            not_run(
                f"paper silent on {len(silent)} parameters, so nothing is tested: {', '.join(silent[:4])}"
                + (" …" if len(silent) > 4 else ""),
                details={"parameters": silent},
            )
        )
    return [
        f.with_changes(details={**f.details, "initialisation": table}) if i == 0 else f for i, f in enumerate(findings)
    ]


def judge_group(
    bench: Bench,
    glob: str,
    entry: Mapping[str, Any],
    members: list[tuple[str, Tensor]],
    names: Mapping[str, float],
    silent: list[str],
) -> tuple[Finding, dict[str, Any]]:
    """The finding on all parameters of a glob together, and its row for the report."""
    row: dict[str, Any] = {"parameters": glob, "declared": describe(entry), "n": 0, "observed": None}
    where = {"location": component_location(bench, "model")}
    if not members:
        return (
            warned(
                f"initialisation: no parameter is called {glob}", observed=near(glob, silent) or "none matches", **where
            ),
            row,
        )
    try:
        spreads = [expected_spread(entry, value, names) for _, value in members]
    except KeyError as unknown:
        return (
            not_run(f"initialisation.{glob}.distribution is {unknown}, known are {', '.join(DISTRIBUTIONS)}", **where),
            row,
        )
    n = sum(value.numel() for _, value in members)
    observed_std = math.sqrt(
        sum(float(((v - s.mean) ** 2).sum()) for (_, v), s in zip(members, spreads, strict=True)) / n
    )
    expected_std = math.sqrt(sum(v.numel() * s.std**2 for (_, v), s in zip(members, spreads, strict=True)) / n)
    row |= {"n": n, "observed": observed_std, "expected": expected_std}
    fault, threshold = fault_of([v for _, v in members], spreads)
    fields: dict[str, Any] = {
        "expected": f"{glob}: {describe(entry)}, so standard deviation {expected_std:.4g}"
        + (f" ({entry['source']})" if entry.get("source") else ""),
        "observed": f"standard deviation {observed_std:.4g} over {n} values",
        "threshold": threshold,
        **where,
    }
    if not fault:
        return passed(f"{glob}: {describe(entry)}, {n} values", **fields), row
    factor = embedding_factor(bench, [name for name, _ in members])
    if factor != 1.0:
        other = [Spread(s.mean, s.std * factor, s.bound * factor, s.uniform) for s in spreads]
        if not fault_of([v for _, v in members], other)[0]:
            return warned(
                f"{glob}: {factor:.4g} times as wide, with the scale moved from the embedding to the output", **fields
            ), row
    return failed(f"{glob}: {fault}", likely=suspects(members, observed_std, expected_std), **fields), row


def fault_of(values: list[Tensor], spreads: list[Spread]) -> tuple[str, str]:
    """What is wrong with the values of a group, "" if nothing, and the threshold in words.

    Values are brought to mean 0 and variance 1 by their own declaration and pooled. Standard errors: 1/sqrt(n) of the
    mean, sqrt((kurtosis - 1) / n) of the mean square (2 for a normal, 0.8 for a uniform).
    """
    for value, spread in zip(values, spreads, strict=True):
        if spread.std == 0.0:
            off = float((value - spread.mean).abs().max())
            if off > 1e-6 * max(1.0, abs(spread.mean)):
                return f"differs from {spread.mean:g} by {off:.4g}", "1e-6"
    free = [(v, s) for v, s in zip(values, spreads, strict=True) if s.std > 0]
    if not free:
        return "", "1e-6 (constants)"
    pooled = torch.cat([((v - s.mean) / s.std).flatten() for v, s in free])
    n = pooled.numel()
    if float(pooled.std(correction=0)) < 1e-6 and n > 1:
        return f"all {n} values are the same constant {float(free[0][0].flatten()[0]):.4g}", "any spread at all"
    uniform = all(s.uniform for _, s in free)
    error = math.sqrt((0.8 if uniform else 2.0) / n)
    threshold = f"{SIGMA} standard errors of {n} samples: ±{SIGMA * 100 * error / 2:.2g} % of the standard deviation"
    for value, spread in free:
        if float((value - spread.mean).abs().max()) > spread.bound * (1 + 1e-5):
            return f"a value lies beyond ±{spread.bound:.4g}", f"bound of the {'uniform' if spread.uniform else 'cut'}"
    square = float((pooled**2).mean())
    if n >= 30 and abs(square - 1) > SIGMA * error * (1 + 20 / n):  # the skew of a small sample's variance
        return f"standard deviation is {math.sqrt(square):.4g} times the declared one", threshold
    if abs(float(pooled.mean())) > SIGMA / math.sqrt(n):
        return f"mean is {float(pooled.mean()):.4g} standard deviations off", threshold
    normal = not uniform and all(math.isinf(s.bound) for _, s in free)
    if normal and n >= ENOUGH_FOR_SHAPE and float((pooled**4).mean()) / square**2 < 2.4:
        # kurtosis 3 for a normal, 1.8 for a uniform; 2.4 lies half way, 5 standard errors sqrt(24 / n) from either
        return "values are spread like a uniform, not a normal", "kurtosis 2.4, half way between 3 and 1.8"
    return "", threshold


def suspects(members: list[tuple[str, Tensor]], observed: float, expected: float) -> tuple[str, ...]:
    default = "default init instead of the declared one (never called, or called before the layer was replaced)"
    likely = [default]
    value = members[0][1]
    if value.dim() > 1 and float((value - value.flatten()[0]).abs().max()) == 0.0:
        return ("all weights initialised to the same constant", default)
    fan_in, fan_out = fans(value)
    ratio = observed / expected if expected else math.inf
    error = max(0.05, 3 / math.sqrt(2 * sum(v.numel() for _, v in members)))  # three standard errors of a spread
    swapped = [math.sqrt(fan_out / fan_in), math.sqrt(fan_in / fan_out)] if fan_in != fan_out else []
    told = not math.isclose(ratio, 1, rel_tol=error)  # a spread like the declared one points to no other
    if told and any(math.isclose(ratio, factor, rel_tol=error) for factor in swapped):
        likely.insert(0, "fan in and fan out swapped")
    if any(math.isclose(ratio, factor, rel_tol=0.05) for factor in (math.sqrt(2), 1 / math.sqrt(2), 5 / 3, 3 / 5)):
        likely.insert(0, "gain missing or doubled")
    if math.isclose(ratio, expected, rel_tol=0.05) or math.isclose(
        ratio, 1 / expected if expected else 0, rel_tol=0.05
    ):
        likely.insert(0, "variance given where the standard deviation is needed, or the other way round")
    return tuple(dict.fromkeys([*likely, "gain missing", "fan in and fan out swapped"]))[:3]


def describe(entry: Mapping[str, Any]) -> str:
    numbers = ", ".join(
        f"{k} {v}" for k, v in entry.items() if k not in ("distribution", "source", "names") and v is not None
    )
    return str(entry.get("distribution")) + (f" ({numbers})" if numbers else "")


@check(phase="model", family="initial value", component="model")
def weights_differ(bench: Bench) -> Finding:
    """Decides whether the units of each weight matrix start different from each other, so that they can learn
    differently.

    Broken: every row of a matrix is the same.
    Likely: all weights initialised to the same constant | one row drawn and expanded | zeros where only the last layer
    may be zero
    """
    model = bench.model()
    same: list[str] = []
    zero: list[str] = []
    for module in bench.modules(model).values():
        for owner, layer in module.named_modules():
            for short, parameter in layer.named_parameters(recurse=False):
                name = f"{owner}.{short}" if owner else short
                if not is_weight(short, parameter):
                    continue
                rows = parameter.detach().flatten(1)
                if float((rows - rows[0]).abs().max()) == 0.0:
                    declared = best_glob(name, bench.paper.initialisation, [n for n, _ in module.named_parameters()])
                    entry = bench.paper.initialisation.get(declared or "", {})
                    if entry.get("distribution") in ("constant", "zeros", "ones"):
                        continue
                    (zero if not bool(parameter.any()) else same).append(name)
    where = {"location": component_location(bench, "model")}
    if same:
        return failed(
            f"all rows of {len(same)} weights are equal: {', '.join(same[:3])}",
            expected="rows of a weight differ: units that start equal stay equal for ever",
            observed="every row is the same",
            threshold="exact",
            details={"parameters": same},
            **where,
        )
    if zero:
        return warned(
            (
                f"{len(zero)} weights start at zero: {', '.join(zero[:3])}; right only as the last step of a residual "
                "branch"
            ),
            observed="every entry is 0",
            **where,
        )
    return passed("rows of every weight differ", expected="rows differ", observed="they do", **where)


def is_weight(name: str, parameter: Tensor) -> bool:
    """A matrix or kernel with several units; not a bias, gain, or token that is broadcast."""
    return parameter.dim() >= 2 and parameter.shape[0] > 1 and parameter[0].numel() > 1 and "bias" not in name
