"""PyTorch's older names of mixed precision on the CPU, torch.cpu.amp: each warns and calls minigrad.amp's."""

from minigrad.amp.older import older_names

__all__ = ["GradScaler", "autocast"]

autocast, GradScaler = older_names("cpu", "bfloat16")
