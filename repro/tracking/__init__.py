"""Keeps what a run measured: an append-only store that is the truth, pandas frames of it, and W&B as its mirror."""
