"""Gradient checks: who receives gradient, which way it points, and whether it agrees with finite differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from repro.checks.inputs import component_location, loss_inputs
from repro.checks.modules import followers, match_parameters, shaken
from repro.checks.registry import check, failed, not_run, passed, warned
from repro.contract.bench import Bench
from repro.contract.components import location_of, parameters_of
from repro.findings import Finding
from repro.oracles.positions import distance_up_to_channels, positional_encoding


@check(phase="model", family="declaration", component="model")
def modules_registered(bench: Bench) -> list[Finding]:
    """Decides whether every layer that a module holds is registered, so that it is trained, moved and switched to eval.

    Broken: a module or parameter in a plain list, dict or tuple, or a leaf of the graph that model.parameters() lacks.
    Likely: layers kept in a plain Python list (use nn.ModuleList) | a parameter kept as a plain tensor attribute
    | layers created anew in forward
    """
    model = bench.model(dtype=torch.float32)  # layers that are not registered stay in float32 whatever we ask for
    findings = []
    for owner, module in bench.modules(model).items():
        lost = list(unregistered(module))
        for path, kind, count in lost:
            findings.append(
                failed(
                    f"{path} holds {count} {kind} that the model does not know",
                    expected="every layer is a registered submodule, every weight a registered parameter",
                    observed=f"{path} is a plain container or attribute: its weights are not in {owner}.parameters()",
                    threshold="exact",
                    location=location_of(module.get_submodule(path.rpartition(".")[0])),
                )
            )
        if not lost:
            findings += graph_leaves(bench, model, owner, module)
    return findings or [passed("every layer and weight is registered", location=component_location(bench, "model"))]


def unregistered(module: nn.Module) -> Iterator[tuple[str, str, int]]:
    """(path, "layers" or "parameters", number) of modules and parameters in plain attributes, lists, tuples, dicts."""
    known = {id(m) for m in module.modules()}
    weights = {id(p) for p in module.parameters()}
    for name, owner in module.named_modules():
        for attribute, value in vars(owner).items():
            if attribute.startswith("_") and attribute in ("_modules", "_parameters", "_buffers"):
                continue
            held = list(contents(value))
            layers = [m for m in held if isinstance(m, nn.Module) and id(m) not in known and list(m.parameters())]
            loose = [p for p in held if isinstance(p, nn.Parameter) and id(p) not in weights]
            path = f"{name}.{attribute}" if name else attribute
            if layers:
                yield path, "layers" if len(layers) > 1 else "layer", len(layers)
            if loose:
                yield path, "parameters" if len(loose) > 1 else "parameter", len(loose)


def contents(value: Any, depth: int = 0) -> Iterator[Any]:
    """The value and, for plain containers, what they hold, three deep."""
    if isinstance(value, (nn.Module, Tensor)):
        yield value
    elif isinstance(value, dict) and depth < 3:
        for part in value.values():
            yield from contents(part, depth + 1)
    elif isinstance(value, (list, tuple, set)) and depth < 3:
        for part in value:
            yield from contents(part, depth + 1)


def graph_leaves(bench: Bench, model: Any, owner: str, module: nn.Module) -> list[Finding]:
    """Leaves with requires_grad that a forward uses and parameters() lacks."""
    if not bench.paper.outputs(owner):
        return []
    module.train()
    outputs = bench.forward(model, bench.synthetic(3), owner)
    known = {id(p) for m in bench.modules(model).values() for p in m.parameters()}
    foreign = [leaf for value in outputs.values() for leaf in leaves_of(value) if id(leaf) not in known]
    if not foreign:
        return []
    shapes = ", ".join(str(list(leaf.shape)) for leaf in foreign[:4])
    return [
        failed(
            f"the forward uses {len(foreign)} weights that {owner}.parameters() lacks",
            expected="every leaf of the graph that asks for gradient is a registered parameter",
            observed=f"leaves of shapes {shapes}",
            threshold="exact",
            location=location_of(module),
        )
    ]


def leaves_of(value: Tensor) -> list[Tensor]:
    """Leaf tensors with requires_grad in the graph of `value`."""
    if value.grad_fn is None:
        return []
    seen: set[Any] = set()
    stack: list[Any] = [value.grad_fn]
    leaves: list[Tensor] = []
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            leaves.append(node.variable)
        stack += [parent for parent, _ in node.next_functions]
    return leaves


@check(phase="model", family="gradient", component="model")
def gradient_reaches(bench: Bench, *, stopped: list[str] | None = None) -> list[Finding]:
    """Decides whether every parameter of the model receives gradient from its outputs.

    `stopped` lists globs of parameters that the paper cuts off on purpose.
    Broken: a parameter that is frozen, or whose gradient is missing or exactly zero.
    Likely: no_grad left around part of the forward | frozen flag left on (requires_grad False) | a layer that is built
    but not used | .detach() or .item() on the way
    """
    model = bench.model()
    follow = followers(bench.modules(model))
    shaken(bench, model)
    findings = []
    for owner, module in bench.modules(model).items():
        if not bench.paper.outputs(owner):
            continue
        module.train()
        allowed = allowed_frozen(bench, module, stopped) | {name.removeprefix(f"{owner}.") for name in follow}
        fixed = [n for n, p in module.named_parameters() if not p.requires_grad and n not in allowed]
        batch = bench.synthetic(6)
        outputs = bench.forward(model, batch, owner)
        generator = torch.Generator().manual_seed(5)
        total = sum(
            (v * torch.randn(v.shape, generator=generator, dtype=torch.float64).to(v.dtype)).sum()
            for v in outputs.values()
            if isinstance(v, Tensor) and v.is_floating_point()
        )
        missing: list[str] = []
        if isinstance(total, Tensor) and total.requires_grad:
            names = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
            grads = torch.autograd.grad(total, [p for _, p in names], allow_unused=True)
            missing = [
                n
                for (n, _), g in zip(names, grads, strict=True)
                if (g is None or not bool(g.any())) and n not in allowed
            ]
        else:
            missing = [n for n, p in module.named_parameters() if p.requires_grad and n not in allowed]
        findings += judge_reach(owner, module, missing, fixed)
    return findings or [not_run("declare an output: tensors.<name>: {axes: […], output_of: model}")]


def allowed_frozen(bench: Bench, module: nn.Module, stopped: list[str] | None) -> set[str]:
    """Parameters that may go without gradient: declared ones, and fixed sinusoidal tables kept as parameters."""
    globs = list(stopped or [])
    for declared in bench.paper.properties:
        if declared.name == "frozen":
            globs += declared.options.get("parameters", [])
    names = {name for glob in globs for name in match_parameters(module, glob)}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad and is_positional_table(parameter):
            names.add(name)
    return names


def is_positional_table(parameter: Tensor) -> bool:
    """Whether a frozen tensor is a sinusoidal table (a known way to store one)."""
    table = parameter.detach().squeeze()
    if table.dim() != 2 or table.shape[0] < 2 or table.shape[1] > 1024:
        return False
    rows = min(16, table.shape[0])
    ours = table[:rows].double().numpy()
    return distance_up_to_channels(ours, positional_encoding(rows, table.shape[1])) < 0.05


def judge_reach(owner: str, module: nn.Module, missing: list[str], fixed: list[str]) -> list[Finding]:
    names = [n for n, _ in module.named_parameters()]
    fields: dict[str, Any] = {
        "expected": f"every parameter of {owner} receives a gradient that is not exactly zero",
        "threshold": "exactly zero or None, with noise on all weights and random weights on the outputs",
    }
    if not missing and not fixed:
        return [
            passed(
                f"gradient reaches all {len(names)} parameters of {owner}",
                observed="every gradient is non-zero",
                location=location_of(module),
                **fields,
            )
        ]
    findings = []
    if fixed:
        findings.append(
            failed(
                f"{len(fixed)} of {len(names)} parameters are frozen: {summary_of(fixed)}",
                observed="requires_grad is false",
                location=location_of(common_module(module, fixed)),
                likely=(
                    "frozen flag left on (requires_grad False)",
                    (
                        "a fixed table kept as a parameter: make it a buffer, or declare {property: frozen, "
                        "parameters: […]}"
                    ),
                ),
                details={"parameters": fixed},
                **fields,
            )
        )
    if missing:
        no_grad = "no_grad left around part of the forward"
        unused = "a layer that is built but not used"
        whole = len(missing) > 2 or len(missing) == len(names)
        likely = (
            (no_grad, ".detach() or .item() on the way", unused) if whole else (unused, no_grad, ".detach() on the way")
        )
        findings.append(
            failed(
                f"no gradient reaches {len(missing)} of {len(names)} parameters: {summary_of(missing)}",
                observed="gradient None or exactly zero",
                location=location_of(common_module(module, missing)),
                likely=likely,
                details={"parameters": missing},
                **fields,
            )
        )
    return findings


def summary_of(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def common_module(module: nn.Module, names: list[str]) -> nn.Module:
    """The smallest submodule that holds all these parameters."""
    parts = [name.split(".")[:-1] for name in names]
    shared = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return module.get_submodule(".".join(shared))


@check(phase="model", family="gradient", component="model")
def model_finite_differences(bench: Bench) -> list[Finding]:
    """Decides whether the gradient of each parameter agrees with central finite differences in float64.

    Broken: the slope along a random direction differs from what backward says.
    Likely: custom backward off by a factor | a value detached from the graph on the way | an in-place change of a
    tensor that backward needs
    """
    model = shaken(bench, bench.model(dtype=torch.float64))
    findings = []
    for owner, module in bench.modules(model).items():
        if not bench.paper.outputs(owner):
            continue
        module.eval()
        batch = bench.with_noise(bench.synthetic(2))  # the same noise in each of many forwards
        generator = torch.Generator().manual_seed(6)
        weights: dict[str, Tensor] = {}

        def value(
            owner: str = owner,
            weights: dict[str, Tensor] = weights,
            batch: Any = batch,
            generator: torch.Generator = generator,
        ) -> Tensor:
            total = torch.zeros((), dtype=torch.float64)
            for name, output in bench.forward(model, batch, owner).items():
                if isinstance(output, Tensor) and output.is_floating_point():
                    if name not in weights:
                        weights[name] = torch.randn(output.shape, generator=generator, dtype=torch.float64)
                    total = total + (output.double() * weights[name]).sum()
            return total

        total = value()
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        if not total.requires_grad or not named:
            continue
        grads: Sequence[Tensor | None] = torch.autograd.grad(total, [p for _, p in named], allow_unused=True)
        padded = {
            f"{path}.weight" if path else "weight": part.padding_idx
            for path, part in module.named_modules()
            if isinstance(part, nn.Embedding) and part.padding_idx is not None
        }
        wrong = []
        for (name, parameter), grad in zip(named, grads, strict=True):
            if grad is None:
                continue  # gradient_reaches says so
            direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            if name in padded:  # PyTorch stops the gradient of this row, whatever the output makes of it
                direction[padded[name]] = 0
            direction = direction / direction.norm().clamp_min(1e-30)
            slopes = [central_slope(value, parameter, direction, step) for step in (1e-5, 1e-6)]
            says = float((grad * direction).sum())
            if not agrees(says, slopes, float(grad.norm())):
                wrong.append((name, says, slopes[0]))
        custom = custom_functions(total)
        findings.append(judge_slopes(module, len(named), wrong, custom))
    return findings or [not_run("no output of the model carries gradient")]


def central_slope(value: Any, parameter: Tensor, direction: Tensor, step: float) -> float:
    with torch.no_grad():
        kept = parameter.detach().clone()
        parameter.copy_(kept + step * direction)
        above = float(value())
        parameter.copy_(kept - step * direction)
        below = float(value())
        parameter.copy_(kept)
    return (above - below) / (2 * step)


def agrees(says: float, slopes: list[float], norm: float) -> bool:
    """Whether a slope agrees with one of two finite differences.

    Rounding of a central difference is about eps · |value| / step ≈ 1e-9 relative to the gradient's norm, curvature
    adds step²; a kink (ReLU) inside one step spoils that step only. A thousandth of the norm is far from both and far
    below the factor that a bug makes. Where the two steps disagree with each other, nothing can be said.
    """
    scale = max(norm, 1e-12)
    if any(abs(says - slope) <= 1e-3 * scale for slope in slopes):
        return True
    return abs(slopes[0] - slopes[1]) > 1e-3 * scale


def custom_functions(value: Tensor) -> list[str]:
    """Names of torch.autograd.Function subclasses in the graph of `value`."""
    if value.grad_fn is None:
        return []
    seen: set[Any] = set()
    stack: list[Any] = [value.grad_fn]
    names: list[str] = []
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            names.append(type(node).__name__.removesuffix("Backward"))
        stack += [parent for parent, _ in node.next_functions]
    return sorted(set(names))


def judge_slopes(module: nn.Module, tried: int, wrong: list[tuple[str, float, float]], custom: list[str]) -> Finding:
    fields: dict[str, Any] = {
        "expected": "backward and central finite differences give the same slope along a random direction",
        "threshold": "1e-3 of the gradient's norm (float64, steps 1e-5 and 1e-6)",
        "location": location_of(module),
    }
    if not wrong:
        return passed(
            f"gradients of {tried} parameters agree with finite differences", observed="no difference", **fields
        )
    name, says, slope = wrong[0]
    observed = f"{len(wrong)} of {tried} differ, first {name}: backward {says:.4g}, finite differences {slope:.4g}"
    if custom:
        return failed(
            f"the gradient of {summary_of([n for n, _, _ in wrong])} is not the derivative",
            observed=f"{observed}; custom backward in use: {', '.join(custom)}",
            likely=(f"custom backward off by a factor ({', '.join(custom)})", "a value detached on the way"),
            **fields,
        )
    return warned(
        (
            f"the gradient of {summary_of([n for n, _, _ in wrong])} is cut on the way (detach or no_grad): right "
            "only where the paper stops it"
        ),
        observed=observed,
        **fields,
    )


def float_outputs(bench: Bench) -> list[str]:
    """Names of floating tensors that the loss takes and the model returns."""
    returned = {name for name, t in bench.paper.tensors.items() if t.output_of is not None and t.is_floating}
    return [name for name in loss_inputs(bench) if name in returned]


@check(phase="loss", family="gradient", component="loss")
def loss_finite_differences(bench: Bench, *, detached: Sequence[str] = (), source: str = "") -> list[Finding]:
    """Decides whether the gradient that the loss sends back agrees with central finite differences in float64.

    `detached` names outputs of which the paper takes a part as a constant, as an actor takes its advantage.
    Broken: the slope of `total` along a random direction of an output differs from what backward says, or agrees where
    the paper stops the gradient.
    Likely: custom backward off by a factor | part of the total detached from the graph | loss re-wrapped in a new
    tensor
    """
    names = float_outputs(bench)
    if not names:
        return [not_run("the loss takes no declared floating output of the model")]
    batch, outputs = outputs_for_loss(bench)
    loss = bench.loss()
    parts = list(loss.values()) if isinstance(loss, dict) else [loss]
    return [finding for part in parts for finding in slopes_of(bench, part, batch, outputs, detached)]


def slopes_of(
    bench: Bench, loss: Any, batch: dict[str, Tensor], outputs: dict[str, Tensor], detached: Sequence[str] = ()
) -> list[Finding]:
    """The findings on one loss: its slopes along a random direction of each output that it takes."""
    taken = parameters_of(loss)
    names = [name for name in float_outputs(bench) if name in taken]
    # contiguous: an expanded output cannot be moved in place
    tracked = {
        name: outputs[name].detach().double().clone(memory_format=torch.contiguous_format).requires_grad_()
        for name in names
    }
    total = bench.call_loss({**batch, **outputs, **tracked}, loss)["total"]
    fields: dict[str, Any] = {
        "expected": "backward and central finite differences of `total` give the same slope",
        "threshold": "1e-3 of the gradient's norm (float64, steps 1e-5 and 1e-6)",
        "location": location_of(loss),
    }
    if not total.requires_grad:
        return [no_graph(fields)]
    grads: Sequence[Tensor | None] = torch.autograd.grad(total, list(tracked.values()), allow_unused=True)
    if not any(g is not None and bool(g.any()) for g in grads):
        return [no_graph(fields)]
    generator = torch.Generator().manual_seed(7)
    observed = []
    for name, grad in zip(tracked, grads, strict=True):
        if grad is None:
            continue
        direction = torch.randn(grad.shape, generator=generator, dtype=torch.float64) * grad.abs().mean().clamp_min(
            1e-12
        )
        direction = direction / direction.norm()

        def value(name: str = name) -> Tensor:
            return bench.call_loss({**batch, **outputs, **tracked}, loss)["total"].detach().double()

        slopes = [central_slope(value, tracked[name].data, direction, step) for step in (1e-5, 1e-6)]
        says = float((grad * direction).sum())
        observed.append(f"d total / d {name}: backward {says:.6g}, finite differences {slopes[0]:.6g}")
        whole = agrees(says, slopes, float(grad.norm()))
        if name in detached and whole:
            return [
                failed(
                    f"the loss is not cut off from {name}, where the config declares that it is",
                    observed=observed[-1],
                    likely=("the advantage or target is not detached: its gradient flows into what it is made from",),
                    **{**fields, "expected": f"no gradient through the part that is detached from {name}"},
                )
            ]
        if name not in detached and not whole:
            custom = custom_functions(total)
            if not custom:
                return [
                    warned(
                        (
                            f"part of the loss is cut off from {name} (detach or no_grad): right only where the "
                            f"paper stops the gradient; then declare "
                            f"{{property: loss_finite_differences, detached: [{name}]}}"
                        ),
                        observed=observed[-1],
                        **fields,
                    )
                ]
            return [
                failed(
                    f"the gradient of the loss with respect to {name} is not its derivative",
                    observed=f"{observed[-1]}; custom backward in use: {', '.join(custom)}",
                    **fields,
                )
            ]
    return [passed("the gradient of the loss agrees with finite differences", observed="; ".join(observed), **fields)]


def dead_critic(bench: Bench) -> tuple[str, ...]:
    """The suspect where the loss takes values that were stored, which it may use in place of the critic's."""
    taken = [bench.paper.tensors[name] for name in loss_inputs(bench)]
    values = [t for t in taken if t.output_of and any(t.name in stored.name and stored != t for stored in taken)]
    if bench.paper.settings["paper"].get("type") != "reinforcement_learning" or not values:
        return ()
    return (f"dead critic: the loss uses the rollout's values instead of the {values[0].name} of the model",)


def no_graph(fields: dict[str, Any]) -> Finding:
    return failed(
        "no gradient flows from `total` back to the model's outputs",
        observed="total has no graph that leads to them",
        likely=(
            "loss re-wrapped in a new tensor (torch.tensor(loss.item()), .data, .detach())",
            "no_grad left around the loss",
            "argmax or another step without a derivative",
        ),
        **fields,
    )


def outputs_for_loss(bench: Bench, n: int = 6) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A synthetic batch and the outputs of a freshly initialised model for it, detached, in float64."""
    model = bench.model(dtype=torch.float64)
    for module in bench.modules(model).values():
        module.eval()
    batch = bench.as_declared(bench.with_noise_of_loss(model, bench.synthetic(n)))
    outputs: dict[str, Tensor] = {}
    with torch.no_grad():
        for owner in bench.modules(model):
            if bench.paper.outputs(owner):
                outputs |= bench.forward(model, batch, owner)
    return batch, outputs


@check(phase="loss", family="gradient", component="loss")
def loss_reaches_parameters(bench: Bench) -> Finding:
    """Decides whether the total of the loss sends gradient to every trainable parameter of the model.

    Broken: a parameter whose gradient from `total` is missing or exactly zero.
    Likely: loss re-wrapped in a new tensor (torch.tensor(loss.item()), .data, .detach()) | no_grad left around the loss
    | an output that the loss does not use
    """
    model = shaken(bench, bench.model())
    modules = bench.modules(model)
    if len(modules) > 1 or isinstance(bench.loss(), dict):
        return not_run("several modules or losses: who receives gradient from which is the paper's own `update`")
    for module in modules.values():
        module.train()
    total = bench.terms(model, bench.synthetic(6))["total"]
    fields: dict[str, Any] = {
        "expected": "every trainable parameter receives gradient from `total`",
        "threshold": "exactly zero or None",
        "location": component_location(bench, "loss"),
    }
    if not total.requires_grad:
        return no_graph(fields)
    module = modules["model"]
    named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
    grads = torch.autograd.grad(total, [p for _, p in named], allow_unused=True)
    allowed = allowed_frozen(bench, module, None)
    missing = [
        n for (n, _), g in zip(named, grads, strict=True) if (g is None or not bool(g.any())) and n not in allowed
    ]
    if len(missing) == len(named):
        return no_graph(fields)
    if missing:
        return failed(
            f"`total` sends no gradient to {len(missing)} of {len(named)} parameters: {summary_of(missing)}",
            observed="gradient None or exactly zero",
            likely=(
                *dead_critic(bench),
                "an output that the loss does not use",
                "part of the total detached from the graph",
            ),
            details={"parameters": missing},
            **fields,
        )
    return passed(f"`total` reaches all {len(named)} parameters", observed="every gradient is non-zero", **fields)
