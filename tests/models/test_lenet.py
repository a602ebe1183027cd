"""LeNet-5."""
import pytest

import minigrad as mg
from minigrad import nn, optim
from models.lenet import ACTIVATIONS, POOLS, LeNet5


def test_lenet_is_the_papers_shape():
    shapes = {name: tuple(parameter.shape) for name, parameter in LeNet5().named_parameters()}
    assert shapes == {
        "conv1.weight": (6, 1, 5, 5),
        "conv1.bias": (6,),
        "conv2.weight": (16, 6, 5, 5),
        "conv2.bias": (16,),
        "fc1.weight": (120, 400),
        "fc1.bias": (120,),
        "fc2.weight": (84, 120),
        "fc2.bias": (84,),
        "fc3.weight": (10, 84),
        "fc3.bias": (10,),
    }


@pytest.mark.parametrize("side", [12, 13, 28, 31, 32, 33, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_lenet_takes_images_of_any_size(side, channels):
    model = LeNet5(num_classes=7, in_channels=channels, image_size=side)
    assert model(mg.randn(2, channels, side, side)).shape == (2, 7)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("pool", POOLS)
def test_lenet_learns_a_batch_by_heart(activation, pool):
    model = LeNet5(activation=activation, pool=pool, image_size=16)
    assert isinstance(model.activation, ACTIVATIONS[activation]) and isinstance(model.pool, POOLS[pool])
    images, labels = mg.randn(10, 1, 16, 16), mg.arange(10)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    for _ in range(300 if activation == "sigmoid" else 60):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    assert model(images).argmax(1).tolist() == labels.tolist()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"activation": "swish"}, "activation must be one of relu, tanh, sigmoid, but got 'swish'"),
        ({"pool": "min"}, "pool must be one of max, avg, but got 'min'"),
        ({"image_size": 11}, "image_size must be at least 12, but got 11"),
    ],
)
def test_lenet_says_what_is_wrong(settings, message):
    with pytest.raises(ValueError, match=message):
        LeNet5(**settings)
