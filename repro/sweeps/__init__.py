"""Studies, trials and the worker processes that run them: one engine for sweeps, ablations and seeds."""
