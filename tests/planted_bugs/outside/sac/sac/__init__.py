"""Soft actor-critic on a mass that is pushed to the middle."""
