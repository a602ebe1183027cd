"""Random numbers of transforms: of the default generator, in a DataLoader's worker thread of that worker's own."""

from minigrad.utils.data.worker import current_generator


def chance(p):
    """Return True with probability p."""
    return current_generator().numpy.random() < p


def uniform(low, high):
    """Return a float of the uniform distribution on [low, high]."""
    return low + (high - low) * float(current_generator().numpy.random())


def whole(low, high):
    """Return an int of low … high, both included."""
    count = high - low + 1
    return low + min(int(current_generator().numpy.random() * count), count - 1)  # integers() takes ten times as long
