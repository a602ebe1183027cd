"""The project's own small networks: sizes, options, refusals, and that they learn."""
import pytest

import minigrad as mg
import models
from minigrad import nn


@pytest.mark.parametrize("name", ["small_cnn", "small_resnet"])
@pytest.mark.parametrize("channels, side, classes", [(1, 28, 10), (3, 32, 10), (2, 9, 3)])
def test_shapes(name, channels, side, classes):
    model = models.build(name, num_classes=classes, in_channels=channels, image_size=side).eval()
    assert model(mg.zeros(2, channels, side, side)).shape == (2, classes)
    assert (model.in_channels, model.image_size) == (channels, side)


def test_counts():
    def count(model):
        return sum(parameter.numel() for parameter in model.parameters())

    assert count(models.small_resnet()) == 304_154
    assert count(models.small_cnn()) == 188_810
    widths, blocks = (4, 8, 8), 3
    deep = models.small_resnet(widths=widths, blocks=blocks)
    assert len(deep.blocks) == 6
    assert [block.stride for block in deep.blocks] == [1, 1, 1, 2, 1, 1]


def test_kinds_of_dropout():
    assert isinstance(models.small_cnn(dropout=0.5).dropout, nn.Dropout)
    plain = models.small_cnn(dropout=0.5, dropout_kind="plain")
    assert isinstance(plain.dropout, nn.PlainDropout)
    assert sum(isinstance(layer, nn.Dropout2d) for layer in plain.modules()) == 0
    channels = models.small_cnn(channel_dropout=0.25)
    assert [layer.p for layer in channels.modules() if isinstance(layer, nn.Dropout2d)] == [0.25] * 3
    assert models.small_resnet(dropout=0.3).dropout.p == 0.3


def test_stochastic_depth_grows_from_block_to_block():
    model = models.small_resnet(widths=(4, 4, 4), blocks=2, stochastic_depth_prob=0.4, stochastic_depth_mode="row")
    assert [round(block.stochastic_depth.p, 6) for block in model.blocks] == [0.1, 0.2, 0.3, 0.4]
    assert {block.stochastic_depth.mode for block in model.blocks} == {"row"}
    x = mg.randn(2, 3, 32, 32)
    model.eval()
    assert mg.equal(model(x), model(x)), "at test time every block is used"


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: models.small_cnn(dropout_kind="inverse"), "must be one of inverted, plain, but got 'inverse'"),
        (lambda: models.small_cnn(image_size=7), "3 stages need images of 8 pixels"),
        (lambda: models.small_resnet(image_size=7), "3 stages need images of at least 8 pixels"),
        (lambda: models.small_resnet(stochastic_depth_prob=1.5), "stochastic_depth_prob must be between 0 and 1"),
    ],
)
def test_refusals(build, said):
    with pytest.raises(ValueError, match=said):
        build()


@pytest.mark.parametrize(
    "build",
    [
        lambda: models.small_cnn(4, image_size=8, widths=(8, 8), hidden=16),
        lambda: models.small_resnet(4, image_size=8, widths=(8, 8, 8)),
    ],
)
def test_learns_a_batch(build):
    mg.manual_seed(0)
    model = build()
    images, labels = mg.randn(8, 3, 8, 8), mg.arange(8) % 4
    optimizer = mg.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
