"""flex_attention: gradients of scores that functions of positions change, and masks by blocks."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn.attention.flex_attention import (
    AuxRequest,
    BlockMask,
    and_masks,
    create_block_mask,
    create_mask,
    flex_attention,
    noop_mask,
    or_masks,
)

TABLE = mg.tensor(np.sin(np.arange(10.0)).reshape(2, 5))
ROWS = mg.tensor(np.cos(np.arange(15.0)).reshape(5, 3))
DOCUMENTS = mg.tensor([0, 0, 1, 1, 2])
MODS = {
    "position": lambda s, b, h, q, k: s + (k - q) * 0.1 * (h + 1),
    "table": lambda s, b, h, q, k: s + TABLE[h, q],
    "table of tables": lambda s, b, h, q, k: s + TABLE[h][k],
    "sum over a row": lambda s, b, h, q, k: s + (ROWS[q] * ROWS[k]).sum(),
    "branch": lambda s, b, h, q, k: s if q >= k else s * 0.5,
    "softcap": lambda s, b, h, q, k: 2 * (s / 2).tanh(),
    "hidden": lambda s, b, h, q, k: mg.where(q >= k, s, -mg.inf),
}


def inputs(lengths=(5, 5), heads=(2, 2), seed=0):
    draw = np.random.default_rng(seed)
    shapes = (1, heads[0], lengths[0], 2), (1, heads[1], lengths[1], 2), (1, heads[1], lengths[1], 3)
    return [mg.tensor(draw.standard_normal(shape), requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("name", MODS)
def test_score_mod(name):
    """First and second derivatives, and the value at every position, by a loop over them."""
    three = inputs((2, 3))
    assert mg.autograd.gradcheck(lambda *three: flex_attention(*three, MODS[name]), three)
    assert mg.autograd.gradgradcheck(lambda *three: flex_attention(*three, MODS[name]), three)
    query, key, value = (one.detach() for one in three)
    scores = query @ key.mT / 2**0.5
    with mg.no_grad():
        for place in np.ndindex(*scores.shape):
            scores[place] = MODS[name](scores[place].clone(), *map(mg.tensor, place))
    expected = scores.softmax(-1) @ value
    np.testing.assert_allclose(flex_attention(query, key, value, MODS[name]).numpy(), expected.numpy(), rtol=1e-9)


def test_gradient_of_what_a_function_captures():
    bias = mg.tensor(TABLE.numpy().copy(), requires_grad=True)
    three = [one.detach() for one in inputs()]

    def attention(bias):
        return flex_attention(*three, lambda s, b, h, q, k: s + bias[h, k - q]), flex_attention(
            *three, lambda s, b, h, q, k: s + bias[h][k])  # fmt: skip

    assert mg.autograd.gradcheck(attention, (bias,))


@pytest.mark.parametrize("size", [1, 2, (2, 3), 128])
@pytest.mark.parametrize("separate", [False, True])
def test_block_mask(size, separate):
    """Attention with a BlockMask is attention with the mask; queries that see nothing get zeros."""
    masks = {
        "causal": lambda b, h, q, k: q >= k,
        "documents": lambda b, h, q, k: DOCUMENTS[q] == DOCUMENTS[k],
        "strict": lambda b, h, q, k: q > k,
        "heads": lambda b, h, q, k: (h == 0) | (q == k),
        "all": noop_mask,
    }
    three = inputs()
    for mask_mod in masks.values():
        blocks = create_block_mask(mask_mod, None, 2, 5, 5, BLOCK_SIZE=size, separate_full_blocks=separate)
        mask = create_mask(mask_mod, None, 2, 5, 5)
        found = flex_attention(*three, block_mask=blocks)
        scores = (three[0] @ three[1].mT / 2**0.5).masked_fill(~mask, -mg.inf)
        expected = scores.softmax(-1).nan_to_num(0.0) @ three[2]
        np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-9)
        assert mg.autograd.gradcheck(lambda *three, blocks=blocks: flex_attention(*three, block_mask=blocks), three)
        assert blocks.shape == (1, 2, 5, 5) and blocks.numel() == 50
        assert size != 1 or blocks.sparsity() == pytest.approx(100 * (1 - mask.float().mean().item()))


def test_blocks_left_out_are_hidden():
    """Blocks listed by hand: those that are not listed are hidden, full ones are not asked for."""
    count, columns = mg.tensor([[[1, 1]]]).int(), mg.tensor([[[[1, 0], [0, 1]]]]).int()
    blocks = BlockMask.from_kv_blocks(count, columns, BLOCK_SIZE=2)
    assert blocks.to_dense().tolist() == [[[[0, 1], [1, 0]]]] == blocks.to("cpu").to_dense().tolist()
    value = mg.eye(4)[None, None]
    flat = mg.zeros(1, 1, 4, 2)
    assert flex_attention(flat, flat, value, block_mask=blocks)[0, 0, 0].tolist() == [0.0, 0.0, 0.5, 0.5]
    full = BlockMask.from_kv_blocks(count * 0, columns, count, columns, 2, lambda b, h, q, k: q < 0)
    assert flex_attention(flat, flat, value, block_mask=full)[0, 0, 3].tolist() == [0.5, 0.5, 0.0, 0.0]


def test_combined_masks():
    causal, near = (lambda b, h, q, k: q >= k), (lambda b, h, q, k: (q - k).abs() < 2)
    masks = [create_mask(one, 1, 1, 4, 4) for one in (causal, near, and_masks(causal, near), or_masks(causal, near))]
    assert mg.equal(masks[0] & masks[1], masks[2]) and mg.equal(masks[0] | masks[1], masks[3])
    assert mg.equal(create_mask(MODS["hidden"], 1, 1, 5, 5), create_mask(causal, 1, 1, 5, 5))


def test_what_is_returned():
    query, key, value = inputs(heads=(4, 2))
    output, aux = flex_attention(query, key, value, enable_gqa=True, return_aux=AuxRequest(lse=True, max_scores=True))
    scores = query @ key.repeat_interleave(2, 1).mT / 2**0.5
    np.testing.assert_allclose(aux.lse.detach().numpy(), scores.logsumexp(-1).detach().numpy())
    np.testing.assert_allclose(aux.max_scores.detach().numpy(), scores.amax(-1).detach().numpy())
    with pytest.warns(FutureWarning, match="return_lse"):
        again, lse = flex_attention(query, key, value, enable_gqa=True, return_lse=True)
    assert mg.equal(again, output) and mg.equal(lse, aux.lse)
    half = flex_attention(*[one.detach().bfloat16() for one in (query, key, value)], enable_gqa=True)
    assert half.dtype is mg.bfloat16


def test_sliced_masks():
    whole = create_block_mask(lambda b, h, q, k: q >= k, 2, 3, 8, 8, BLOCK_SIZE=2)
    part = whole[1, 0:2]
    assert part.shape == (1, 2, 8, 8)
    with pytest.raises(RuntimeError, match="sliced BlockMask"):
        flex_attention(*[mg.ones(1, 2, 8, 2)] * 3, block_mask=part)
    part.mask_mod = whole.mask_mod
    assert flex_attention(*[mg.ones(1, 2, 8, 2)] * 3, block_mask=part).shape == (1, 2, 8, 2)
    smaller = whole._adjust(5, 6)
    assert smaller.shape == (2, 3, 5, 6) and smaller.to_dense().shape == (2, 3, 3, 3)
    with pytest.raises(NotImplementedError, match="compute_dq_write_order"):
        create_block_mask(noop_mask, 1, 1, 4, 4, compute_dq_write_order=True)
