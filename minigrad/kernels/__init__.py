"""Raw arrays in, raw arrays out: the work that a NumPy function does not do by itself, for NumPy and for CuPy."""
