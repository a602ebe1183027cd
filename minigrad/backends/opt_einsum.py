"""opt_einsum: not used; the order of einsum's products is minigrad's own choice."""

enabled = False
strategy = None


def is_available():
    """Return whether opt_einsum is used: no."""
    return False


def get_opt_einsum():
    """Return the opt_einsum package: None, it is not used."""
    return None
