"""What functions of an index tensor check."""

from minigrad.backend import np
from minigrad.tensor import Tensor


# ---------------------------------------------------------------------- checks
def index_of(index, name, *, dtypes="li"):
    """Return an index tensor; TypeError for anything else, RuntimeError for a dtype other than int64 or int32."""
    if not isinstance(index, Tensor):
        raise TypeError(f"{name}(): argument 'index' must be Tensor, not {type(index).__name__}")
    if index.array.dtype.char not in dtypes:
        raise RuntimeError(f"{name}(): Expected dtype int64 for index, but got {index.dtype}")
    return index


def check_range(index, length, dim, error=RuntimeError):
    """Raise for an index below 0 or above the end. On a GPU looking at the values would stop the queue."""
    if type(index) is not np.ndarray or not index.size:
        return
    low, high = index.min(), index.max()
    if low < 0 or high >= length:
        raise error(f"index {int(low if low < 0 else high)} is out of bounds for dimension {dim} with size {length}")


def check_same_dtype(name, a, b, what="src"):
    if a.array.dtype != b.array.dtype:
        raise RuntimeError(
            f"{name}(): Expected self.dtype to be equal to {what}.dtype, but got {a.dtype} and {b.dtype}"
        )
