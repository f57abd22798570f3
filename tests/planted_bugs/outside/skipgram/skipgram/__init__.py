"""Vectors of words, by negative sampling."""
