"""repro: reproduce a machine-learning paper step by step and say truthfully whether its numbers hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from repro.tracking.frames import Run as Run
    from repro.tracking.frames import load as load

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "load"]


def __getattr__(name: str) -> Any:
    # pandas takes half a second to import: commands that compute nothing must not pay for it
    if name in ("load", "Run"):
        from repro.tracking import frames

        return getattr(frames, name)
    raise AttributeError(f"module 'repro' has no attribute {name!r}")
