"""The commands of python -m models: those that models/__main__.py lists, and what they share."""
