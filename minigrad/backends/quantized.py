"""Quantized tensors: not supported, so there is no engine for them."""

engine = "none"
supported_engines = ["none"]
