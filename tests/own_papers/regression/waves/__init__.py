"""A sine fitted by a small network: plain regression."""
