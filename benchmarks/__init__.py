"""Measurements, side by side: each file is a program, python -m benchmarks.NAME --help."""
