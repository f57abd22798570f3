"""Slow, obvious float64 NumPy versions of the field's standard pieces, from their definitions, without PyTorch."""
