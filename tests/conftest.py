"""How every test runs: hypothesis without a clock, since two cores may be shared; the same examples each time."""

from __future__ import annotations

import os

# before anything imports PyTorch or NumPy: tests run one worker a core, and processes that they start inherit it
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings

settings.register_profile(
    "repro", deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repro")
