"""Which of several kernels may be chosen; the public names are in minigrad/backends/."""


class Convolutions:
    """``winograd``: float32 ones, 3x3 and 5x5, may use Winograd's algorithm. ``plain``: all use whole-batch im2col."""

    winograd = True
    plain = False


CONVOLUTIONS = Convolutions()
