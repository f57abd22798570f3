"""What a paper's configuration declares: tensors, properties, ablations. Validated all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from repro.arithmetic import Expression, ExpressionError, evaluate
from repro.errors import ConfigError

DTYPES = ("bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32", "float64")
RANDOM = ("normal", "uniform")


@dataclass(frozen=True)
class TensorDeclaration:
    """One named tensor. `axes` are names of sizes (the same name has the same size everywhere) or fixed integers.

    `padding` is the value that fills the unused end of an axis; `indexes` names the axis or size that integer values
    index; `random` is the distribution of a noise tensor: normal, or uniform over `range`, whole
    numbers with both ends included; `output_of` names the module that returns the tensor;
    `optional` inputs are passed only when a check wants to fix them. `given` says that an output is
    what its module returns for other tensors than its parameters name: {points: generated} for a discriminator's score
    of made points.
    """

    name: str
    axes: tuple[str | int, ...]
    dtype: str = "float32"
    meaning: str = ""
    padding: int | float | None = None
    indexes: str | None = None
    random: str | None = None
    range: tuple[float, float] | None = None
    optional: bool = False
    output_of: str | None = None
    given: Mapping[str, str] | None = None

    @property
    def is_floating(self) -> bool:
        return "float" in self.dtype


@dataclass(frozen=True)
class PropertyDeclaration:
    """A semantic fact of the paper, decided by the check of the same name with these options."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ablation:
    """A named change of the configuration, with what the paper says it does; `own` marks the person's own idea."""

    name: str
    changes: dict[str, Any]
    says: str = ""
    claim: str | None = None
    own: bool = False


@dataclass(frozen=True)
class TrickyPart:
    """Something that is easy to get wrong, where the paper hides it, and the check or question that guards it.

    `hidden_in` and `guard` are empty as long as they are still to write.
    """

    part: str
    hidden_in: str
    guard: str


def read_tensors(section: Mapping[str, Any] | None) -> tuple[dict[str, TensorDeclaration], list[str]]:
    """Declarations by name, and every fault found as "key: got …, need …"."""
    declared: dict[str, TensorDeclaration] = {}
    faults: list[str] = []
    known = set(TensorDeclaration.__dataclass_fields__) - {"name"}
    for name, entry in (section or {}).items():
        key = f"tensors.{name}"
        if not isinstance(entry, Mapping):
            faults.append(f"{key}: got {entry!r}, need a mapping such as {{axes: [batch], dtype: int64, meaning: …}}")
            continue
        for unknown in sorted(set(entry) - known):
            faults.append(f"{key}.{unknown}: unknown; known are {', '.join(sorted(known))}")
        axes = entry.get("axes")
        if not isinstance(axes, Sequence) or isinstance(axes, str) or not all(isinstance(a, (str, int)) for a in axes):
            faults.append(f"{key}.axes: got {axes!r}, need a list of axis names, for example [batch, length]")
            continue
        dtype = entry.get("dtype", "float32")
        if dtype not in DTYPES:
            faults.append(f"{key}.dtype: got {dtype!r}, need one of {', '.join(DTYPES)}")
            continue
        bounds = entry.get("range")
        if bounds is not None and (not isinstance(bounds, Sequence) or len(bounds) != 2):
            faults.append(f"{key}.range: got {bounds!r}, need [lowest, highest]")
            continue
        wrong = noise_fault(key, entry.get("random"), str(dtype), bounds)
        if wrong:
            faults.append(wrong)
            continue
        given = entry.get("given")
        if given is not None and (not isinstance(given, Mapping) or not entry.get("output_of")):
            faults.append(f"{key}.given: got {given!r}, need {{parameter: tensor}} of an output with output_of")
            continue
        values = {k: v for k, v in entry.items() if k in known}
        values.update(axes=tuple(axes), dtype=dtype, range=tuple(bounds) if bounds is not None else None)
        declared[name] = TensorDeclaration(name=name, **values)
    for name, tensor in declared.items():
        for parameter, source in (tensor.given or {}).items():
            if source not in (section or {}):
                faults.append(f"tensors.{name}.given.{parameter}: got {source!r}, which is not declared under tensors")
    return declared, faults


def noise_fault(key: str, random: Any, dtype: str, bounds: Sequence[Any] | None) -> str | None:
    """What keeps noise of this declaration from being drawn; None where nothing does, or the tensor is no noise."""
    if random is None:
        return None
    if random not in RANDOM:
        return f"{key}.random: got {random!r}, need one of {', '.join(RANDOM)}"
    if "float" in dtype:
        return None
    if dtype not in ("int32", "int64"):
        return f"{key}.random: {dtype} noise cannot be drawn; need a float dtype, int32 or int64"
    if random != "uniform" or bounds is None or not all(isinstance(bound, int) for bound in bounds):
        return f"{key}.random: whole numbers are drawn evenly from a range; need random: uniform, range: [1, 1000]"
    return None


def read_properties(section: Sequence[Mapping[str, Any]] | None) -> tuple[list[PropertyDeclaration], list[str]]:
    properties: list[PropertyDeclaration] = []
    faults: list[str] = []
    for position, entry in enumerate(section or ()):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("property"), str):
            faults.append(f"properties[{position}]: got {entry!r}, need {{property: <check>, …options}}")
            continue
        options = {key: value for key, value in entry.items() if key != "property"}
        properties.append(PropertyDeclaration(entry["property"], options))
    return properties, faults


def read_ablations(section: Mapping[str, Any] | None) -> tuple[dict[str, Ablation], list[str]]:
    ablations: dict[str, Ablation] = {}
    faults: list[str] = []
    for name, entry in (section or {}).items():
        key = f"ablations.{name}"
        changes = entry.get("changes") if isinstance(entry, Mapping) else None
        if not isinstance(changes, Mapping) or not changes:
            faults.append(f"{key}: got {entry!r}, need {{changes: {{model.part: none}}, says: what the paper says}}")
            continue
        ablations[name] = Ablation(
            name, dict(changes), entry.get("says") or "", entry.get("claim"), bool(entry.get("own"))
        )
    return ablations, faults


def read_tricky_parts(section: Sequence[Any] | None) -> tuple[list[TrickyPart], list[str]]:
    parts: list[TrickyPart] = []
    faults: list[str] = []
    for position, entry in enumerate(section or ()):
        if not isinstance(entry, Mapping) or not entry.get("part"):
            faults.append(f"paper.tricky_parts[{position}]: got {entry!r}, need {{part: …, hidden_in: …, guard: …}}")
            continue
        parts.append(TrickyPart(*(str(entry.get(key) or "") for key in ("part", "hidden_in", "guard"))))
    return parts, faults


def schedule_faults(section: Mapping[str, Any] | None) -> list[str]:
    """What is wrong with the formula of a schedule, which is then said before anything runs."""
    if not isinstance(section, Mapping):
        return []
    written = [("learning_rate", section.get("learning_rate"))]
    written += [(f"breaks[{i}]", text) for i, text in enumerate(section.get("breaks") or ())]
    known = {"step", *(section.get("names") or {})}
    faults = []
    for key, text in written:
        if text is None:
            continue
        try:
            lacking = sorted(Expression(str(text)).names - known)
        except ExpressionError as wrong:
            faults.append(f"schedule.{key}: {wrong}")
            continue
        if lacking:
            faults.append(
                f"schedule.{key}: {text!r} uses {', '.join(lacking)}; "
                f"known are {', '.join(sorted(known))}: give the value under schedule.names"
            )
    return faults


def steps_faults(section: Any) -> list[str]:
    """What is wrong with `paper.steps`, the axis that trajectories are drawn over."""
    if section is None:
        return []
    need = "{unit: environment steps, per_update: <an expression>, names: {…}}"
    if not isinstance(section, Mapping) or not section.get("unit") or section.get("per_update") is None:
        return [f"paper.steps: got {section!r}, need {need}"]
    try:
        size = evaluate(str(section["per_update"]), section.get("names") or {})
    except ExpressionError as wrong:
        return [f"paper.steps.per_update: {wrong}"]
    return [] if size > 0 else [f"paper.steps.per_update: is {size:g}, need more than 0"]


def tasks_faults(section: Any, settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with `paper.tasks`: `by` must name a setting."""
    if section is None:
        return []
    if not isinstance(section, Mapping) or not isinstance(section.get("by"), str):
        return [f"paper.tasks: got {section!r}, need {{by: data.environment, settings: [dataset]}}"]
    value: Any = settings
    for part in section["by"].split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    faults = (
        [] if isinstance(value, str) else [f"paper.tasks.by: {section['by']} is {value!r}, need a setting with text"]
    )
    listed = section.get("settings") or []
    if not isinstance(listed, list | tuple) or not all(isinstance(key, str) for key in listed):
        faults.append(f"paper.tasks.settings: got {listed!r}, need a list of dotted keys, for example [dataset]")
    return faults


def raise_all(faults: Sequence[str], where: str) -> None:
    """Raise one `ConfigError` that lists every fault; nothing when there is none."""
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise ConfigError(f"{where} has {count}:\n" + "\n".join(f"  {fault}" for fault in faults))
