"""Pictures of many images."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import minigrad as mg
from minigrad.vision import utils


@given(
    count=st.integers(2, 7),
    channels=st.sampled_from([1, 2, 3]),
    nrow=st.integers(1, 8),
    padding=st.integers(0, 3),
    dtype=st.sampled_from(["uint8", "float32"]),
)
def test_every_image_lies_in_its_cell(count, channels, nrow, padding, dtype):
    images = (np.random.default_rng(0).random((count, channels, 4, 3)) * 9).astype(dtype)
    grid = utils.make_grid(mg.from_numpy(images), nrow=nrow, padding=padding, pad_value=7)
    across = min(nrow, count)
    down = -(-count // across)
    height, width = down * (4 + padding) + padding, across * (3 + padding) + padding
    assert grid.shape == (3 if channels == 1 else channels, height, width)
    assert str(grid.dtype) == f"minigrad.{dtype}"
    left = grid.numpy().copy()
    for number, image in enumerate(images):
        row, column = divmod(number, across)
        cell = left[:, padding + row * (4 + padding) :, padding + column * (3 + padding) :][:, :4, :3]
        assert np.array_equal(cell, np.broadcast_to(image, cell.shape))
        cell[:] = 7
    assert (left == 7).all()  # nothing but border is left


def test_forms_of_images():
    image = mg.arange(6.0).reshape(2, 3)
    for one in (image, image[None], image[None, None], [image[None]]):
        assert utils.make_grid(one).tolist() == [image.tolist()] * 3
    colors = mg.rand(3, 2, 2)
    assert utils.make_grid([colors, colors], padding=1).shape == (3, 4, 7)
    assert utils.make_grid((colors, colors), padding=1).shape == (3, 4, 7)
    tracked = mg.rand(2, 3, 2, 2, requires_grad=True)
    assert not utils.make_grid(tracked).requires_grad


def test_normalize():
    images = mg.tensor([0.0, 1.0, 2.0, 6.0]).reshape(2, 1, 1, 2)
    kept = images.tolist()

    def values(**options):
        grid = utils.make_grid(images, padding=0, normalize=True, **options)
        return grid[0].flatten().tolist()

    assert np.allclose(values(), [0, 1 / 6, 2 / 6, 1])
    assert np.allclose(values(scale_each=True), [0, 1, 0, 1])
    assert np.allclose(values(value_range=(1, 3)), [0, 0, 0.5, 1])
    assert images.tolist() == kept
    flat = utils.make_grid(mg.ones(2, 1, 2, 2), padding=0, normalize=True)
    assert flat.abs().max().item() == 0


def test_save_image(tmp_path):
    images = mg.rand(5, 3, 4, 6)
    path = tmp_path / "grid.png"
    utils.save_image(images, path, nrow=2, pad_value=1.0)
    pixels = np.asarray(Image.open(path))
    expected = np.floor(utils.make_grid(images, nrow=2, pad_value=1.0).numpy() * 255 + 0.5)
    assert np.array_equal(pixels, expected.transpose(1, 2, 0))
    content = io.BytesIO()
    utils.save_image(mg.tensor([[-1.0, 0.5, 2.0]]), content, format="png")
    assert np.asarray(Image.open(content))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: utils.make_grid(np.zeros((2, 2))), TypeError, "tensor or list of tensors expected, got <class 'numpy"),
        (lambda: utils.make_grid([1]), TypeError, "list containing"),
        (lambda: utils.make_grid(mg.zeros(2)), ValueError, "H, W"),
        (lambda: utils.make_grid(mg.zeros(2, 1, 2, 2), normalize=True, value_range=[0, 1]), TypeError, "tuple"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_images_of_integers_are_not_saved(tmp_path):
    with pytest.raises(RuntimeError, match="floats of 0 … 1, but got minigrad.uint8"):
        utils.save_image(mg.full((3, 4, 5), 200, dtype=mg.uint8), tmp_path / "gray.png")
    assert not list(tmp_path.iterdir())
