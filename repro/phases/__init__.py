"""The phases in the order in which they run, one file each. A phase returns `Evidence` and prints nothing."""

from __future__ import annotations

import importlib
from types import ModuleType

ORDER = ("analysis", "data", "model", "loss", "training", "evaluation", "gauntlet", "reproduction")

#: The phases that `check` runs: everything that needs no long training.
CHECKED = ORDER[:6]


def load(name: str) -> ModuleType:
    """The module of a phase, imported when its turn comes: most of them need PyTorch."""
    return importlib.import_module(f"repro.phases.{name}")
