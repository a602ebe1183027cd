"""Multiply-adds, forward and backward, against PyTorch's own counter of operations."""
import pytest

import minigrad as mg

torch = pytest.importorskip("torch")
counter = pytest.importorskip("torch.utils.flop_counter")


def layers(nn):
    """The same networks from either library's layers, with the shape of their input."""

    class Attention(nn.Module):
        """Products of activations (PyTorch's counter knows nothing of its fused attention on the CPU)."""

        def __init__(self):
            super().__init__()
            self.read, self.write = nn.Linear(8, 24), nn.Linear(8, 8)

        def forward(self, x):
            q, k, v = self.read(x).chunk(3, -1)
            return self.write((q @ k.transpose(1, 2)).softmax(-1) @ v)

    return {
        "convolutions": (
            lambda: nn.Sequential(
                nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(8, 12, (3, 2), stride=2), nn.Conv2d(12, 4, 3, dilation=2, padding=2, bias=False),
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5),
            ),
            (2, 3, 16, 16),
        ),
        "one dimension": (lambda: nn.Sequential(nn.Conv1d(3, 6, 5), nn.GELU(), nn.Conv1d(6, 2, 3, 2)), (2, 3, 30)),
        "three dimensions": (lambda: nn.Sequential(nn.Conv3d(2, 3, 2), nn.Conv3d(3, 1, 3)), (1, 2, 5, 6, 7)),
        "transposed": (
            lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ConvTranspose2d(4, 2, 4, stride=2)), (2, 1, 8, 8),
        ),
        "linear": (lambda: nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 3, bias=False)), (4, 5, 6)),
        "attention": (Attention, (2, 5, 8)),
    }  # fmt: skip


@pytest.mark.parametrize("name", layers(torch.nn))
def test_as_many_multiply_adds_as_pytorch_counts(name):
    make, shape = layers(torch.nn)[name]
    model, x = make().train(), torch.zeros(shape)
    with counter.FlopCounterMode(display=False) as forward:
        result = model(x)
    with counter.FlopCounterMode(display=False) as backward:
        result.sum().backward()
    found = mg.summary(layers(mg.nn)[name][0](), shape, mode="train")
    assert 2 * found.multiply_adds == forward.get_total_flops()
    assert 2 * found.backward_multiply_adds == backward.get_total_flops()


@pytest.mark.parametrize("kind", ["Conv2d", "ConvTranspose2d"])
def test_groups(kind):
    """Forward only: PyTorch's counter takes the weight's gradient of a grouped convolution for that of a whole one."""
    with counter.FlopCounterMode(display=False) as forward:
        getattr(torch.nn, kind)(4, 6, 3, groups=2)(torch.zeros(2, 4, 8, 8))
    found = mg.summary(getattr(mg.nn, kind)(4, 6, 3, groups=2), (2, 4, 8, 8))
    assert 2 * found.multiply_adds == forward.get_total_flops() == found.backward_multiply_adds * 2
