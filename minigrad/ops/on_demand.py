"""Families of functions that few programs use: each is imported when one of its names is first asked for."""

from minigrad.registry import on_demand

on_demand("ops.spectrum", ("stft", "istft"), ("stft", "istft"))
on_demand(
    "ops.windows", ("bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window")
)
