"""A paper as its resolved configuration declares it, and the builders of its components."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from repro.contract import declarations
from repro.contract.components import build, check_arguments, locate, parameters_of, persons_errors
from repro.contract.declarations import Ablation, PropertyDeclaration, TensorDeclaration, TrickyPart
from repro.errors import ComponentError, ConfigError, NotWrittenError

COMPONENTS = ("data", "model", "loss", "training", "evaluation")


@dataclass(frozen=True)
class Paper:
    """What is declared about one paper. `settings` is the whole resolved configuration as plain containers."""

    name: str
    title: str
    type: str
    settings: dict[str, Any]
    tensors: dict[str, TensorDeclaration] = field(default_factory=dict)
    stages: dict[str, tuple[str | int, ...]] = field(default_factory=dict)
    properties: tuple[PropertyDeclaration, ...] = ()
    initialisation: dict[str, dict[str, Any]] = field(default_factory=dict)
    pieces: dict[str, str] = field(default_factory=dict)
    ablations: dict[str, Ablation] = field(default_factory=dict)
    tricky_parts: tuple[TrickyPart, ...] = ()
    schedule: dict[str, Any] = field(default_factory=dict)
    optimiser: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: Any) -> Paper:
        """Read the declarations of a resolved config (OmegaConf or plain). Raises `ConfigError` with every fault."""
        settings = to_plain(config)
        about = settings.get("paper") or {}
        tensors, faults = declarations.read_tensors(settings.get("tensors"))
        properties, more = declarations.read_properties(settings.get("properties"))
        faults += more
        ablations, more = declarations.read_ablations(settings.get("ablations"))
        faults += more
        tricky_parts, more = declarations.read_tricky_parts(about.get("tricky_parts"))
        faults += more
        stages = {}
        for name, axes in (settings.get("stages") or {}).items():
            if isinstance(axes, (list, tuple)):
                stages[name] = tuple(axes)
            else:
                faults.append(f"stages.{name}: got {axes!r}, need a list of axes, for example [batch, length, width]")
        for section in ("initialisation", "pieces", "schedule", "optimiser"):
            if not isinstance(settings.get(section) or {}, Mapping):
                faults.append(f"{section}: got {settings[section]!r}, need a mapping")
        faults += declarations.schedule_faults(settings.get("schedule"))
        faults += declarations.steps_faults(about.get("steps"))
        faults += declarations.tasks_faults(about.get("tasks"), settings)
        declarations.raise_all(faults, f"conf/paper/{about.get('name', '?')}.yaml")
        return cls(
            name=str(about.get("name", "")),
            title=str(about.get("title", about.get("name", ""))),
            type=str(about.get("type", "other")),
            settings=settings,
            tensors=tensors,
            stages=stages,
            properties=tuple(properties),
            initialisation=dict(settings.get("initialisation") or {}),
            pieces=dict(settings.get("pieces") or {}),
            ablations=ablations,
            tricky_parts=tuple(tricky_parts),
            schedule=dict(settings.get("schedule") or {}),
            optimiser=dict(settings.get("optimiser") or {}),
        )

    # --- what is declared -------------------------------------------------------------------------------------

    def has(self, component: str) -> bool:
        """Whether the config names this component; a step that is not named is "to do"."""
        return bool(self.settings.get(component))

    def targets(self) -> dict[str, str]:
        """Dotted path of every component and piece by config key ("model", "loss.generator", "pieces.attention")."""
        found = {}
        for component in COMPONENTS:
            node = self.settings.get(component)
            for key, part in (named_parts(node, component) if node else {}).items():  # not named yet: a step to do
                if isinstance(part.get("_target_"), str):
                    found[key] = part["_target_"]
        for name, path in self.pieces.items():
            found[f"pieces.{name}"] = path
        return found

    def outputs(self, module: str | None = None) -> list[str]:
        """Declared outputs of a module, in the order of declaration; of all modules where none is named."""
        return [
            tensor.name
            for tensor in self.tensors.values()
            if tensor.output_of is not None and module in (None, tensor.output_of)
        ]

    def noise(self) -> list[str]:
        """Declared tensors that hold noise, which data does not give and which training draws."""
        return [tensor.name for tensor in self.tensors.values() if tensor.random is not None]

    @property
    def loss_is_a_sum(self) -> bool:
        """Whether the loss is declared to be a sum over the batch (property loss_batch_size), not a mean."""
        return any(p.name == "loss_batch_size" and p.options.get("reduction") == "sum" for p in self.properties)

    # --- builders: each call gives a fresh object ----------------------------------------------------------------

    def node(self, component: str) -> Mapping[str, Any]:
        """The config of a component. Raises `NotWrittenError` for one that is not named yet."""
        if not self.has(component):
            raise NotWrittenError(component)
        found = self.settings[component]
        if not isinstance(found, Mapping):
            raise ConfigError(f"{component}: got {found!r}, need {{_target_: my_paper.{component}.Name, …}}")
        return found

    def build_data(self, seed: int = 0) -> Any:
        """The data component; `seed` is passed where the constructor takes it."""
        data = build(self.node("data"), "data", seed=seed)
        if not callable(getattr(data, "batches", None)):
            raise ComponentError(
                f"data: {type(data).__name__} has no batches(split).",
                "Give it a method batches(split) that yields dicts of named tensors.",
            )
        return data

    def build_model(self, seed: int | None = 0) -> Any:
        """An `nn.Module`, or a dict of named ones. `seed` seeds PyTorch's generator for the initialisation."""
        import torch

        if seed is not None:
            torch.manual_seed(seed)
        parts = named_parts(self.node("model"), "model")
        built = {key.partition(".")[2] or "model": build(part, key) for key, part in parts.items()}
        for name, module in built.items():
            if not isinstance(module, torch.nn.Module):
                raise ComponentError(f"model: {name} is a {type(module).__name__}, need a torch.nn.Module")
            lazy = [key for key, value in module.named_parameters() if torch.nn.parameter.is_lazy(value)]
            if lazy:
                raise ComponentError(
                    f"model: {', '.join(lazy[:3])} of {type(module).__name__} has no size yet (a lazy module)",
                    "Name the sizes, as the paper does, or call it on an example at the end of its __init__.",
                )
        return built["model"] if list(built) == ["model"] else built

    def build_loss(self) -> Any:
        """A callable, or a dict of named ones."""
        parts = named_parts(self.node("loss"), "loss")
        built = {key.partition(".")[2] or "loss": build_callable(part, key) for key, part in parts.items()}
        return built["loss"] if list(built) == ["loss"] else built

    def build_training(self, model: Any, loss: Any, backward: Callable[..., Any] | None = None) -> Any:
        """The training component from (model, loss, backward)."""
        import torch

        training = build(self.node("training"), "training", model, loss, backward=backward or torch.Tensor.backward)
        if not callable(getattr(training, "update", None)):
            raise ComponentError(
                f"training: {type(training).__name__} has no update(batch).",
                "Write update(batch): one parameter update, returning a dict of scalars.",
            )
        return training

    def evaluation(self) -> tuple[Callable[..., Any], dict[str, Any]]:
        """What is called with (model, data, …), and its arguments from the config. A class is built with them, and its
        object called.
        """
        import inspect

        node = self.node("evaluation")
        target = locate(node["_target_"], "evaluation._target_")
        arguments = {key: value for key, value in node.items() if not key.startswith("_")}
        if not inspect.isclass(target):
            return target, arguments
        return build_callable(node, "evaluation"), {}

    def evaluate(self, model: Any, data: Any, split: str, **extra: Any) -> dict[str, float]:
        """Metric values of `model` on `split`; `extra` (trajectory, checkpoints, device) is passed where taken."""
        from repro.extensions import measured

        node = self.node("evaluation")
        target, arguments = self.evaluation()
        accepted = parameters_of(target)
        for name, value in {"split": split, **extra}.items():
            if name in accepted:
                arguments[name] = value
        check_arguments(target, (model, data), arguments, "evaluation")
        with persons_errors(f"evaluation: {node['_target_']} raised"):
            metrics = target(model, data, **arguments)
        if not isinstance(metrics, Mapping):
            raise ComponentError(
                f"evaluation: {node['_target_']} returned a {type(metrics).__name__}, need a dict of metric values."
            )
        if wrong := [name for name in metrics if not isinstance(name, str)]:
            raise ComponentError(
                f"evaluation: {node['_target_']} returned a value under {wrong[0]!r}, need names of metrics as text.",
                "They are the `metric` of the reference table, such as accuracy.",
            )
        plain = {name: number(value) for name, value in metrics.items()}
        return {**plain, **measured(self.settings, model, data, split, plain)}

    def piece(self, name: str) -> Callable[..., Any] | None:
        """The declared callable of this piece, or None when the paper declares none."""
        path = self.pieces.get(name)
        return locate(path, f"pieces.{name}") if path else None

    def ablation(self, name: str) -> Ablation:
        if name not in self.ablations:
            near = difflib.get_close_matches(name, self.ablations, n=3)
            raise ConfigError(
                f"{self.name} declares no ablation {name!r}.",
                f"Near: {', '.join(near)}." if near else f"Declared: {', '.join(self.ablations) or 'none'}.",
            )
        return self.ablations[name]


def number(value: Any) -> Any:
    """A scalar tensor or NumPy scalar, as metrics often are, as a Python number; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None)) else value


def to_plain(config: Any) -> dict[str, Any]:
    """Plain containers of an OmegaConf or plain config."""
    if isinstance(config, dict):
        return config
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def named_parts(node: Mapping[str, Any], component: str) -> dict[str, Mapping[str, Any]]:
    """One component as {"model": node}, or named ones as {"model.generator": …, "model.discriminator": …}."""
    if "_target_" in node:
        return {component: node}
    parts = {f"{component}.{name}": part for name, part in node.items() if isinstance(part, Mapping)}
    if not parts:
        raise ConfigError(
            f"{component}: no _target_ in it.",
            f"Give it `_target_: my_paper.{component}.Name`, or named parts with one each.",
        )
    return parts


def build_callable(node: Mapping[str, Any], key: str) -> Callable[..., Any]:
    """A loss: a class is built with its config; a plain function gets its config as keyword arguments."""
    target = locate(node["_target_"], f"{key}._target_")
    arguments = {name: value for name, value in node.items() if not name.startswith("_")}
    if inspect.isfunction(target):
        accepted = parameters_of(target)
        for name in arguments:
            if name not in accepted:
                raise ConfigError(f"{key}.{name}: {node['_target_']} takes no such argument")
        return functools.partial(target, **arguments) if arguments else target
    built = build(node, key)
    if not callable(built):
        raise ComponentError(f"{key}: {node['_target_']} is not callable")
    return built
