"""The programs import torch, which only minigrad.compat or PyTorch itself answers: pytest doesn't import them."""

collect_ignore_glob = ["programs/*", "detection/*", "run_programs.py"]
