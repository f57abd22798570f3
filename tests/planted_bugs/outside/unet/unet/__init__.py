"""Segmentation with a U-Net."""
