"""Sequences of different lengths: padded into one tensor, or packed step by step without padding.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.PackedSequence.html
"""

from collections import namedtuple

from minigrad.absent import getter
from minigrad.backend import as_dtype, np, to_numpy
from minigrad.ops.join import cat
from minigrad.tensor import Tensor, wrap

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]

_Fields = namedtuple("PackedSequence", ("data", "batch_sizes", "sorted_indices", "unsorted_indices"))


class PackedSequence(_Fields):
    """Sequences without their padding: the first elements of all, then the second ones of those that have one, ….

    Fields: data (elements, …), batch_sizes (int64 on the CPU: how many sequences have a step t), sorted_indices (the
    order in which the sequences lie here, longest first; None for the given one), unsorted_indices (the way back).
    """

    __slots__ = ()

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        if batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be created "
                "manually. They "
                f"should be instantiated by functions like pack_sequence. Got {batch_sizes.device}"
            )
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args, **kwargs):
        """Return the sequences with another dtype or on another device, as Tensor.to."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        indices = [None if index is None else index.to(data.device) for index in self[2:]]
        return type(self)(data, self.batch_sizes, *indices)

    def cuda(self, device="cuda"):
        """Return the sequences on a GPU."""
        return self.to(device)

    def cpu(self):
        """Return the sequences on the CPU."""
        return self.to("cpu")

    @property
    def is_cuda(self):
        """Whether the elements lie on a GPU."""
        return self.data.is_cuda

    def pin_memory(self):
        """Return the sequences with their elements in page-locked memory where the tensor can be."""
        return self._replace(data=self.data.pin_memory())

    def is_pinned(self):
        """Whether the elements lie in page-locked memory."""
        return self.data.is_pinned()


def _conversion(name, dtype):
    def convert(self):
        return self.to(dtype)

    convert.__name__, convert.__doc__ = name, f"Return the sequences with elements of dtype {dtype}."
    return convert


for _name in ("double", "float", "half", "long", "int", "short"):
    setattr(PackedSequence, _name, _conversion(_name, as_dtype(_name)))
PackedSequence.char = _conversion("char", as_dtype("int8"))
PackedSequence.byte = _conversion("byte", as_dtype("uint8"))


def invert_permutation(permutation):
    """Return the permutation that undoes one; None for None.

    >>> import minigrad as mg
    >>> mg.nn.utils.rnn.invert_permutation(mg.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    return None if permutation is None else permutation.argsort()


# ---------------------------------------------------------------------- where the elements lie
def _indices(values, like):
    """Return NumPy integers as an int64 tensor on a tensor's device."""
    return wrap(np.asarray(values, np.int64)).to(like.device)


def _scattered(data, rows, shape, padding_value):
    """Return a tensor of a shape: data's elements in the given rows of its first two dimensions, padding elsewhere."""
    padded = data.new_full((shape[0] * shape[1], *data.shape[1:]), padding_value)
    return padded.index_copy(0, _indices(rows, data), data).reshape(*shape, *data.shape[1:])


def _steps_of(lengths):
    """Return (step, position in the batch) of each packed element; lengths from the longest on."""
    running = np.arange(lengths[0])[:, None] < lengths[None, :]  # (T, N)
    return np.nonzero(running)


def _row(step, sequence, steps, count, batch_first):
    return sequence * steps + step if batch_first else step * count + sequence


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """Return a PackedSequence of padded sequences.

    Arguments: input (T, N, …), (N, T, …) with batch_first; lengths (N ints, list or CPU tensor, each at least 1),
    enforce_sorted (the sequences come longest first; otherwise they are sorted here). RuntimeError for other lengths.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.pack_padded_sequence.html

    >>> import minigrad as mg
    >>> padded = mg.tensor([[1, 2, 3], [4, 0, 0]])
    >>> packed = mg.nn.utils.rnn.pack_padded_sequence(padded, [3, 1], batch_first=True)
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 3]), tensor([2, 1, 1]))
    """
    if isinstance(lengths, Tensor) and lengths.is_cuda:
        raise RuntimeError(
            f"'lengths' argument should be a 1D CPU int64 tensor, but got {lengths.dim()}D {lengths.device} tensor"
        )
    lengths = np.asarray(to_numpy(lengths.array) if isinstance(lengths, Tensor) else lengths).astype(np.int64)
    count, steps = (input.shape[0], input.shape[1]) if batch_first else (input.shape[1], input.shape[0])
    if not input.numel():
        raise RuntimeError("Cannot pack empty tensors.")
    if lengths.shape != (count,):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {lengths.size} (batch_size={count})"
        )
    order = np.arange(count) if enforce_sorted else np.argsort(-lengths, kind="stable")
    lengths = lengths[order]
    if (np.diff(lengths) > 0).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if "
            "you do "
            "not need ONNX exportability."
        )
    if lengths[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if lengths[0] > steps:
        raise RuntimeError(f"pack_padded_sequence: a length of {lengths[0]} exceeds the input's {steps} steps")
    step, position = _steps_of(lengths)
    rows = _row(step, order[position], steps, count, batch_first)
    data = input.reshape(count * steps, *input.shape[2:]).index_select(0, _indices(rows, input))
    sorted_indices = None if enforce_sorted else _indices(order, input)
    return PackedSequence(data, wrap(np.bincount(step)), sorted_indices)


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """Return (padded sequences (T, N, …), or (N, T, …) with batch_first; their lengths (N,), int64 on the CPU).

    Arguments: sequence (PackedSequence), padding_value, total_length (T, if not the greatest length; ValueError if
    smaller). Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.pad_packed_sequence.html

    >>> import minigrad as mg
    >>> packed = mg.nn.utils.rnn.pack_sequence([mg.tensor([1, 2, 3]), mg.tensor([4])])
    >>> mg.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 2, 3],
            [4, 0, 0]]), tensor([3, 1]))
    """
    sizes = to_numpy(sequence.batch_sizes.array)
    count, steps = int(sizes[0]), len(sizes)
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {steps}"
            )
        steps = total_length
    lengths = (np.arange(count)[:, None] < sizes[None, :]).sum(1)
    step, position = _steps_of(lengths)
    if sequence.sorted_indices is not None:
        order = to_numpy(sequence.sorted_indices.array)
        position = order[position]
        lengths = lengths[to_numpy(sequence.unsorted_indices.array)]
    rows = _row(step, position, steps, count, batch_first)
    shape = (count, steps) if batch_first else (steps, count)
    return _scattered(sequence.data, rows, shape, padding_value), wrap(lengths)


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Return sequences (Lᵢ, …) as one tensor (max L, N, …), or (N, max L, …) with batch_first.

    Arguments: sequences (list of tensors), padding_value, padding_side ("right" or "left"). RuntimeError otherwise.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.pad_sequence.html

    >>> import minigrad as mg
    >>> mg.nn.utils.rnn.pad_sequence([mg.tensor([1, 2]), mg.tensor([3])], batch_first=True, padding_value=-1)
    tensor([[ 1,  2],
            [ 3, -1]])
    """
    if not hasattr(sequences, "__iter__"):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    sequences = list(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    lengths = np.array([sequence.shape[0] for sequence in sequences])
    count, steps = len(sequences), int(lengths.max())
    step = np.concatenate([np.arange(n) + (steps - n if padding_side == "left" else 0) for n in lengths])
    rows = _row(step, np.repeat(np.arange(count), lengths), steps, count, batch_first)
    shape = (count, steps) if batch_first else (steps, count)
    return _scattered(cat(sequences), rows, shape, padding_value)


def unpad_sequence(padded_sequences, lengths, batch_first=False):
    """Return the list of sequences of a padded tensor without their padding, views of it.

    >>> import minigrad as mg
    >>> mg.nn.utils.rnn.unpad_sequence(mg.tensor([[1, 2], [3, 0]]), mg.tensor([2, 1]), batch_first=True)
    [tensor([1, 2]), tensor([3])]
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [sequence[:length] for sequence, length in zip(padded_sequences, lengths.tolist(), strict=True)]


def pack_sequence(sequences, enforce_sorted=True):
    """Return a PackedSequence of a list of tensors (Lᵢ, …); with enforce_sorted they must come longest first.

    >>> import minigrad as mg
    >>> mg.nn.utils.rnn.pack_sequence([mg.tensor([1]), mg.tensor([2, 3])], enforce_sorted=False).data
    tensor([2, 1, 3])
    """
    lengths = [sequence.shape[0] for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences):
    """Return the list of sequences that a PackedSequence holds.

    >>> import minigrad as mg
    >>> mg.nn.utils.rnn.unpack_sequence(mg.nn.utils.rnn.pack_sequence([mg.tensor([2, 3]), mg.tensor([1])]))
    [tensor([2, 3]), tensor([1])]
    """
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), batch_first=True)


__getattr__ = getter(__name__)
