"""Cases of linear maps, normalisation, losses, embedding, dropout and module hooks."""

import numpy as np

import minigrad as mg
from minigrad.kernels import norm
from minigrad.op import OPS
from minigrad.ops.cross_entropy import _without_a_look
from minigrad.ops.dropout import fused_dropout, keep_scaled
from tests.ops.table import case

F = mg.nn.functional

CLASSES = [2, 0, 1, 2]
SOME_IGNORED = [2, -100, 1, 2]
SPATIAL = [[2, 0, 1], [1, -100, 0]]
ROWS = [[0, 3, 3], [1, 0, 3]]


def weight_like(x):
    return mg.tensor([0.5, 2.0, 1.25], dtype=x.dtype)


def fused(name, setting=None, reduction="none"):
    return lambda x, y: OPS[name](x, y, reduction=reduction, setting=setting)


def log_softmax(x):
    x = x - x.max(1, keepdims=True)
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def nll(x, target):
    return -x[np.arange(len(target)), target]


def standardised(x, axis, eps):
    return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps)


def huber(x, y, delta):
    d = np.abs(x - y)
    return np.where(d <= delta, d * d / 2, delta * (d - delta / 2))


def batch_norm(x, w, b):
    return F.batch_norm(x, None, None, w, b, training=True)


def normalized_relu(x, w, b, residual):
    """Run the op that batch norm with ReLU is on a GPU, with statistics taken as there."""
    axes, affine = (0, 2), (1, x.shape[1], 1)
    mean, rstd = norm.statistics(x.detach().array, axes, 1e-5)
    return OPS["normalization_relu"](
        x, w, b, residual, mean, rstd, view=x.shape, affine=affine, axes=axes, eps=1e-5, fixed=False, centred=True
    )


def unseen(x, target, reduction, *, weighted=False, logits=True, smoothing=0.0):
    """Run the op that losses of classes are on a GPU, on any device."""
    weight = weight_like(x) if weighted else None
    call = _without_a_look
    return call("cross_entropy", x, mg.tensor(target, device=x.device), weight, -100, reduction, logits, smoothing)


def evaluated_batch_norm(x, w, b):
    statistics = mg.tensor([0.5, -1.0, 0.25], dtype=x.dtype), mg.tensor([2.0, 0.5, 1.0], dtype=x.dtype)
    return F.batch_norm(x, *statistics, w, b)


def ctc(x):
    targets = mg.tensor([[1, 1, 2], [2, 1, 0]])
    return F.ctc_loss(x.log_softmax(2), targets, mg.tensor([6, 5]), mg.tensor([3, 2]), reduction="none")


def sequence(kind, lengths=None, **settings):
    """Run a recurrent layer with fixed weights over x, packed if there are lengths, from a state h (and c = h / 2)."""

    def run(x, h):
        layer = getattr(mg.nn, kind)(3, 2, **settings).to(x.device, x.dtype).requires_grad_(False)
        for number, weight in enumerate(layer.parameters()):
            weight.copy_(mg.cos(mg.arange(weight.numel()) + number).view_as(weight))
        x = x if lengths is None else mg.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        output, state = layer(x, (h, h / 2) if kind == "LSTM" else h)
        output = output if lengths is None else mg.nn.utils.rnn.pad_packed_sequence(output)[0]
        return (output, *state) if kind == "LSTM" else (output, state)

    return run


def step(name):
    return lambda *inputs: OPS[name](*inputs)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step(gates, c):
    i, f, g, o = np.split(gates, 4, 1)
    opened = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    new_c = opened[1] * c + opened[0] * opened[2]
    return opened[3] * np.tanh(new_c), new_c, np.concatenate(opened, 1)


def gru_step(x_gates, h_gates, h):
    (xr, xz, xn), (hr, hz, hn) = np.split(x_gates, 3, 1), np.split(h_gates, 3, 1)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + r * hn)
    return (1 - z) * n + z * h, np.concatenate([r, z, n], 1)


CASES = {
    "lstm_step": [
        case(step("lstm_step"), (3, 8), (3, 2), reference=lstm_step),
        case(sequence("LSTM", lengths=[2, 4], bidirectional=True), (4, 2, 3), (2, 2, 2)),
    ],
    "lstm_sequence": [
        case(sequence("LSTM"), (4, 2, 3), (1, 2, 2)),
        case(sequence("LSTM", bidirectional=True), (3, 2, 3), (2, 2, 2)),
        case(sequence("LSTM", num_layers=2), (1, 1, 3), (2, 1, 2)),
    ],
    "gru_step": [
        case(step("gru_step"), (3, 6), (3, 6), (3, 2), reference=gru_step),
        case(sequence("GRU"), (4, 2, 3), (1, 2, 2)),
    ],
    "linear": [
        case(F.linear, (4, 3), (2, 3), (2,), reference=lambda x, w, b: x @ w.T + b),
        case(F.linear, (2, 4, 3), (2, 3), reference=lambda x, w: x @ w.T),
        case(F.linear, (3,), (2, 3), (2,), reference=lambda x, w, b: x @ w.T + b),
        case(F.linear, (0, 3), (2, 3), (2,), reference=lambda x, w, b: x @ w.T + b),
        case(F.bilinear, (2, 3), (2, 4), (5, 3, 4), reference=lambda a, b, w: np.einsum("ni,oij,nj->no", a, w, b)),
    ],
    "linear_input": [case(lambda g, w: OPS["linear_input"](g, w), (2, 4, 3), (3, 5), reference=lambda g, w: g @ w)],
    "linear_weight": [
        case(
            lambda g, x: OPS["linear_weight"](g, x),
            (2, 4, 3),
            (2, 4, 5),
            reference=lambda g, x: np.einsum("abo,abi->oi", g, x),
        )
    ],
    "normalization": [
        case(batch_norm, (5, 3), (3,), (3,), reference=lambda x, w, b: standardised(x, 0, 1e-5) * w + b),
        case(batch_norm, (3, 3, 2, 2), (3,), (3,)),
        case(evaluated_batch_norm, (2, 3, 2), (3,), (3,)),
        case(lambda x: F.instance_norm(x), (2, 3, 4), reference=lambda x: standardised(x, 2, 1e-5)),
        case(lambda x, w, b: F.group_norm(x, 2, w, b), (2, 4, 3), (4,), (4,)),
        case(
            lambda x, w, b: F.layer_norm(x, (4,), w, b),
            (2, 3, 4),
            (4,),
            (4,),
            reference=lambda x, w, b: standardised(x, -1, 1e-5) * w + b,
        ),
        case(
            lambda x, w: F.rms_norm(x, (2, 2), w, 1e-3),
            (3, 2, 2),
            (2, 2),
            reference=lambda x, w: x / np.sqrt((x * x).mean((1, 2), keepdims=True) + 1e-3) * w,
        ),
    ],
    "normalization_relu": [
        case(
            lambda x, w, b: normalized_relu(x, w, b, None),
            (5, 3, 2),
            (3,),
            (3,),
            reference=lambda x, w, b: np.maximum(
                standardised(x, (0, 2), 1e-5) * w[None, :, None] + b[None, :, None], 0
            ),
        ),
        case(normalized_relu, (3, 3, 4), (3,), (3,), (3, 3, 4)),
        case(lambda x, r: normalized_relu(x, None, None, r), (3, 2, 4), (3, 2, 4)),
    ],
    "unseen_loss": [
        case(lambda x: unseen(x, CLASSES, "mean"), (4, 3), reference=lambda x: nll(log_softmax(x), CLASSES).mean()),
        case(lambda x: unseen(x, SOME_IGNORED, "mean", weighted=True, smoothing=0.1), (4, 3)),
        case(lambda x: unseen(x, SPATIAL, "none", logits=False), (2, 3, 3)),
        case(lambda x: unseen(x, SPATIAL, "sum", smoothing=0.2), (2, 3, 3)),
    ],
    "nll_loss": [
        case(lambda x: F.nll_loss(x, mg.tensor(CLASSES)), (4, 3), reference=lambda x: nll(x, np.array(CLASSES)).mean()),
        case(lambda x: F.nll_loss(x, mg.tensor(SPATIAL), weight_like(x), reduction="none"), (2, 3, 3)),
        case(lambda x: F.nll_loss(x, mg.tensor(SOME_IGNORED), weight_like(x), reduction="sum"), (4, 3)),
    ],
    "nll_loss_gradient": [
        case(
            lambda g: OPS["nll_loss_gradient"](
                g,
                mg.tensor(CLASSES)[:, None],
                mg.ones(4, 1, dtype=g.dtype),
                view=(4, 3, 1),
                reduction="none",
                divisor=1.0,
                shape=(4,),
                input_shape=(4, 3),
            ),
            (4,),
        )
    ],
    "cross_entropy": [
        case(
            lambda x: F.cross_entropy(x, mg.tensor(CLASSES)),
            (4, 3),
            reference=lambda x: nll(log_softmax(x), np.array(CLASSES)).mean(),
        ),
        case(lambda x: F.cross_entropy(x, mg.tensor(SOME_IGNORED), weight_like(x)), (4, 3)),
        case(lambda x: F.cross_entropy(x, mg.tensor(SPATIAL), reduction="none"), (2, 3, 3)),
        case(
            lambda x: F.cross_entropy(x, mg.tensor(SPATIAL), weight_like(x), reduction="sum", label_smoothing=0.2),
            (2, 3, 3),
        ),
        case(lambda x: F.cross_entropy(x, mg.tensor(1), label_smoothing=0.1), (3,)),
    ],
    "mse_loss": [
        case(fused("mse_loss"), (3, 2), (3, 2), reference=lambda x, y: (x - y) ** 2),
        case(fused("mse_loss", reduction="mean"), (3, 2), (3, 2), reference=lambda x, y: ((x - y) ** 2).mean()),
    ],
    "l1_loss": [
        case(fused("l1_loss", reduction="sum"), (3, 2), (3, 2), reference=lambda x, y: np.abs(x - y).sum()),
    ],
    "huber_loss": [
        case(fused("huber_loss", 0.7), (3, 4), (3, 4), reference=lambda x, y: huber(x, y, 0.7)),
        case(lambda x, y: F.smooth_l1_loss(x, y, beta=0.5), (3, 4), (3, 4)),
    ],
    "clipped": [
        case(lambda x: OPS["clipped"](x, limit=0.9), (3, 4), reference=lambda x: x.clip(-0.9, 0.9)),
    ],
    "binary_cross_entropy": [
        case(
            fused("binary_cross_entropy", reduction="mean"),
            (3, 2),
            (3, 2),
            domain=(0.1, 0.9),
            reference=lambda x, y: -(y * np.log(x) + (1 - y) * np.log(1 - x)).mean(),
        )
    ],
    "bounded_reciprocal": [
        case(lambda x: OPS["bounded_reciprocal"](x, low=0.5), (3, 4), reference=lambda x: 1 / np.maximum(x, 0.5)),
    ],
    "negative_logit": [
        case(
            lambda x: OPS["negative_logit"](x),
            (3, 4),
            domain=(0.1, 0.9),
            reference=lambda x: np.log(1 - x) - np.log(x),
        )
    ],
    "binary_cross_entropy_with_logits": [
        case(
            fused("binary_cross_entropy_with_logits"),
            (3, 2),
            (3, 2),
            reference=lambda x, y: np.log1p(np.exp(x)) - x * y,
        ),
        case(lambda x, y, w: F.binary_cross_entropy_with_logits(x, y, pos_weight=w), (3, 2), (3, 2), (2,)),
    ],
    "embedding": [
        case(lambda w: F.embedding(mg.tensor(ROWS), w), (4, 2), reference=lambda w: w[np.array(ROWS)]),
        case(lambda w: F.embedding_bag(mg.tensor(ROWS), w, mode="max"), (4, 2), distinct=True),
        case(lambda w: F.embedding_bag(mg.tensor(ROWS), w), (4, 2), reference=lambda w: w[np.array(ROWS)].mean(1)),
    ],
    "apply_noise": [
        case(lambda x: F.dropout(x, 0.4), (4, 5)),
        case(lambda x: F.alpha_dropout(x, 0.4, training=True), (4, 5)),
    ],
    "fused_dropout": [case(lambda x: fused_dropout(x, p=0.4)[0], (4, 5))],
    "keep_scaled": [
        case(
            lambda x: keep_scaled(x, mg.arange(20).reshape(4, 5) % 3 == 0, scale=2.5),
            (4, 5),
            reference=lambda x: np.where(np.arange(20).reshape(4, 5) % 3 == 0, x * 2.5, 0),
        )
    ],
    "ctc_loss": [case(ctc, (6, 2, 3))],
    "module_hook": [
        case(
            lambda x, y: OPS["module_hook"](x, y, callback=lambda g, needs: g),
            (2, 2),
            (3,),
            reference=lambda x, y: (x, y),
        )
    ],
}
