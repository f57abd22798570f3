"""Changes that a paper declares for certain choices (`when:`), applied after composition; the person's word wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from repro.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def leaves_of(changes: Mapping[str, Any]) -> dict[str, Any]:
    """`{model.width: 4, optimiser: {betas: [0.9, 0.98]}}` as dotted keys.

    Lists, and mappings whose keys hold dots, stay whole: no dotted key reaches into the latter.
    """
    flat: dict[str, Any] = {}
    for key, value in changes.items():
        if isinstance(value, Mapping) and value and not any("." in str(inner) for inner in value):
            flat.update({f"{key}.{inner}": child for inner, child in leaves_of(value).items()})
        else:
            flat[str(key)] = value
    return flat


def related(key: str, other: str) -> bool:
    """Whether two dotted keys are the same, or one lies above the other."""
    return key == other or key.startswith(f"{other}.") or other.startswith(f"{key}.")


def holds(condition: str, choices: Mapping[str, str]) -> bool:
    """Whether `"data=multi30k scale=smoke"` is what was chosen; ConfigError for a condition that can never hold."""
    for part in condition.split():
        group, equals, name = part.partition("=")
        if not equals or group not in choices:
            raise ConfigError(
                f"when: got the condition {condition!r}, whose part {part!r} is not a choice of a group.",
                f"Needed: group=name, several separated by blanks; groups are {', '.join(sorted(choices))}.",
            )
        if choices[group] != name:
            return False
    return bool(condition.split())


def apply_when(config: DictConfig, choices: Mapping[str, str], overridden: Iterable[str]) -> list[str]:
    """Apply in place, in order, the deltas whose condition holds, except to keys that the person overrode.

    Returns the dotted keys that were changed. Raises ConfigError for a condition or a key that does not exist.
    """
    from omegaconf import OmegaConf

    overridden = list(overridden)
    declared = OmegaConf.to_container(config.when, resolve=False) if config.get("when") else {}
    if not isinstance(declared, dict):
        raise ConfigError(
            f"when: got {declared!r}, need conditions with their changes, {{'scale=smoke': {{key: value}}}}."
        )
    changed: list[str] = []
    for condition, changes in declared.items():
        if not holds(str(condition), choices) or not changes:
            continue
        if not isinstance(changes, dict):
            raise ConfigError(f"when: {condition!r} got {changes!r}, need a mapping of dotted keys to values.")
        for key, value in leaves_of({str(key): value for key, value in changes.items()}).items():
            if not any(related(key, other) for other in overridden):
                set_value(config, key, value, f"when: {condition!r}")
                changed.append(key)
    return changed


def set_value(config: DictConfig, key: str, value: Any, what: str) -> None:
    """Set an existing dotted key of a config in place; ConfigError, beginning with `what`, if it does not exist."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        OmegaConf.update(config, key, value, merge=not isinstance(value, Mapping))
    except OmegaConfBaseException as error:
        raise ConfigError(f"{what} changes {key}, which is no key of the config.", near_keys(config, key)) from error


def near_keys(config: DictConfig, key: str) -> str:
    """A hint with the keys of a config that read like `key`."""
    keys = sorted(dotted_keys(config))
    last = key.split(".")[-1]
    near = [other for other in keys if get_close_matches(last, [other.split(".")[-1]], cutoff=0.8)]
    near = list(
        dict.fromkeys(get_close_matches(key, near, n=2, cutoff=0) + get_close_matches(key, keys, n=3, cutoff=0.7))
    )[:3]
    if near:
        return f"Near: {', '.join(near)}."
    above = key.rpartition(".")[0]
    inside = [other for other in keys if other.rpartition(".")[0] == above]
    where = f"in {above}" if above and inside else "at the top"
    names = inside if above and inside else [other for other in keys if "." not in other]
    return f"Known {where}: {', '.join(names)}. All keys: add --cfg job."


def dotted_keys(config: DictConfig) -> set[str]:
    """Every dotted key of a config, mappings included; what lies under a key with a dot in it cannot be addressed."""
    from omegaconf import OmegaConf

    keys: set[str] = set()

    def walk(node: Any, path: str) -> None:
        if isinstance(node, dict):
            for name, child in node.items():
                if "." not in str(name):
                    inner = f"{path}.{name}" if path else str(name)
                    keys.add(inner)
                    walk(child, inner)

    walk(OmegaConf.to_container(config, resolve=False), "")
    return keys
