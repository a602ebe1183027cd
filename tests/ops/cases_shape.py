"""Cases of the ops that reshape, permute, expand, join, split, repeat and reorder."""

import numpy as np

import minigrad as mg
from minigrad.op import OPS
from minigrad.ops import layout
from tests.ops.table import case

CPU = mg.device("cpu")


def op(name, **params):
    return lambda *tensors: OPS[name](*tensors, **params)


CASES = {
    "reshape": [
        case(lambda x: x.reshape(2, -1), (3, 4), reference=lambda x: x.reshape(2, -1)),
        case(lambda x: x.t().reshape(12), (3, 4), reference=lambda x: x.T.reshape(12)),
        case(lambda x: x.reshape(1), ()),
    ],
    "view": [case(lambda x: OPS["view"](x.contiguous(), shape=(4, 3)), (2, 6), reference=lambda x: x.reshape(4, 3))],
    "unsqueeze": [case(lambda x: x.unsqueeze(1), (3, 2), reference=lambda x: x[:, None])],
    "squeeze": [case(lambda x: x.squeeze(), (1, 3, 1), reference=np.squeeze), case(lambda x: x.squeeze(2), (1, 3, 1))],
    "transpose": [case(lambda x: x.transpose(0, 2), (2, 3, 4), reference=lambda x: x.swapaxes(0, 2))],
    "permute": [
        case(lambda x: x.permute(2, 0, 1), (2, 3, 4), reference=lambda x: x.transpose(2, 0, 1)),
        case(lambda x: x.permute(-1, 0, -2), (2, 3, 4), reference=lambda x: x.transpose(2, 0, 1)),
    ],
    "diagonal": [
        case(lambda x: x.diagonal(1), (3, 4), reference=lambda x: x.diagonal(1)),
        case(lambda x: x.diagonal(-1, 2, 0), (3, 2, 4), reference=lambda x: x.diagonal(-1, 2, 0)),
    ],
    "undiagonal": [case(lambda x: mg.diag_embed(x, 1), (2, 3)), case(lambda x: mg.diag(x), (3,), reference=np.diag)],
    "unfold_windows": [
        case(lambda x: x.unfold(0, 3, 2), (7, 2)),
        case(lambda x: x.unfold(1, 2, 1), (2, 4)),
        case(lambda x: x.unfold(0, 1, 1), ()),
    ],
    "fold_windows": [
        case(op("fold_windows", shape=(7, 2), dim=0, size=3, step=2), (3, 2, 3)),
        case(op("fold_windows", shape=(), dim=0, size=1, step=1), (1,)),
    ],
    "slice": [
        case(op("slice", dim=1, start=1, stop=4, step=2), (2, 5), reference=lambda x: x[:, 1:4:2]),
        case(lambda x: x.narrow(0, 1, 2), (3, 2), reference=lambda x: x[1:3]),
    ],
    "unslice": [case(op("unslice", shape=(2, 5), dim=1, start=1, stop=4, step=2), (2, 2))],
    "select": [case(lambda x: x.select(1, -1), (2, 3), reference=lambda x: x[:, -1])],
    "unselect": [case(op("unselect", shape=(2, 3), dim=1, index=2), (2,))],
    "cat": [
        case(lambda a, b: mg.cat([a, b], 1), (2, 3), (2, 1), reference=lambda a, b: np.concatenate([a, b], 1)),
        case(lambda a, b: mg.cat([a, b, a]), (2,), (3,)),
    ],
    "stack": [
        case(lambda a, b: mg.stack([a, b], -1), (2, 3), (2, 3), reference=lambda a, b: np.stack([a, b], -1)),
        case(lambda a: mg.stack([a, a]), ()),
    ],
    "split": [
        case(lambda x: x.split(2, 1), (2, 5), reference=lambda x: tuple(np.split(x, [2, 4], 1))),
        case(lambda x: x.split([1, 0, 2]), (3, 2)),
    ],
    "unbind": [case(lambda x: x.unbind(1), (2, 3), reference=lambda x: tuple(x.T)), case(lambda x: tuple(x), (2,))],
    "flip": [case(lambda x: x.flip(0, -1), (2, 3, 2), reference=lambda x: np.flip(x, (0, 2)))],
    "roll": [
        case(lambda x: x.roll((1, -2), (0, 1)), (3, 4), reference=lambda x: np.roll(x, (1, -2), (0, 1))),
        case(lambda x: x.roll(5), (3, 2), reference=lambda x: np.roll(x, 5)),
    ],
    "tril": [case(lambda x: x.tril(1), (2, 3, 3), reference=lambda x: np.tril(x, 1))],
    "triu": [case(lambda x: x.triu(-1), (4, 3), reference=lambda x: np.triu(x, -1))],
    "contiguous": [case(lambda x: x.transpose(0, 1).contiguous().contiguous(), (2, 3), reference=lambda x: x.T)],
    "clone": [case(lambda x: x.clone(), (2, 3), reference=lambda x: x)],
    "repeat": [
        case(lambda x: x.repeat(2, 1, 3), (2, 2), reference=lambda x: np.tile(x, (2, 1, 3))),
        case(lambda x: x.tile(2), (2, 2), reference=lambda x: np.tile(x, 2)),
    ],
    "sum_even_dims": [case(op("sum_even_dims"), (2, 3, 2, 2), reference=lambda x: x.sum((0, 2)))],
    "spread_even_dims": [case(op("spread_even_dims", shape=(2, 3, 4, 2)), (3, 2))],
    "to_memory_format": [
        case(lambda x: x.contiguous(memory_format=layout.channels_last), (2, 3, 2, 2), reference=lambda x: x)
    ],
    "to_device": [case(op("to_device", target=CPU, source=CPU), (2, 2), reference=lambda x: x)],
    "copy": [case(op("copy"), (2, 3), (3,), reference=lambda x, y: np.broadcast_to(y, x.shape))],
    "fill": [case(op("fill", value=2.5), (2, 3), reference=lambda x: np.full(x.shape, 2.5))],
    "refilled": [case(lambda x: OPS["refilled"](x, values=np.ones_like(x.array)), (2, 3), reference=np.ones_like)],
}
