"""grad_fn has the name that PyTorch prints, also where it follows from the arguments."""

import pytest

import minigrad

torch = pytest.importorskip("torch")

EXPRESSIONS = """
x[0]; x[-1]; x[..., 0]; x[0, 1]; x[:, 1]; x[1, :2]; x[:2]; x[0:2, 1:3]; x[:]; x[...]; x[None]; x[:, None]; x[y]
x.sum(); x.sum(1); x.mean(); x.mean(1); x.prod(); x.prod(1); x.max(); x.max(1)[0]; x.min(); x.min(1)[0]; x.amax(1)
x.view(-1); x.reshape(-1); x.flatten(); im.flatten(1); x.transpose(0, 1); x.unsqueeze(0); x.unsqueeze(0).squeeze()
x.double(); x.square(); x.log1p(); x.expm1(); x.log2(); x.pow(3); x.norm(); x.clamp(0, 1); x.t().contiguous()
x.sort()[0]; x.topk(2)[0]; x.median(); x @ x.t(); torch.mm(x, x.t()); torch.mv(x, x[0]); torch.dot(x[0], x[1])
im @ im; torch.rand(2, 3, 6) @ x.t(); torch.atan2(x, x); torch.linalg.cholesky(x @ x.t() + torch.eye(4))
torch.det(x[:, :4]); torch.linalg.solve(x[:, :4], x); torch.inverse(x[:, :4] + torch.eye(4))
x.scatter(1, y[:, None], 1.0)
F.linear(x, w); F.linear(x, w, w[:, 0]); F.linear(im[..., :6], w); F.linear(im[..., :6].contiguous(), w, torch.ones(3));
F.linear(x[0], w)
F.cross_entropy(x, y); F.cross_entropy(im, z); F.nll_loss(x, y); F.nll_loss(im, z); F.cross_entropy(x[0], y[0])
F.cross_entropy(x, y, label_smoothing=0.1); F.cross_entropy(x, y, reduction="none"); F.smooth_l1_loss(x, x * 2)
F.l1_loss(x, x * 2); F.l1_loss(x, x * 2, reduction="sum"); F.l1_loss(x, x * 2, reduction="none"); F.mse_loss(x, x * 2)
F.batch_norm(im, None, None, training=True); F.batch_norm(im, w[0, :3], w[1, :3].exp()); F.layer_norm(x, (6,))
F.layer_norm(im, (8, 8)); F.group_norm(im, 3); F.instance_norm(im); F.rms_norm(x, (6,), w[0]); F.dropout(x, 0.5)
F.max_pool1d(im[0], 2); F.max_pool2d(im, 2); F.max_pool3d(im, 2); F.avg_pool1d(im[0], 2); F.avg_pool2d(im, 2)
F.adaptive_avg_pool2d(im, 1); F.conv_transpose2d(im, im[:1, :, :2, :2].transpose(0, 1)); F.pad(x, (1, 1))
F.prelu(x, w[0, :1]); F.logsigmoid(x); F.unfold(im, 2); F.fold(F.unfold(im, 2), (8, 8), 2); F.softplus(x)
torch.nn.LSTMCell(6, 5)(x)[0]; torch.nn.GRUCell(6, 5)(x); torch.nn.TransformerEncoderLayer(6, 2)(x)
""".replace("\n", ";")


def names(torch):
    x = torch.rand(4, 6, requires_grad=True) + 0
    im = torch.rand(2, 3, 8, 8, requires_grad=True) + 0
    found = {}
    given = {"torch": torch, "F": torch.nn.functional, "x": x, "im": im, "w": torch.ones(3, 6)}
    given.update(y=torch.tensor([0, 1, 2, 3]), z=torch.zeros(2, 8, 8, dtype=torch.int64))
    for expression in filter(None, map(str.strip, EXPRESSIONS.split(";"))):
        found[expression] = eval(expression, given).grad_fn.name()
    return found


def test_nodes_have_pytorchs_names():
    ours = names(minigrad)
    differ = {text: (ours[text], name) for text, name in names(torch).items() if ours[text] != name}
    assert len(ours) > 90 and differ == {}


def test_a_loss_is_printed_as_pytorch_prints_it():
    assert repr(
        minigrad.nn.functional.cross_entropy(minigrad.zeros(1, 2, requires_grad=True), minigrad.tensor([0]))
    ) == ("tensor(0.6931, grad_fn=<NllLossBackward0>)")
