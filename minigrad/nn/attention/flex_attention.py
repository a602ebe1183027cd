"""Attention whose scores a function of the positions changes or masks: flex_attention, and masks by blocks for it.

The functions are called once, with positions that broadcast to (B, H, L, S). What they say is then asked again for some
positions by themselves; where that differs or fails (``table[head][query]``, a sum over a row of a table) they are
called for every position, as PyTorch's vmap means it. All scores are computed: blocks save no time here.
Source: Dong et al. 2024 (arXiv:2412.05496); https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html
"""

import inspect
import itertools
import math
import random
import warnings
from typing import NamedTuple

from minigrad.autograd import no_grad
from minigrad.backend import DTYPES
from minigrad.ops.from_data import tensor
from minigrad.ops.join import stack
from minigrad.ops.sequences import arange
from minigrad.ops.softmax import softmax
from minigrad.ops.where import where
from minigrad.registry import FUNCTIONS
from minigrad.tensor import Tensor

__all__ = [
    "AuxOutput", "AuxRequest", "BlockMask", "FlexKernelOptions", "and_masks", "create_block_mask", "create_mask",
    "flex_attention", "noop_mask", "or_masks",
]  # fmt: skip

full, zeros, _BOOL = FUNCTIONS["full"], FUNCTIONS["zeros"], DTYPES["bool"]
FlexKernelOptions = dict  # settings of PyTorch's GPU kernels, which no result depends on


class AuxRequest(NamedTuple):
    """What flex_attention is to return beside its output."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """The logarithm of the sum of exp(scores) and the largest score of each query, (B, H, L); None if not asked for."""

    lse: Tensor | None = None
    max_scores: Tensor | None = None


# ---------------------------------------------------------------------- functions of positions
def noop_mask(batch, head, token_q, token_kv):
    """Return True: every query sees every key."""
    return batch.new_ones((), dtype=_BOOL)


def and_masks(*mask_mods):
    """Return the mask function that allows what all of these do; RuntimeError for what is no function.

    >>> import minigrad as mg
    >>> from minigrad.nn.attention.flex_attention import and_masks, create_mask
    >>> near = and_masks(lambda b, h, q, k: q >= k, lambda b, h, q, k: q - k < 2)
    >>> create_mask(near, None, None, 3, 3)[0, 0].int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [0, 1, 1]], dtype=minigrad.int32)
    """
    return _combined("and_mask", lambda a, b: a & b, True, mask_mods)


def or_masks(*mask_mods):
    """Return the mask function that allows what any of these does; RuntimeError for what is no function."""
    return _combined("or_mask", lambda a, b: a | b, False, mask_mods)


def _combined(name, operation, start, mask_mods):
    if not all(callable(mask_mod) for mask_mod in mask_mods):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mask_mods}")

    def mask(b, h, q_idx, kv_idx):
        result = b.new_full((), start, dtype=_BOOL)
        for mask_mod in mask_mods:
            result = operation(result, mask_mod(b, h, q_idx, kv_idx))
        return result

    mask.__name__ = mask.__qualname__ = name
    return mask


def _sliced_mask(batch, head, token_q, token_kv):
    """Stands for the mask function of a BlockMask that was indexed: its positions are no longer those of the whole."""
    raise RuntimeError(
        "Cannot use mask_mod from a sliced BlockMask: set its mask_mod from that of the whole BlockMask, moved by what "
        "was sliced away"
    )


def _count_positional(function):
    parameters = inspect.signature(function).parameters.values()
    count = sum(one.default is one.empty and one.kind is not one.VAR_POSITIONAL for one in parameters)
    if count not in (4, 5):
        raise AssertionError(f"Expected 4 or 5 positional args, got {count}")
    return count


def _everywhere(function, shape, device, score=None):
    """Return a function's values at all positions, (B, H, L, S): of the scores there, if there are some."""
    ranges = [arange(length, device=device) for length in shape]
    given = () if score is None else (score,)
    try:
        axes = [one.reshape([-1 if dim == axis else 1 for dim in range(4)]) for axis, one in enumerate(ranges)]
        found = _as_tensor(function(*given, *axes), device).expand(shape)
        if _holds(function, found, ranges, score):
            return found
    except (RuntimeError, IndexError, ValueError, TypeError):
        pass  # the function is one of single positions
    places = itertools.product(*map(range, shape))
    values = [_at(function, place, ranges, score, device) for place in places]
    return stack(values).reshape(shape) if values else zeros(shape, device=device)


def _as_tensor(value, device):
    return value if isinstance(value, Tensor) else tensor(value, device=device)


def _at(function, place, ranges, score, device):
    """Return a function's value at one position (b, h, q, k)."""
    given = () if score is None else (score[place],)
    return _as_tensor(function(*given, *[one[index] for one, index in zip(ranges, place)]), device)


def _holds(function, found, ranges, score):
    """Return whether a function says at single positions, the corners and some others, what it said for all at once."""
    if not found.numel():
        return True
    shape, draw = tuple(found.shape), random.Random(0)
    places = {(0, 0, 0, 0), tuple(length - 1 for length in shape)}
    places |= {tuple(draw.randrange(length) for length in shape) for _ in range(6)}
    with no_grad():
        for place in sorted(places):
            value, expected = found[place], _at(function, place, ranges, score, found.device)
            if expected.dim() or not bool(((value == expected) | _close(value, expected)).all()):
                return False
    return True


def _close(a, b):
    if not a.is_floating_point():
        return a == b
    return ((a - b).abs() <= 1e-4 * (a.abs() + b.abs())) | (a.isnan() & b.isnan())


def create_mask(mod_fn, B, H, Q_LEN, KV_LEN, device=None):  # noqa: N803 - PyTorch's names
    """Return where a query may see a key, (B, H, Q_LEN, KV_LEN) of bool; None for B or H is 1.

    Arguments: mod_fn (mask_mod(b, h, q_idx, kv_idx), or score_mod(score, b, h, q_idx, kv_idx), which hides by -inf),
    the sizes, device. AssertionError for functions of other numbers of arguments.

    >>> import minigrad as mg
    >>> from minigrad.nn.attention.flex_attention import create_mask
    >>> create_mask(lambda b, h, q, k: q >= k, 1, 1, 2, 2)
    tensor([[[[ True, False],
              [ True,  True]]]])
    """
    shape = (1 if B is None else B, 1 if H is None else H, Q_LEN, KV_LEN)
    if _count_positional(mod_fn) == 4:
        return _everywhere(mod_fn, shape, device)
    return ~_everywhere(mod_fn, shape, device, zeros(shape, device=device)).isneginf()


# ---------------------------------------------------------------------- masks by blocks
def _ordered(dense):
    """Return how many blocks of each row are there, and all of its columns, those that are there first: int32."""
    dense = dense.int()
    columns = dense.argsort(dim=-1, descending=True, stable=True)
    return dense.sum(dim=-1).int(), columns.int()


def _dense(count, columns, width):
    """Return what _ordered was given, of a width: (…, rows, width) of int32."""
    there = arange(columns.shape[-1], device=columns.device) < count.unsqueeze(-1)
    places = where(there, columns.long(), width)
    found = zeros((*columns.shape[:-1], width + 1), dtype=columns.dtype, device=columns.device)
    return found.scatter(-1, places, 1)[..., :width]


def _transposed(count, columns):
    return _ordered(_dense(count, columns, columns.shape[-1]).transpose(-2, -1))


class BlockMask:
    """Which blocks of (queries, keys) attention computes, and the function that masks within those that are partial.

    For each row of blocks: kv_num_blocks (B, H, rows) says how many of kv_indices (B, H, rows, columns) it computes
    with the mask function, full_kv_… how many without; q_… are the same by columns. See create_block_mask and
    from_kv_blocks. AssertionError or RuntimeError for what does not fit together.
    Source: https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html#blockmask
    """

    def __init__(
        self, seq_lengths, kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices, q_num_blocks, q_indices,
        full_q_num_blocks, full_q_indices, BLOCK_SIZE=(128, 128), mask_mod=noop_mask,  # noqa: N803
    ):  # fmt: skip
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        for what, pair in (("kv", (full_kv_num_blocks, full_kv_indices)), ("q", (full_q_num_blocks, full_q_indices))):
            if (pair[0] is None) != (pair[1] is None):
                raise AssertionError(
                    f"full_{what}_num_blocks and full_{what}_indices must be both provided or omitted"
                )
        self.seq_lengths = seq_lengths
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices
        self.q_num_blocks, self.q_indices = q_num_blocks, q_indices
        self.full_q_num_blocks, self.full_q_indices = full_q_num_blocks, full_q_indices
        self.BLOCK_SIZE = BLOCK_SIZE
        self.mask_mod = mask_mod

    @classmethod
    def from_kv_blocks(
        cls, kv_num_blocks, kv_indices, full_kv_num_blocks=None, full_kv_indices=None, BLOCK_SIZE=128,  # noqa: N803
        mask_mod=None, seq_lengths=None, compute_q_blocks=True,
    ):  # fmt: skip
        """Return the BlockMask of these rows of blocks; the columns are computed, the lengths too if not given."""
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        if (full_kv_num_blocks is None) != (full_kv_indices is None):
            raise AssertionError("full_kv_num_blocks and full_kv_indices must be both provided or omitted")
        partial = full = (None, None)
        if compute_q_blocks:
            partial = _transposed(kv_num_blocks, kv_indices)
            if full_kv_indices is not None:
                full = _transposed(full_kv_num_blocks, full_kv_indices)
        size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
        if seq_lengths is None:
            seq_lengths = (kv_indices.shape[-2] * size[0], kv_indices.shape[-1] * size[1])
        mask_mod = noop_mask if mask_mod is None else mask_mod
        return cls(
            seq_lengths, kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices, *partial, *full, size, mask_mod
        )

    def _tensors(self):
        """Return the names of the attributes that are tensors, or None."""
        return [f"{full}{side}_{what}" for side in ("kv", "q") for full in ("", "full_")
                for what in ("num_blocks", "indices")]  # fmt: skip

    def as_tuple(self, flatten=True):
        """Return the attributes as PyTorch's kernels take them: lengths, blocks, block sizes, mask function."""
        lengths = tuple(self.seq_lengths) if flatten else (self.seq_lengths,)
        sizes = tuple(self.BLOCK_SIZE) if flatten else (self.BLOCK_SIZE,)
        order = (None,) * 4  # in which order a kernel adds up gradients
        return (*lengths, *[getattr(self, name) for name in self._tensors()], *order, *sizes, self.mask_mod)

    @property
    def shape(self):
        """(B, H, query length, key length)."""
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def numel(self):
        """Return the number of scores, computed or not."""
        return math.prod(self.shape)

    def sparsity(self):
        """Return the percentage of scores in blocks that are left out."""
        blocks = self.kv_num_blocks.sum().item()
        if self.full_kv_num_blocks is not None:
            blocks += self.full_kv_num_blocks.sum().item()
        return 100 * (1 - blocks * self.BLOCK_SIZE[0] * self.BLOCK_SIZE[1] / self.numel())

    def to_dense(self):
        """Return which blocks are computed, (B, H, rows, columns) of int32."""
        width = self.kv_indices.shape[-1]
        partial = _dense(self.kv_num_blocks, self.kv_indices, width)
        return partial if self.full_kv_indices is None else partial | self._full(width)

    def _full(self, width):
        return _dense(self.full_kv_num_blocks, self.full_kv_indices, width)

    def __getitem__(self, index):
        index = index if isinstance(index, tuple) else (index,)
        index = (*index, *[slice(None)] * (3 - len(index)))
        index = tuple(slice(i, i + 1 or None) if isinstance(i, int) else i for i in index)
        names = ("kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices")
        rows = [None if getattr(self, name) is None else getattr(self, name)[index] for name in names]
        return BlockMask.from_kv_blocks(
            *rows, self.BLOCK_SIZE, _sliced_mask, self.seq_lengths, compute_q_blocks=self.q_indices is not None
        )

    def _adjust(self, new_q_len, new_kv_len):
        """Return the mask for the first queries and keys."""
        height, width = (-(-length // size) for length, size in zip((new_q_len, new_kv_len), self.BLOCK_SIZE))
        rows = []
        for count, columns in ((self.kv_num_blocks, self.kv_indices), (self.full_kv_num_blocks, self.full_kv_indices)):
            if columns is None:
                rows += [None, None]
            else:
                rows += _ordered(_dense(count, columns, columns.shape[-1])[..., :height, :width])
        return BlockMask.from_kv_blocks(
            *rows, self.BLOCK_SIZE, self.mask_mod, (new_q_len, new_kv_len), self.q_indices is not None
        )

    def to(self, device):
        """Return the mask on a device."""
        moved = [None if getattr(self, name) is None else getattr(self, name).to(device) for name in self._tensors()]
        return BlockMask(self.seq_lengths, *moved, self.BLOCK_SIZE, self.mask_mod)

    def to_string(self, grid_size=(20, 20), limit=4):
        """Return a picture of at most grid_size characters, twice as wide, of each of the first ``limit`` heads.

        Whole blocks are full, those left out blank; -1 for grid_size shows every block.
        """
        dense = self.to_dense()
        *batch, height, width = dense.shape
        most = (height, width) if grid_size == -1 else (grid_size,) * 2 if isinstance(grid_size, int) else grid_size
        down, across = (max(1, -(-length // limit_)) for length, limit_ in zip((height, width), most))
        pictures = []
        for number, place in enumerate(itertools.product(*map(range, batch))):
            if number == limit:
                pictures += [
                    "...", "To print out more, set BlockMask.to_string(limit=N)",
                    "You can also index (BlockMask[batch, head]) to choose a specific batch or head",
                ]  # fmt: skip
                break
            lines = [f"{place}"]
            for row in range(0, height, down):
                cells = [dense[place][row:row + down, column:column + across] for column in range(0, width, across)]
                lines.append("".join({1.0: "█", 0.0: " "}.get(cell.float().mean().item(), "░") * 2 for cell in cells))
            pictures.append("\n".join(lines) + "\n")
        return "\n".join(pictures)

    def __str__(self):
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%, \n{self.to_string().strip()}\n)"

    def __repr__(self):
        tensors = [(name, getattr(self, name)) for name in self._tensors()]
        lines = [f"    {name}={None if value is None else value.shape},\n" for name, value in tensors]
        name = getattr(self.mask_mod, "__name__", self.mask_mod)
        return (
            f"BlockMask(\n{''.join(lines)}    BLOCK_SIZE={self.BLOCK_SIZE},\n    shape={self.shape},\n"
            f"    sparsity={self.sparsity():.2f}%,\n    mask_mod={name}\n)"
        )

    def _allowed(self, lengths, device):
        """Return where queries may see keys: in full blocks, and in partial ones where mask_mod says so."""
        mask = _everywhere(self.mask_mod, (*self.kv_indices.shape[:2], *lengths), device)
        width = self.kv_indices.shape[-1]
        full = None if self.full_kv_indices is None else self._spread(self._full(width), lengths)
        mask = mask & self._spread(_dense(self.kv_num_blocks, self.kv_indices, width), lengths)
        return mask if full is None else mask | full

    def _spread(self, blocks, lengths):
        for dim, size, length in zip((-2, -1), self.BLOCK_SIZE, lengths):
            blocks = blocks.repeat_interleave(min(size, length), dim).narrow(dim, 0, length)
        return blocks.bool()


def create_block_mask(
    mask_mod, B, H, Q_LEN, KV_LEN, device=None, BLOCK_SIZE=128, _compile=False, separate_full_blocks=True,  # noqa: N803
    compute_dq_write_order=False, dq_kv_order=True,
):  # fmt: skip
    """Return the BlockMask of a mask function, mask_mod(b, h, q_idx, kv_idx).

    Arguments: B, H (None: 1, for all batches or heads), Q_LEN, KV_LEN, device, BLOCK_SIZE (int, or one of queries and
    one of keys), separate_full_blocks (keep whole blocks apart, in which the function is not asked). AssertionError for
    a function of another number of arguments; NotImplementedError for compute_dq_write_order, which orders the
    additions of a GPU kernel.
    Source: https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html

    >>> import minigrad as mg
    >>> from minigrad.nn.attention.flex_attention import create_block_mask
    >>> create_block_mask(lambda b, h, q, k: q >= k, None, None, 4, 4, BLOCK_SIZE=2).to_dense()[0, 0]
    tensor([[1, 0],
            [1, 1]], dtype=minigrad.int32)
    """
    if _count_positional(mask_mod) != 4:
        raise AssertionError(f"create-block_mask requires a mask_mod function! Got {mask_mod}")
    if compute_dq_write_order:
        raise NotImplementedError("compute_dq_write_order=True is not supported: there is no kernel to order")
    mask = create_mask(mask_mod, B, H, Q_LEN, KV_LEN, device)
    size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else tuple(BLOCK_SIZE)
    rows, columns = (-(-length // one) for length, one in zip((Q_LEN, KV_LEN), size))
    padded = zeros((*mask.shape[:2], rows * size[0], columns * size[1]), dtype=mask.dtype, device=mask.device)
    padded[..., :Q_LEN, :KV_LEN] = mask
    counts = padded.reshape(*mask.shape[:2], rows, size[0], columns, size[1]).sum(dim=(3, 5))
    whole = counts == size[0] * size[1]
    full = _ordered(whole) if separate_full_blocks else (None, None)
    partial = _ordered((counts > 0) & ~whole if separate_full_blocks else counts > 0)
    return BlockMask.from_kv_blocks(*partial, *full, size, mask_mod, (Q_LEN, KV_LEN))


# ---------------------------------------------------------------------- attention
def _check(query, key, value, enable_gqa, block_mask):
    """Raise PyTorch's errors for tensors and masks that do not fit together."""
    if len({one.device for one in (query, key, value)}) != 1:
        raise ValueError(f"Expected query, key, and value on one device, but got {query.device}, {key.device}, "
                         f"{value.device}")  # fmt: skip
    if any(one.is_nested for one in (query, key, value)):
        raise ValueError("FlexAttention does not support NestedTensor inputs: use BlockMasks of documents")
    if query.dim() != 4 or key.dim() != 4 or value.dim() != 4:
        raise NotImplementedError("NYI: query, key, and value must be 4D tensors")
    if query.size(-1) != key.size(-1):
        raise ValueError(
            f"Expect query and key/value to have the same embedding dimension but got E={query.size(-1)} and "
            f"E={key.size(-1)}."
        )
    heads, own = query.size(1), key.size(1)
    if heads % own if enable_gqa else heads != own:
        raise ValueError(
            f"Expect query and key/value to have the same number of heads, or with enable_gqa=True a multiple of it, "
            f"but got Hq={heads} and Hkv={own}."
        )
    if query.size(0) != key.size(0) and (block_mask is None or block_mask.kv_num_blocks.size(0) != query.size(0)):
        raise ValueError(
            f"Expect query and key/value to have the same batch size, or a block_mask of the query's, but got "
            f"Bq={query.size(0)}, Bkv={key.size(0)}"
        )
    if block_mask is None:
        return
    if block_mask.mask_mod is _sliced_mask:
        raise RuntimeError("Cannot use mask_mod from a sliced BlockMask")
    if tuple(block_mask.shape[-2:]) != (query.size(-2), key.size(-2)):
        raise ValueError(
            f"block_mask was created for block_mask.shape={block_mask.shape} but got q_len={query.size(-2)} and "
            f"kv_len={key.size(-2)}: create a new one, or for a smaller length use block_mask._adjust(q_len, kv_len)"
        )
    if query.device != block_mask.kv_num_blocks.device:
        raise RuntimeError(
            f"Expect q/k/v and block_mask to be on the same device but got {query.device} and "
            f"{block_mask.kv_num_blocks.device}."
        )


def flex_attention(
    query, key, value, score_mod=None, block_mask=None, scale=None, enable_gqa=False, return_lse=False,
    kernel_options=None, *, return_aux=None,
):  # fmt: skip
    """Return softmax(score_mod(query keyᵀ · scale, b, h, q, k), masked) value.

    Arguments: query (B, H, L, E), key (B, H, S, E), value (B, H, S, V), score_mod(score, b, h, q_idx, kv_idx) (the new
    score, of the old one and its position), block_mask (a BlockMask: what is hidden), scale (default 1/√E), enable_gqa
    (groups of query heads share a key and value head), return_lse (old) or return_aux (an AuxRequest: return (output,
    AuxOutput)), kernel_options (settings of GPU kernels; the result depends on none). Result (B, H, L, V); a query that
    sees nothing gets zeros. ValueError, RuntimeError or NotImplementedError for shapes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html

    >>> import minigrad as mg
    >>> from minigrad.nn.attention.flex_attention import flex_attention
    >>> x = mg.arange(3.0).reshape(1, 1, 3, 1)
    >>> flex_attention(x, x, x, score_mod=lambda score, b, h, q, k: mg.where(q == k, 0.0, -mg.inf)).flatten()
    tensor([0., 1., 2.])
    """
    _check(query, key, value, enable_gqa, block_mask)
    if return_lse and return_aux is not None:
        raise ValueError("Cannot specify both return_lse and return_aux: use return_aux=AuxRequest(lse=True)")
    if return_lse:
        warnings.warn("return_lse is deprecated: use return_aux=AuxRequest(lse=True)", FutureWarning, stacklevel=2)
    kind = query.dtype
    wide = query.float() if query.element_size() < 4 else query  # products, softmax and sums in float32
    query, key, value = wide, key.to(wide.dtype), value.to(wide.dtype)
    if enable_gqa:
        key, value = (one.repeat_interleave(query.size(1) // one.size(1), 1) for one in (key, value))
    scale = 1 / math.sqrt(query.size(-1)) if scale is None else scale
    scores = (query @ key.transpose(-2, -1)) * scale
    hidden = full((), -math.inf, dtype=scores.dtype, device=scores.device)
    if score_mod is not None:
        scores = _everywhere(score_mod, tuple(scores.shape), scores.device, scores).to(scores.dtype)
    if block_mask is not None:
        scores = where(block_mask._allowed(scores.shape[-2:], scores.device), scores, hidden)
    seeing = (scores.detach() > -math.inf).any(-1, keepdim=True) if scores.size(-1) else None
    if seeing is not None and not bool(seeing.all()):
        weights = where(seeing, softmax(where(seeing, scores, 0.0), -1), 0.0)
    else:
        weights = softmax(scores, -1)
    output = (weights @ value).to(kind)
    if not return_lse and return_aux is None:
        return output
    asked = AuxRequest(lse=True) if return_aux is None else return_aux
    lse = scores.logsumexp(-1) if asked.lse else None
    if return_aux is None:
        return output, lse
    return output, AuxOutput(lse, scores.amax(-1) if asked.max_scores else None)

