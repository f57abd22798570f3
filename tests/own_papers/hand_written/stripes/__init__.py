"""Stripes told apart by a network whose optimiser is written by hand."""
