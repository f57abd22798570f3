"""The identity of a run: a hash of everything in its resolved config that can change a scientific result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from repro.configuration.secrets import MASK, is_secret_key, mask_text

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: What says where, how fast, how long or how visibly a run works, and cannot change what one of its processes computes.
EXCLUDED = (
    "runs_folder",
    "keep_going",
    "phases",
    "questions",
    "device",
    "devices",  # the batch of an update stays what it is, and is only shared
    "training.accumulate",  # likewise
    "threads",
    "workers",
    "check",
    "ablations",  # declared beside the paper: a run of one carries its changes in its own name
    "tracking",
    "launcher",
    "sweep",
    "when",  # already applied
    "paper.title",  # what is said of the paper, or asked, changes no result
    "paper.core_algorithm",
    "paper.stripped_away",
    "paper.components",
    "paper.tricky_parts",
    "paper.deviations",
    "paper.compute",
    "paper.steps",  # how results are drawn and put side by side
    "paper.tasks",
    "phase",  # which checks gate it: a check that is added to a preset must not orphan what was trained
    "type.questions",
    "type.checks",
    "type.generic",
    "type.from_scratch",
    "gauntlet.memorise",  # budgets of a gate alone
    "gauntlet.memorise_updates",
    "reproduction.systems",
    "reproduction.seeds",
    "reproduction.max_seeds",
    "reproduction.max_seeds_of",
    "reproduction.seed_batch",
    "reproduction.require",
    "reproduction.confidence",
    "reproduction.log_every",
    "reproduction.checkpoint_every",
    "data.folder",
)


def run_id(config: DictConfig | Mapping[str, Any]) -> str:
    """The first 12 hex digits of the SHA-256 of the scientific part of a resolved config.

    The order of keys does not matter; secrets do not enter, so that nothing about them can be guessed from the id.
    """
    text = json.dumps(scientific(config), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def scientific(config: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    """The part of a resolved config that `run_id` hashes."""
    if not isinstance(config, dict):
        from omegaconf import OmegaConf

        container = OmegaConf.to_container(config, resolve=True)
        assert isinstance(container, dict)
        config = {str(key): value for key, value in container.items()}
    return {key: value for key, value in _kept("", config).items() if value != {}}


def _kept(path: str, mapping: Mapping[Any, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in mapping.items():
        inner = f"{path}.{key}" if path else str(key)
        if inner not in EXCLUDED and not is_secret_key(str(key), value):
            kept[str(key)] = _kept_value(inner, value)
    return kept


def _kept_value(path: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return _kept(path, value)
    if isinstance(value, list | tuple):
        return [_kept_value(path, child) for child in value]
    if isinstance(value, str) and "://" in value:
        return mask_text(value) if MASK not in value else value
    return value


def flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of each leaf that says something; a list as its entries with commas between."""
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        elif value is not None and value != "":
            yield f"{prefix}{key}", ", ".join(map(str, value)) if isinstance(value, list) else value
