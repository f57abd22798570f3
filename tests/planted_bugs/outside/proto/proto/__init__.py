"""Classes from a few examples."""
