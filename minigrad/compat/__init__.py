"""PyTorch's import names for minigrad, so that programs written for PyTorch run unmodified.

``python -m minigrad.compat script.py …`` runs a script; ``import minigrad.compat.torch`` at the top of a program does
the same for the imports below it. Both are said explicitly: ``import minigrad`` alone changes no other name.
"""
