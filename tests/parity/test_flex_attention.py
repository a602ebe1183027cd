"""flex_attention and its masks against PyTorch's: outputs, pictures of masks, classes of errors."""

import importlib

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import minigrad as mg  # noqa: E402

THEIRS = importlib.import_module("torch.nn.attention.flex_attention")
OURS = importlib.import_module("minigrad.nn.attention.flex_attention")
DRAW = np.random.default_rng(0)
QUERY, KEY, VALUE = (DRAW.standard_normal((2, 2, 6, 4)) for _ in range(3))
TABLE, ROWS, DOCUMENTS = DRAW.standard_normal((2, 6)), DRAW.standard_normal((6, 3)), np.array([0, 0, 1, 1, 1, 2])

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def without_compiling(monkeypatch):
    monkeypatch.setattr(THEIRS, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)


def mods(t):
    """Return {name: (score_mod, mask_mod)}."""
    table, rows, document = t.tensor(TABLE), t.tensor(ROWS), t.tensor(DOCUMENTS)
    return {
        "none": (None, None),
        "alibi": (lambda s, b, h, q, k: s + (k - q) * 0.1 * (h + 1), None),
        "table": (lambda s, b, h, q, k: s + table[h, q], None),
        "table of tables": (lambda s, b, h, q, k: s + table[h][k], None),
        "rows": (lambda s, b, h, q, k: s + (rows[q] * rows[k]).sum(), None),
        "softcap": (lambda s, b, h, q, k: t.tanh(s / 2) * 2, None),
        "hidden": (lambda s, b, h, q, k: t.where(q >= k, s, -float("inf")), None),
        "causal": (None, lambda b, h, q, k: q >= k),
        "documents": (None, lambda b, h, q, k: document[q] == document[k]),
        "window": (lambda s, b, h, q, k: s * 2, lambda b, h, q, k: (q >= k) & (q - k < 2)),
        "blind": (None, lambda b, h, q, k: k < q),
        "heads": (None, lambda b, h, q, k: (h == 0) | (q > k + b)),
    }


@pytest.mark.parametrize("name", mods(mg))
def test_outputs(name):
    results = []
    for t, flex in ((torch, THEIRS), (mg, OURS)):
        score_mod, mask_mod = mods(t)[name]
        three = [t.tensor(one) for one in (QUERY, KEY, VALUE)]
        block_mask = mask_mod and flex.create_block_mask(mask_mod, 2, 2, 6, 6, device="cpu", BLOCK_SIZE=2)
        found = [flex.flex_attention(*three, score_mod, block_mask).numpy()]
        if block_mask:
            found += [getattr(block_mask, part).numpy() for part in ("kv_num_blocks", "kv_indices", "q_num_blocks",
                      "q_indices", "full_kv_num_blocks", "full_kv_indices", "full_q_num_blocks", "full_q_indices")]
            found += [block_mask.to_dense().numpy(), block_mask._adjust(4, 5).to_dense().numpy()]
            found += [str(block_mask), repr(block_mask).replace("torch", "minigrad"), str(block_mask[0, 1])]
            found += [block_mask.shape, block_mask.sparsity(), len(block_mask.as_tuple())]
            found += [len(block_mask.as_tuple(flatten=False)), block_mask.to_string(grid_size=2, limit=1)]
        results.append(found)
    for expected, found in zip(*results, strict=True):
        if isinstance(expected, np.ndarray):
            assert expected.dtype == found.dtype
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
        else:
            assert expected == found


def ones(t, *shape):
    return t.ones(shape)


def causal(b, h, q, k):
    return q >= k


ERRORS = {
    "dimensions": lambda t, f: f.flex_attention(*[ones(t, 2, 3, 4)] * 3),
    "heads": lambda t, f: f.flex_attention(ones(t, 1, 2, 3, 4), *[ones(t, 1, 1, 3, 4)] * 2),
    "groups": lambda t, f: f.flex_attention(ones(t, 1, 3, 3, 4), *[ones(t, 1, 2, 3, 4)] * 2, enable_gqa=True),
    "batch": lambda t, f: f.flex_attention(ones(t, 2, 1, 3, 4), *[ones(t, 1, 1, 3, 4)] * 2),
    "embedding": lambda t, f: f.flex_attention(ones(t, 1, 1, 3, 4), *[ones(t, 1, 1, 3, 5)] * 2),
    "mask too small": lambda t, f: f.flex_attention(
        *[ones(t, 1, 1, 9, 4)] * 3, block_mask=f.create_block_mask(causal, 1, 1, 4, 4, device="cpu")),
    "mask too large": lambda t, f: f.flex_attention(
        *[ones(t, 1, 1, 2, 4)] * 3, block_mask=f.create_block_mask(causal, 1, 1, 4, 4, device="cpu")),
    "sliced": lambda t, f: f.flex_attention(
        *[ones(t, 1, 1, 4, 4)] * 3, block_mask=f.create_block_mask(causal, 1, 1, 4, 4, device="cpu")[0]),
    "both": lambda t, f: f.flex_attention(
        *[ones(t, 1, 1, 4, 4)] * 3, return_lse=True, return_aux=f.AuxRequest(lse=True)),
    "no function": lambda t, f: f.and_masks(causal, 3),
    "arguments": lambda t, f: f.create_mask(lambda q, k: q >= k, 1, 1, 4, 4, device="cpu"),
    "score_mod as mask": lambda t, f: f.create_block_mask(lambda s, b, h, q, k: s, 1, 1, 4, 4, device="cpu"),
    "one dimension": lambda t, f: f.BlockMask.from_kv_blocks(t.tensor(1), t.tensor([1])),
    "half of full": lambda t, f: f.BlockMask.from_kv_blocks(ones(t, 1, 1, 1), ones(t, 1, 1, 1, 1), ones(t, 1, 1, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        ERRORS[name](torch, THEIRS)
    with pytest.raises(type(theirs.value)):
        ERRORS[name](mg, OURS)


def test_masks_of_functions():
    for mod in (causal, lambda s, b, h, q, k: s - 1, lambda b, h, q, k: (q + h) % 2 == 0):
        expected = THEIRS.create_mask(mod, 2, 3, 4, 5, device="cpu").numpy()
        np.testing.assert_array_equal(OURS.create_mask(mod, 2, 3, 4, 5).numpy(), expected)
