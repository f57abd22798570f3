"""Slow, obvious float64 NumPy versions of the field's standard pieces, written from their definitions, without PyTorch."""
