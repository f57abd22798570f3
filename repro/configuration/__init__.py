"""Configuration: composed by Hydra from conf/, checked, identified by a hash, printed without secrets."""

from __future__ import annotations

from repro.configuration.compose import Composed as Composed
from repro.configuration.compose import compose as compose
from repro.configuration.identity import run_id as run_id
from repro.configuration.secrets import masked as masked

__all__ = ["Composed", "compose", "masked", "run_id"]
