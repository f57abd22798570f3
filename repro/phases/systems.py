"""The systems of a paper: several models that it compares, each a change of one configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repro.errors import ConfigError

if TYPE_CHECKING:
    from repro.contract.paper import Paper
    from repro.phases.context import PhaseContext

#: Sections of the configuration that a phase's checks look at: systems that agree in them are checked once, together.
LOOKED_AT: dict[str, tuple[str, ...]] = {
    "data": ("data", "tensors", "splits"),
    "model": ("model", "tensors", "stages", "initialisation", "pieces"),
    "loss": ("model", "loss", "tensors", "pieces"),
    "training": ("model", "loss", "training", "schedule", "optimiser"),
    "evaluation": ("model", "evaluation"),
    "gauntlet": ("model", "loss", "training", "gauntlet"),
}


@dataclass(frozen=True)
class System:
    """One of several models that a paper compares, as changes of the configuration; "" is the paper's only one."""

    name: str
    changes: Mapping[str, Any]

    def process(self, seed: int) -> str:
        return f"{self.name}-seed-{seed}" if self.name else f"seed-{seed}"

    @property
    def overrides(self) -> tuple[str, ...]:
        """The changes as they can be typed."""
        return tuple(f"{key}={value}" for key, value in self.changes.items())


def systems_of(settings: Mapping[str, Any]) -> list[System]:
    """The systems to train: those that the config declares under `systems`, or the one that it describes."""
    declared = settings.get("systems") or {}
    wanted = (settings.get("reproduction") or {}).get("systems")
    unknown = sorted(set(wanted or ()) - set(declared))
    if unknown:
        raise ConfigError(
            f"reproduction.systems: got {', '.join(unknown)}.",
            f"Declared under systems: {', '.join(declared) or 'none'}.",
        )
    if not declared:
        return [System("", {})]
    return [
        System(name, (entry or {}).get("changes") or {})
        for name, entry in declared.items()
        if not wanted or name in wanted
    ]


def paper_of(context: PhaseContext, system: System) -> Paper:
    """The paper as this system changes it."""
    from repro.contract.paper import Paper

    if not system.changes:
        return context.paper
    return Paper.from_config(context.composed.with_changes(system.changes).config)


def distinct(phase: str, context: PhaseContext) -> list[tuple[System, Paper]]:
    """The systems that a phase's checks can tell apart, the first of those that they cannot, each with its paper.

    A paper without `systems`, and a phase that looks at no component, has one: the configuration as it stands.
    """
    from repro.phases.fingerprints import digest

    systems = systems_of(context.settings)
    if phase not in LOOKED_AT or [system.name for system in systems] == [""]:
        return [(System("", {}), context.paper)]
    found: dict[str, tuple[System, Paper]] = {}
    for system in systems:
        paper = paper_of(context, system)
        looked_at = {name: paper.settings.get(name) for name in LOOKED_AT[phase]}
        looked_at["properties"] = [[p.name, p.options] for p in paper.properties if of_phase(p.name, phase)]
        found.setdefault(digest(looked_at), (system, paper))
    return list(found.values())


def of_phase(check: str, phase: str) -> bool:
    from repro.checks import registry

    return registry.find(check).phase == phase
