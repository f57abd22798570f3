"""The check library, a file for each thing that is judged; `from repro.checks import causal` finds a check by name.

`causal.show("transformer")` runs it alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from repro.checks.registry import Check


def __getattr__(name: str) -> Check:
    # by name, so that naming one check does not need to know its family
    import importlib.util

    if name.startswith("__") or importlib.util.find_spec(f"repro.checks.{name}") is not None:
        raise AttributeError(name)  # a module of this folder: Python imports it by itself

    registry = importlib.import_module("repro.checks.registry")
    from repro.errors import ConfigError

    try:
        return registry.find(name)
    except ConfigError as unknown:
        raise AttributeError(str(unknown)) from unknown
