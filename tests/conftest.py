"""How every test runs: hypothesis without a clock, since two cores may be shared; the same examples each time."""

from __future__ import annotations

import os
import signal

# before anything imports PyTorch or NumPy: tests run one worker a core, and processes that they start inherit it
os.environ.setdefault("OMP_NUM_THREADS", "1")

# a background job of a script inherits SIGINT as ignored, and so would every run that a test interrupts
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

from hypothesis import HealthCheck, settings

settings.register_profile(
    "repro", deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repro")
