"""Cases of reshaping, joining, splitting and reordering; of copies and moves between formats and devices."""

import numpy as np

import minigrad as mg
from minigrad.op import OPS
from tests.ops.table import case


def op(name, **params):
    """Return the registered op as a function of tensors."""
    return lambda *tensors: OPS[name](*tensors, **params)


def windows(x, size, step):
    """Return windows along the first dimension, their elements last."""
    return np.lib.stride_tricks.sliding_window_view(x, size, 0)[::step]


def tracked_fill(x):
    """Return x filled in place after it was used."""
    y = x * 2
    return y.fill_(1.5) + x


def tracked_copy(x, source):
    """Return x after another tensor was copied into it in place."""
    return (x * 2).copy_(source) * x


VIEWS = {
    "reshape": [
        case(lambda x: mg.reshape(x, (3, -1)), (2, 3), reference=lambda x: x.reshape(3, 2)),
        case(mg.flatten, (2, 3, 2), reference=np.ravel),
        case(lambda x: mg.reshape(x, (1, 1)), (), reference=lambda x: x.reshape(1, 1)),
        case(lambda x: x.unflatten(1, (2, 2)), (3, 4), reference=lambda x: x.reshape(3, 2, 2)),
        case(lambda x: mg.reshape(x, (0, 5)), (2, 0), reference=lambda x: x.reshape(0, 5)),
    ],
    "view": [
        case(lambda x: x.contiguous().view(3, 2), (2, 3), reference=lambda x: x.reshape(3, 2)),
        case(lambda x: x.view(2, 1, 3), (2, 3), reference=lambda x: x[:, None]),
    ],
    "unsqueeze": [
        case(lambda x: mg.unsqueeze(x, 1), (2, 3), reference=lambda x: x[:, None]),
        case(lambda x: mg.unsqueeze(x, -1), (), reference=lambda x: x[None]),
    ],
    "squeeze": [
        case(mg.squeeze, (1, 2, 1), reference=np.squeeze),
        case(lambda x: mg.squeeze(x, 0), (1, 2, 1), reference=lambda x: x[0]),
    ],
    "transpose": [
        case(lambda x: mg.transpose(x, 0, -1), (2, 3, 4), reference=lambda x: x.swapaxes(0, 2)),
        case(lambda x: x.t(), (2, 3), reference=np.transpose),
    ],
    "permute": [
        case(lambda x: mg.permute(x, (2, 0, 1)), (2, 3, 4), reference=lambda x: x.transpose(2, 0, 1)),
        case(lambda x: mg.movedim(x, 0, -1), (2, 3, 4), reference=lambda x: np.moveaxis(x, 0, -1)),
    ],
    "diagonal": [
        case(mg.diagonal, (3, 4), reference=np.diagonal),
        case(lambda x: mg.diagonal(x, -1, 2, 0), (2, 3, 4), reference=lambda x: np.diagonal(x, -1, 2, 0)),
        case(mg.trace, (3, 3), reference=np.trace),
    ],
    "undiagonal": [
        case(
            op("undiagonal", shape=(3, 4), offset=1, dim1=0, dim2=1),
            (3,),
            reference=lambda g: np.eye(3, 4, 1) * g[:, None],
        ),
        case(op("undiagonal", shape=(2, 2, 3), offset=0, dim1=0, dim2=1), (3, 2)),
    ],
    "unfold_windows": [
        case(lambda x: x.unfold(0, 3, 2), (7, 2), reference=lambda x: windows(x, 3, 2)),
        case(lambda x: x.unfold(-1, 2, 1), (2, 4), reference=lambda x: windows(x.T, 2, 1).swapaxes(0, 1)),
    ],
    "fold_windows": [case(op("fold_windows", shape=(7, 2), dim=0, size=3, step=2), (3, 2, 3))],
    "slice": [
        case(lambda x: mg.narrow(x, 1, 1, 2), (2, 4), reference=lambda x: x[:, 1:3]),
        case(lambda x: mg.tensor_split(x, 3), (5,), reference=lambda x: tuple(np.array_split(x, 3))),
        case(op("slice", dim=0, start=1, stop=6, step=2), (7, 2), reference=lambda x: x[1:6:2]),
    ],
    "unslice": [
        case(op("unslice", shape=(5, 2), dim=0, start=1, stop=5, step=2), (2, 2)),
        case(
            op("unslice", shape=(2, 3), dim=1, start=0, stop=2, step=1),
            (2, 2),
            reference=lambda g: np.pad(g, ((0, 0), (0, 1))),
        ),
    ],
    "select": [
        case(lambda x: mg.select(x, 1, -1), (2, 3, 2), reference=lambda x: x[:, -1]),
        case(lambda x: mg.select(x, 0, 1), (3,), reference=lambda x: x[1]),
    ],
    "unselect": [
        case(
            op("unselect", shape=(2, 3), dim=1, index=2), (2,), reference=lambda g: np.pad(g[:, None], ((0, 0), (2, 0)))
        )
    ],
}

JOINED = {
    "cat": [
        case(lambda a, b: mg.cat((a, b), 1), (2, 3), (2, 1), reference=lambda a, b: np.concatenate((a, b), 1)),
        case(lambda a, b: mg.cat((a, b, a)), (2,), (0,), reference=lambda a, b: np.concatenate((a, b, a))),
        case(lambda a, b: mg.hstack((a, b)), (2,), (3,), reference=lambda a, b: np.hstack((a, b))),
        case(lambda a, b: mg.vstack((a, b)), (2,), (2,), reference=lambda a, b: np.vstack((a, b))),
    ],
    "stack": [
        case(lambda a, b: mg.stack((a, b), -1), (2, 3), (2, 3), reference=lambda a, b: np.stack((a, b), -1)),
        case(lambda a, b: mg.stack((a, b)), (), (), reference=lambda a, b: np.stack((a, b))),
    ],
    "split": [
        case(lambda x: mg.split(x, 2), (5, 2), reference=lambda x: (x[:2], x[2:4], x[4:])),
        case(lambda x: mg.split(x, (1, 3), 1), (2, 4), reference=lambda x: (x[:, :1], x[:, 1:])),
        case(lambda x: mg.chunk(x, 2, -1)[1], (2, 4), reference=lambda x: x[:, 2:]),
    ],
    "unbind": [
        case(lambda x: mg.unbind(x, 1), (2, 3), reference=lambda x: tuple(x.T)),
        case(lambda x: [row * 2 for row in x][1], (2, 3), reference=lambda x: x[1] * 2),
    ],
}

REORDERED = {
    "flip": [
        case(lambda x: mg.flip(x, (0, 2)), (2, 3, 2), reference=lambda x: np.flip(x, (0, 2))),
        case(mg.fliplr, (2, 3), reference=np.fliplr),
    ],
    "roll": [
        case(lambda x: mg.roll(x, (1, -1), (0, 1)), (2, 3), reference=lambda x: np.roll(x, (1, -1), (0, 1))),
        case(lambda x: mg.roll(x, 2), (2, 3), reference=lambda x: np.roll(x, 2)),
    ],
    "tril": [
        case(mg.tril, (3, 4), reference=np.tril),
        case(lambda x: mg.tril(x, -1), (2, 3, 3), reference=lambda x: np.tril(x, -1)),
    ],
    "triu": [
        case(mg.triu, (4, 3), reference=np.triu),
        case(lambda x: mg.triu(x, 1), (2, 3, 3), reference=lambda x: np.triu(x, 1)),
    ],
    "repeat": [
        case(lambda x: x.repeat(2, 1, 3), (2, 3), reference=lambda x: np.tile(x, (2, 1, 3))),
        case(lambda x: mg.tile(x, (2,)), (), reference=lambda x: np.tile(x, 2)),
    ],
    "sum_even_dims": [case(op("sum_even_dims"), (2, 3, 2, 4), reference=lambda x: x.sum((0, 2)))],
    "spread_even_dims": [
        case(
            op("spread_even_dims", shape=(2, 3, 2, 4)),
            (3, 4),
            reference=lambda g: np.broadcast_to(g[:, None], (2, 3, 2, 4)),
        )
    ],
}

COPIES = {
    "contiguous": [case(lambda x: x.mT.contiguous(), (2, 3), reference=np.transpose)],
    "clone": [case(lambda x: x.clone(), (2, 3), reference=np.copy), case(mg.clone, (), reference=np.copy)],
    "to_device": [case(lambda x: OPS["to_device"](x, target=x.device, source=x.device), (2, 3), reference=np.copy)],
    "to_memory_format": [
        case(lambda x: x.to(memory_format=mg.channels_last), (2, 3, 2, 2), reference=np.copy),
        case(
            lambda x: x.mT.contiguous(memory_format=mg.channels_last),
            (1, 2, 2, 3),
            reference=lambda x: x.swapaxes(2, 3),
        ),
    ],
    "fill": [
        case(op("fill", value=2.5), (2, 3), reference=lambda x: np.full_like(x, 2.5)),
        case(tracked_fill, (2, 3), reference=lambda x: 1.5 + x),
    ],
    "copy": [
        case(op("copy"), (2, 3), (3,), reference=lambda x, source: np.broadcast_to(source, (2, 3))),
        case(tracked_copy, (2, 3), (2, 1), reference=lambda x, source: source * x),
    ],
    "refilled": [case(mg.bernoulli, (3, 4), domain=(0.1, 0.9)), case(mg.poisson, (4,), domain=(0.5, 3))],
}

CASES = {**VIEWS, **JOINED, **REORDERED, **COPIES}
