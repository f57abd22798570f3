"""The check library, one file a family. `from repro.checks import causal; causal.show("transformer")` runs one alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from repro.checks.registry import Check


def __getattr__(name: str) -> Check:
    # by name, so that naming one check does not need to know its family
    from repro.checks import registry
    from repro.errors import ConfigError

    if name.startswith("__"):
        raise AttributeError(name)
    try:
        return registry.find(name)
    except ConfigError as unknown:
        raise AttributeError(str(unknown)) from unknown
