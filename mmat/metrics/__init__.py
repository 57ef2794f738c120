"""Metrics: NumPy in, floats out."""
