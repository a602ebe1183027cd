"""Which of several kernels may be chosen; the public names are in minigrad/backends/."""


class Convolutions:
    """``winograd``: float32 ones, 3x3 and 5x5, may use Winograd's algorithm. ``plain``: all use whole-batch im2col."""

    winograd = True
    plain = False


CONVOLUTIONS = Convolutions()


class Determinism:
    """``level``: what is done where a GPU's result depends on the order of threads. 0: nothing, 1: warn, 2: raise."""

    level = 0


DETERMINISM = Determinism()


def check_deterministic(name):
    """RuntimeError, or a warning, if programs asked for it: this operation's rounding may differ from run to run."""
    if not DETERMINISM.level:
        return
    message = (
        f"{name} does not have a deterministic implementation, but you set 'use_deterministic_algorithms(True)'. Use "
        "warn_only=True, turn determinism off for this operation, or run it on the CPU"
    )
    if DETERMINISM.level == 2:
        raise RuntimeError(message)
    import warnings

    warnings.warn(message, stacklevel=4)
