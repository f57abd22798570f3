"""Look at modules from outside: match declared stage globs, capture what each stage returns, change what it returns."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from repro.contract.bench import Bench

Capture = dict[str, Tensor]


def match_modules(module: nn.Module, glob: str) -> list[str]:
    """Names of submodules that a stage glob means; `*` stands for one part between dots."""
    parts = glob.split(".")
    found = []
    for name, _ in module.named_modules():
        own = name.split(".")
        if len(own) == len(parts) and all(fnmatch.fnmatchcase(a, b) for a, b in zip(own, parts, strict=True)):
            found.append(name)
    return found


def match_parameters(module: nn.Module, glob: str) -> dict[str, nn.Parameter]:
    """Parameters (shared ones once) that a parameter glob means; `*` also crosses dots."""
    return {name: p for name, p in module.named_parameters() if fnmatch.fnmatchcase(name, glob)}


def near(name: str, known: Iterable[str]) -> str:
    """ "Near: a, b." for a name that does not exist, or "" """
    found = difflib.get_close_matches(name, list(known), n=3)
    return f"Near: {', '.join(found)}." if found else ""


def stage_modules(bench: Bench, model: Any) -> Iterator[tuple[str, str, nn.Module]]:
    """(glob, name, module) of every declared stage that exists, in the order in which the model holds its modules."""
    for owner, module in bench.modules(model).items():
        prefix = "" if owner == "model" else f"{owner}."
        order = {name: position for position, (name, _) in enumerate(module.named_modules())}
        found = []
        for glob in bench.paper.stages:
            own = glob.removeprefix(prefix) if glob.startswith(prefix) else None
            if own is not None:
                found += [(glob, name) for name in match_modules(module, own)]
        for glob, name in sorted(found, key=lambda item: order[item[1]]):
            yield glob, prefix + name, module.get_submodule(name)


def first_tensor(value: Any) -> Tensor | None:
    """The tensor that a module returned, or the first of several."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return next((found for found in map(first_tensor, value) if found is not None), None)
    return None


@contextmanager
def capturing(modules: Iterable[tuple[str, nn.Module]]) -> Iterator[Capture]:
    """Collect what each named module returns, in the order of the calls (the last call of a module counts)."""
    captured: Capture = {}
    handles = []

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, arguments: Any, returned: Any) -> None:
            tensor = first_tensor(returned)
            if tensor is not None:
                captured.pop(name, None)  # re-insert: dicts keep the order of the last call
                captured[name] = tensor.detach().clone()

        return hook

    try:
        for name, module in modules:
            handles.append(module.register_forward_hook(keep(name)))
        yield captured
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def replacing(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Within the block the module returns `change(what it returned)`; only for modules that return one tensor."""

    def hook(_: nn.Module, __: Any, returned: Any) -> Any:
        return change(returned) if isinstance(returned, Tensor) else None

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


#: Layers that normalise, whose result normalised again stays what it is.
NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)


@torch.no_grad()
def norms_of_norms(bench: Bench, model: Any) -> dict[str, str]:
    """Norms that get what another norm returned, nothing between, each with that other: names in their module."""
    returned: dict[int, tuple[str, Tensor]] = {}  # the tensors are kept, so that no other gets the number of one
    found: dict[str, str] = {}
    handles = []

    def watch(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, arguments: tuple[Any, ...], result: Any) -> None:
            if arguments and id(arguments[0]) in returned:
                found[name] = returned[id(arguments[0])][0]
            returned[id(result)] = name, result

        return hook

    try:
        for whole in bench.modules(model).values():
            for name, module in whole.named_modules():
                if isinstance(module, NORMS):
                    handles.append(module.register_forward_hook(watch(name)))
        bench.forward(eval_mode(bench, model), bench.synthetic(3))
    finally:
        for handle in handles:
            handle.remove()
    return found


def watched(bench: Bench, model: Any) -> list[tuple[str, nn.Module]]:
    """Declared stages by name; without any, all modules that hold no others."""
    stages = [(name, module) for _, name, module in stage_modules(bench, model)]
    if stages:
        return stages
    found = []
    for owner, module in bench.modules(model).items():
        prefix = "" if owner == "model" else f"{owner}."
        found += [(prefix + n, m) for n, m in module.named_modules() if n and not list(m.children())]
    return found


def eval_mode(bench: Bench, model: Any) -> Any:
    for module in bench.modules(model).values():
        module.eval()
    return model


def followers(modules: Mapping[str, nn.Module]) -> dict[str, str]:
    """Frozen parameters of a copy of trainable layers, as a moving average or a target network is, each with the one
    that it copies: names as in `named_parameters`, prefixed by the module where there are several.

    A copy has the parameters of another submodule, equal bit for bit, and not all of them constant: layers that are
    merely built alike start from other random numbers.
    """
    alone = list(modules) == ["model"]
    held = {
        ".".join(part for part in (() if alone else (owner,)) + (name,) if part): module
        for owner, whole in modules.items()
        for name, module in whole.named_modules()
    }
    parameters = {name: dict(part.named_parameters()) for name, part in held.items()}
    trained = {name: own for name, own in parameters.items() if own and all(p.requires_grad for p in own.values())}

    def copies(own: dict[str, nn.Parameter], other: dict[str, nn.Parameter]) -> bool:
        if own.keys() != other.keys() or any(own[name].shape != other[name].shape for name in own):
            return False
        drawn = [p for p in own.values() if p.numel() > 1 and bool((p != p.flatten()[0]).any())]
        return bool(drawn) and all(torch.equal(p, other[name]) for name, p in own.items())

    found: dict[str, str] = {}
    for name, own in parameters.items():
        if not own or any(p.requires_grad for p in own.values()):
            continue
        source = next((other for other, theirs in trained.items() if copies(own, theirs)), None)
        if source is not None:
            for key in own:
                found.setdefault(f"{name}.{key}" if name else key, f"{source}.{key}" if source else key)
    return found


@torch.no_grad()
def shaken(bench: Bench, model: Any, seed: int = 1) -> Any:
    """The model with noise on every trainable parameter, so that nothing decided here rests on a zero initialisation.

    Noise: a tenth of the parameter's own root mean square, and at least 0.02.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in bench.modules(model).values():
        for parameter in module.parameters():
            if parameter.is_floating_point() and parameter.requires_grad:
                scale = 0.1 * float(parameter.pow(2).mean().sqrt()) if parameter.numel() else 0.0
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.add_(noise.to(parameter.dtype) * max(scale, 0.02))
    return model
