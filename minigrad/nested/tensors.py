"""The classes of nested tensors: Jagged and Strided, both made of one dense tensor and of what divides it."""

import itertools
import math
import types

from minigrad.backend import DTYPES
from minigrad.ops.layout import jagged, strided
from minigrad.registry import FUNCTIONS
from minigrad.symbolic import SymInt
from minigrad.tensor import Size, Tensor, normalize_dim

__all__ = ["Jagged", "NestedInt", "NestedTensor", "Strided", "as_strided_parts", "packed", "plain"]

plain = types.SimpleNamespace(**FUNCTIONS, **DTYPES)  # the functions of dense tensors
_DENSE = "give it the parts, tensor.unbind(), or tensor.to_padded_tensor(padding)"


class NestedInt(SymInt):
    """The length of a ragged dimension, such as j1: no number, but equal to itself; j1 * 2 is 2*j1.

    Comparisons are those that hold for any length of at least 2, as for PyTorch's sizes; ValueError for others.
    """

    _count = itertools.count(1)

    def __init__(self, number=None, coefficient=1):
        self._number = next(NestedInt._count) if number is None else number
        self._coefficient = coefficient

    def __repr__(self):
        return f"j{self._number}" if self._coefficient == 1 else f"{self._coefficient}*j{self._number}"

    def __eq__(self, other):
        return isinstance(other, NestedInt) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())

    def _key(self):
        return self._number, self._coefficient

    def __mul__(self, factor):
        return NestedInt(self._number, self._coefficient * factor) if isinstance(factor, int) else NotImplemented

    __rmul__ = __mul__

    def __ge__(self, other):
        if isinstance(other, NestedInt) and self._number == other._number:
            return self._coefficient >= other._coefficient
        if isinstance(other, NestedInt) or other > 2:
            raise ValueError(f"whether {self} >= {other} is not known: {self} stands for lengths of its own")
        return True

    def __gt__(self, other):
        if isinstance(other, NestedInt) and self._number == other._number:
            return self._coefficient > other._coefficient
        return self >= (other if isinstance(other, NestedInt) else other + 1)

    def __lt__(self, other):
        return not self >= other

    def __le__(self, other):
        return not self > other

    def __index__(self):
        raise RuntimeError(f"the length {self} of a ragged dimension is no number: a size of numbers is wanted here")

    __int__ = __index__


class NestedTensor(Tensor):
    """A batch of tensors, its parts, of different lengths; what nested_tensor() returns."""

    # ------------------------------------------------------------------ what it is
    @property
    def array(self):
        raise NotImplementedError(f"this function does not take nested tensors of the layout {self.layout}: {_DENSE}")

    dtype = property(lambda self: self._values.dtype, doc="Type of the elements.")
    device = property(lambda self: self._values.device, doc="Device of the elements.")
    is_cuda = property(lambda self: self._values.is_cuda, doc="Whether the tensor lives on a GPU.")
    is_cpu = property(lambda self: not self._values.is_cuda, doc="Whether the tensor lives on the CPU.")
    is_nested = property(lambda self: True, doc="Whether the tensor is nested: always.")
    requires_grad = property(lambda self: self._values.requires_grad, lambda self, on: self.requires_grad_(on))
    is_leaf = property(lambda self: self._values.is_leaf)
    grad_fn = property(lambda self: self._values.grad_fn)
    retains_grad = property(lambda self: self._values.retains_grad)
    output_nr = property(lambda self: 0)
    names = property(lambda self: (None,) * self.ndim)
    itemsize = property(lambda self: self._values.itemsize)
    nbytes = property(lambda self: self.numel() * self.itemsize)
    ndim = property(lambda self: self.dim())
    data = property(lambda self: self.detach())
    mT = property(lambda self: self.transpose(-2, -1))  # noqa: N815 - PyTorch's name
    T = property(lambda self: self.permute(*reversed(range(self.ndim))))
    real = property(lambda self: self._with(self._values.real))
    imag = property(lambda self: self._with(self._values.imag))
    nelement = property(lambda self: self.numel)
    ndimension = property(lambda self: self.dim)

    @property
    def grad(self):
        """The gradient: a nested tensor of the same structure."""
        return None if self._values.grad is None else self._with(self._values.grad)

    @grad.setter
    def grad(self, value):
        self._values.grad = None if value is None else self._matching(value)

    def _matching(self, other):
        """Return the dense values of a nested tensor that has this one's structure; RuntimeError for another."""
        if not isinstance(other, NestedTensor) or not self._alike(other):
            raise RuntimeError("expected a nested tensor of the same structure and layout")
        return other._values

    def element_size(self):
        return self._values.element_size()

    def is_floating_point(self):
        return self._values.is_floating_point()

    def is_complex(self):
        return self._values.is_complex()

    def is_signed(self):
        return self._values.is_signed()

    def get_device(self):
        return self._values.get_device()

    def storage_offset(self):
        return self._values.storage_offset()

    def data_ptr(self):
        return self._values.data_ptr()

    def values(self):
        """Return the dense tensor of all elements."""
        return self._values

    def __len__(self):
        return self.size(0)

    def __iter__(self):
        return iter(self.unbind())

    def __bool__(self):
        if self.numel() != 1:
            raise RuntimeError(f"Boolean value of Tensor with {'more than one' if self.numel() else 'no'} value is "
                               "ambiguous")  # fmt: skip
        return bool(self.item())

    def item(self):
        if self.numel() != 1:
            raise RuntimeError(f"a Tensor with {self.numel()} elements cannot be converted to Scalar")
        return next(part for part in self.unbind() if part.numel()).item()

    def tolist(self):
        raise RuntimeError(f".tolist() is not supported for nested tensors: {_DENSE}")

    def numpy(self, *, force=False):
        raise RuntimeError(f".numpy() is not supported for nested tensors: {_DENSE}")

    __hash__ = Tensor.__hash__

    def __format__(self, spec):
        return repr(self)

    def _repr_html_(self):
        from html import escape

        return f"<pre>{escape(repr(self))}</pre>"

    def __copy__(self):
        return self.detach().requires_grad_(self.requires_grad)

    def __deepcopy__(self, memo):
        if not self.is_leaf:
            raise RuntimeError("Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                               "protocol at the moment")  # fmt: skip
        if id(self) not in memo:
            memo[id(self)] = self.detach().clone().requires_grad_(self.requires_grad)
        return memo[id(self)]

    # ------------------------------------------------------------------ the graph
    def detach(self):
        return self._with(self._values.detach())

    def detach_(self):
        self._values.detach_()
        return self

    def requires_grad_(self, requires_grad=True):
        """Set whether operations on the tensor are recorded; returns it."""
        self._values.requires_grad_(requires_grad)
        return self

    def retain_grad(self):
        self._values.retain_grad()

    def register_hook(self, hook):
        """Call hook(grad) with the nested gradient; a returned nested tensor replaces it."""

        def on_values(grad):
            result = hook(self._with(grad))
            return None if result is None else self._matching(result)

        return self._values.register_hook(on_values)

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Accumulate the gradient, a nested tensor of the same structure, into the graph's leaves."""
        from minigrad import autograd

        autograd.backward(self, gradient, retain_graph, create_graph, inputs)

    # ------------------------------------------------------------------ conversions
    def _moved(self, values):
        """Return the tensor with values that were converted to another dtype or device: itself if they are the same."""
        return self if values is self._values else self._with(values)

    def to(self, *args, **kwargs):
        """Return the tensor in another dtype or on another device."""
        args = [other._values if isinstance(other, NestedTensor) else other for other in args]
        return self._moved(self._values.to(*args, **kwargs))

    def cuda(self, device=None, non_blocking=False):
        return self._moved(self._values.cuda(device))

    def cpu(self):
        return self._moved(self._values.cpu())

    def type(self, dtype=None):
        """Return the name of the type, torch.FloatTensor, or the tensor in another type."""
        return self._values.type() if dtype is None else self._moved(self._values.type(dtype))

    def clone(self, *, memory_format=None):
        return self._with(self._values.clone())

    def pin_memory(self, device=None):
        return self._moved(self._values.pin_memory())

    def is_pinned(self, device=None):
        return self._values.is_pinned()


for _name in "float double half bfloat16 long int short char byte bool cfloat cdouble".split():
    setattr(
        NestedTensor, _name, lambda self, memory_format=None, _name=_name: self._moved(getattr(self._values, _name)())
    )


class Jagged(NestedTensor):
    """Parts that differ in one dimension, the ragged one, along which they lie one after the other.

    ``values`` (…, sum of lengths, …), ``offsets`` (B + 1,): where each part begins, and the end; ``lengths`` (B,) or
    None: how long each is, where there are holes between them; ragged: which dimension of the nested tensor is ragged.
    """

    layout = property(lambda self: jagged, doc="How the elements are stored: jagged.")

    def __new__(cls, values, offsets, lengths=None, ragged=1, bounds=None):
        self = object.__new__(cls)
        self.__dict__.update(
            _values=values, _offsets=offsets, _lengths=lengths, _ragged_idx=ragged,
            _bounds=bounds,  # (least, most) length, as far as known; either may be None
        )  # fmt: skip
        return self

    def _with(self, values, ragged=None):
        """Return a tensor of the same structure with other values, and the ragged dimension elsewhere."""
        return Jagged(values, self._offsets, self._lengths, ragged or self._ragged_idx, self._bounds)

    def _moved(self, values):
        if values.device == self._offsets.device:
            return super()._moved(values)
        offsets, lengths = (one if one is None else one.to(values.device) for one in (self._offsets, self._lengths))
        (offsets if lengths is None else lengths)._nested_int = self._symbol()
        return Jagged(values, offsets, lengths, self._ragged_idx, self._bounds)

    def _symbol(self):
        """Return the ragged length: the same for all tensors of the same offsets (with holes, of the same lengths)."""
        source = self._offsets if self._lengths is None else self._lengths
        if "_nested_int" not in source.__dict__:
            source._nested_int = NestedInt()
        return source._nested_int

    def _alike(self, other):
        """Return whether another tensor has the same parts: ragged dimension, offsets and holes."""
        return (
            isinstance(other, Jagged)
            and self._ragged_idx == other._ragged_idx
            and self._symbol() == other._symbol()
            and len(self._offsets) == len(other._offsets)
        )

    def _part_lengths(self):
        """Return the parts' lengths as a list of ints."""
        return (self._offsets.diff() if self._lengths is None else self._lengths).tolist()

    def _get_max_seqlen(self):
        known = self._bounds and self._bounds[1]
        return known if known is not None else max(self._part_lengths(), default=0)

    def _get_min_seqlen(self):
        known = self._bounds and self._bounds[0]
        return known if known is not None else min(self._part_lengths(), default=0)

    _max_seqlen = property(_get_max_seqlen)
    _min_seqlen = property(_get_min_seqlen)

    def _axis(self):
        """Return the dimension of the values that holds all parts."""
        return self._ragged_idx - 1

    @property
    def shape(self):
        """Size of the tensor, in which a NestedInt is the ragged length."""
        inner = list(self._values.shape)
        inner[self._axis()] = self._symbol()
        return Size((len(self._offsets) - 1, *inner))

    _size = property(lambda self: tuple(self.shape))

    def size(self, dim=None):
        return self.shape if dim is None else self.shape[normalize_dim(dim, self.dim())]

    def dim(self):
        return self._values.ndim + 1

    def stride(self, dim=None):
        steps = self._values.stride()
        steps = (self._symbol() * steps[self._axis()], *steps)
        return steps if dim is None else steps[normalize_dim(dim, len(steps))]

    def numel(self):
        if self._lengths is None:
            return self._values.numel()
        return sum(self._part_lengths()) * math.prod(self._values.shape) // max(self._values.shape[self._axis()], 1)

    def offsets(self):
        """Return where the parts begin along the ragged dimension, and the end: (B + 1,)."""
        return self._offsets

    def lengths(self):
        """Return the parts' lengths (B,) where there are holes between them, else None."""
        return self._lengths

    def is_contiguous(self, memory_format=None):
        return self._lengths is None and self._values.is_contiguous()

    def contiguous(self, memory_format=None):
        """Return the tensor with its parts one after the other in memory, without holes."""
        if self.is_contiguous():
            return self
        if self._lengths is None:
            return self._with(self._values.contiguous())
        return packed(self.unbind(), self._ragged_idx)

    def unbind(self, dim=0):
        """Return the parts, as views where nothing is recorded."""
        if normalize_dim(dim, self.dim()) != 0:
            raise RuntimeError("unbind(): only supported for NestedTensor on dim=0")
        offsets, axis = self._offsets.tolist(), self._axis()
        lengths = self._part_lengths()
        total = self._values.shape[axis]
        if any(start < 0 or length < 0 or start + length > total for start, length in zip(offsets, lengths)):
            raise RuntimeError(
                f"unbind(): offsets {offsets} and lengths {lengths} do not fit a ragged dimension of {total} in all"
            )
        return tuple(self._values.narrow(axis, start, length) for start, length in zip(offsets, lengths))

    def _padded_places(self, most):
        """Return the place in the values of each of (B, most), and whether it is a part's own."""
        lengths = self._offsets.diff() if self._lengths is None else self._lengths
        steps = plain.arange(most, device=self._offsets.device)
        inside = steps < lengths.unsqueeze(1)
        return plain.where(inside, self._offsets[:-1].unsqueeze(1) + steps, 0), inside

    def to_padded_tensor(self, padding, output_size=None):
        """Return the dense tensor (B, …, longest, …), or of the output size, with the padding behind each part."""
        if self._lengths is not None:
            raise RuntimeError("to_padded_tensor(): not supported for nested tensors with holes")
        return self._padded(padding, None if output_size is None else int(output_size[self._ragged_idx]))

    def _padded(self, padding, most=None):
        most = self._get_max_seqlen() if most is None else most
        axis, batch = self._axis(), len(self._offsets) - 1
        values = self._values.movedim(axis, 0)
        rest = tuple(values.shape[1:])
        if values.shape[0] == 0:
            return values.new_full((batch, most, *rest), padding).movedim(1, axis + 1)
        places, inside = self._padded_places(most)
        inside = inside.reshape(batch, most, *[1] * len(rest))
        padded = values.index_select(0, places.flatten()).reshape(batch, most, *rest)
        filler = plain.full((), padding, dtype=values.dtype, device=values.device)
        return plain.where(inside, padded, filler).movedim(1, axis + 1)

    def _from_padded(self, padded, ragged=None):
        """Return the nested tensor of this structure whose parts begin the slices of a padded tensor."""
        ragged = ragged or self._ragged_idx
        padded = padded.movedim(ragged, 1)
        _, inside = self._padded_places(padded.shape[1])
        values = padded.flatten(0, 1).index_select(0, inside.flatten().nonzero().flatten())
        return Jagged(values.movedim(0, ragged - 1), *self._without_holes(), ragged, self._bounds)

    def _without_holes(self):
        """Return the offsets, and lengths of None, of a tensor with the same parts and no holes."""
        if self._lengths is None:
            return self._offsets, None
        return plain.cat([self._offsets[:1] * 0, self._lengths.cumsum(0)]), None

    def _part_numbers(self):
        """Return the number of the part that each place along the ragged dimension belongs to."""
        places = plain.arange(self._values.shape[self._axis()], device=self._offsets.device)
        return plain.bucketize(places, self._offsets[1:], right=True).clamp(max=max(len(self._offsets) - 2, 0))

    def __repr__(self, *, tensor_contents=None):
        end = f", requires_grad={self.requires_grad}" if self.requires_grad else ""
        if self.grad_fn:
            end = f", grad_fn={self.grad_fn}"
        return f"NestedTensor(size={self._size}, offsets={self._offsets}{end}, contiguous={self.is_contiguous()})"

    __str__ = __repr__

    def __reduce_ex__(self, protocol):
        return Jagged, (self._values, self._offsets, self._lengths, self._ragged_idx, self._bounds)


class Strided(NestedTensor):
    """Parts of any shapes of one number of dimensions: ``values`` holds their elements in row-major order."""

    layout = property(lambda self: strided, doc="How the elements are stored: strided.")

    def __new__(cls, values, sizes):
        self = object.__new__(cls)
        self.__dict__.update(_values=values, _sizes=tuple(tuple(size) for size in sizes))
        return self

    def _with(self, values):
        return Strided(values, self._sizes)

    def _alike(self, other):
        return isinstance(other, Strided) and self._sizes == other._sizes

    @property
    def shape(self):
        """RuntimeError: there is no such size; ask for size(dim)."""
        raise RuntimeError(
            "nested tensors of the strided layout have no size: ask for size(dim) of a dimension that all parts have "
            "the same of"
        )

    def size(self, dim=None):
        """Return the length of a dimension; RuntimeError where the parts differ."""
        if dim is None:
            return self.shape
        place = normalize_dim(dim, self.dim())
        if place == 0:
            return len(self._sizes)
        lengths = {size[place - 1] for size in self._sizes}
        if len(lengths) != 1:
            raise RuntimeError(f"Given dimension {dim} is irregular and does not have a size.")
        return lengths.pop()

    def _nested_tensor_size(self):
        """Return the parts' sizes, (B, dimensions of each)."""
        return plain.tensor(self._sizes, dtype=plain.int64)

    def dim(self):
        return len(self._sizes[0]) + 1 if self._sizes else 1

    def stride(self, dim=None):
        raise RuntimeError("nested tensors of the strided layout have no strides: ask their parts, tensor.unbind()")

    def numel(self):
        return self._values.numel()

    def is_contiguous(self, memory_format=None):
        return True

    def contiguous(self, memory_format=None):
        return self

    @property
    def offsets(self):
        """AttributeError: offsets belong to the layout jagged."""
        raise AttributeError("'Tensor' object has no attribute 'offsets': it is not of the layout jagged")

    @property
    def lengths(self):
        """AttributeError: lengths belong to the layout jagged."""
        raise AttributeError("'Tensor' object has no attribute 'lengths': it is not of the layout jagged")

    def unbind(self, dim=0):
        """Return the parts, as views where nothing is recorded."""
        if normalize_dim(dim, self.dim()) != 0:
            raise RuntimeError(f"NestedTensor can only be unbound along dimension 0 got dimension {dim} instead.")
        starts = [0, *itertools.accumulate(math.prod(size) for size in self._sizes)]
        return tuple(
            self._values.narrow(0, start, end - start).reshape(size)
            for start, end, size in zip(starts, starts[1:], self._sizes)
        )

    def to_padded_tensor(self, padding, output_size=None):
        """Return the dense tensor (B, longest, …), or of the output size, with the padding behind each part."""
        most = [max(lengths) for lengths in zip(*self._sizes)]
        if output_size is not None:
            if len(output_size) != self.dim():
                raise RuntimeError(f"output_size must have {self.dim()} numbers, but got {list(output_size)}")
            if any(length < least for length, least in zip(output_size, (len(self._sizes), *most))):
                raise RuntimeError(
                    "Value in output_size is less than NestedTensor padded size. Truncation is not supported."
                )
            most = list(output_size)[1:]
        rows = []
        for part in self.unbind():
            behind = [(0, length - own) for length, own in zip(most, part.shape)]
            rows.append(plain.constant_pad_nd(part, sum(reversed(behind), ()), padding))
        extra = 0 if output_size is None else output_size[0] - len(rows)
        rows += [plain.full(most, padding, dtype=self.dtype, device=self.device)] * extra
        return plain.stack(rows) if rows else self._values.new_empty((0,))

    def __repr__(self, *, tensor_contents=None):
        parts = ",\n".join("  " + repr(part).replace("\n", "\n  ") for part in self._shown())
        end = f", grad_fn=<{self.grad_fn.name()}>" if self.grad_fn else ", requires_grad=True" * self.requires_grad
        return f"nested_tensor([\n{parts}\n]{end})"

    __str__ = __repr__

    def _shown(self):
        parts = self.detach().unbind()
        return [part.clone().requires_grad_() for part in parts] if self.requires_grad else parts

    def __reduce_ex__(self, protocol):
        return Strided, (self._values, self._sizes)


def packed(parts, ragged=1, like=None):
    """Return the jagged tensor of parts that differ in one dimension; of the structure of ``like``, if it fits."""
    values = plain.cat([part.contiguous() for part in parts], ragged - 1)
    if like is not None and like._lengths is None:
        return like._with(values, ragged)
    lengths = [part.shape[ragged - 1] for part in parts]
    offsets = plain.tensor([0, *itertools.accumulate(lengths)], dtype=plain.int64, device=values.device)
    return Jagged(values, offsets, None, ragged, (min(lengths), max(lengths)))


def as_strided_parts(parts):
    """Return the nested tensor of the strided layout with these parts."""
    if not parts:
        return Strided(plain.empty(0), ())
    return Strided(plain.cat([part.reshape(-1) for part in parts]), [part.shape for part in parts])
