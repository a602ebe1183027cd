"""What goes wrong between processes, under PyTorch's names: all are RuntimeErrors."""


class DistError(RuntimeError):
    """Anything that goes wrong between processes."""


class DistBackendError(DistError):
    """A collective failed."""


class DistNetworkError(DistError):
    """A connection could not be made, or is lost."""


class DistTimeoutError(DistNetworkError):
    """The other side said nothing in time."""


class DistStoreError(DistError):
    """A store has not, in time, what was asked for."""


class QueueEmptyError(DistStoreError):
    """A queue of a store is empty."""
