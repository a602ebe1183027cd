"""SummaryWriter: what it is given is what stands in the event files."""

import struct
import subprocess
import sys
import time

import numpy as np
import pytest

import minigrad as mg

pytest.importorskip("tensorboardX")

from tensorboardX.proto.event_pb2 import Event  # noqa: E402

from minigrad.utils import tensorboard  # noqa: E402
from minigrad.utils.tensorboard import SummaryWriter  # noqa: E402

# tensorboardX keeps a file open until its writer thread is collected.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def events(folder):
    """All events of the files in a folder and below it, as (tag, step, value)."""
    found = []
    for path in sorted(folder.rglob("*tfevents*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            found += [(value.tag, event.step, value) for value in event.summary.value]
    return found


@pytest.fixture
def written(tmp_path):
    """A function that runs something with a writer and returns the events."""

    def run(action):
        with SummaryWriter(tmp_path / "log") as writer:
            action(writer)
        return events(tmp_path / "log")

    return run


@pytest.mark.parametrize("value", [0.25, mg.tensor(0.25), mg.tensor([0.25], requires_grad=True), np.float64(0.25)])
def test_scalars_of_every_kind(written, value):
    ((tag, step, found),) = written(lambda writer: writer.add_scalar("loss", value, 7))
    assert (tag, step, found.simple_value) == ("loss", 7, 0.25)


def test_a_scalar_is_one_number(written):
    with pytest.raises(ValueError, match="single number, but got 2 values"):
        written(lambda writer: writer.add_scalar("loss", mg.ones(2)))
    with pytest.raises(TypeError, match="scalar_value must be a number, but got 'low'"):
        written(lambda writer: writer.add_scalar("loss", "low"))


def test_several_curves(written):
    found = written(lambda writer: writer.add_scalars("loss", {"train": mg.tensor(1.0), "test": 2}, 3))
    assert sorted(value.simple_value for _, _, value in found) == [1, 2]


def test_histogram_counts_all_values(written):
    values = mg.randn(100, requires_grad=True)
    ((tag, _, found),) = written(lambda writer: writer.add_histogram("weights", values, 1))
    assert tag == "weights"
    assert found.histo.num == 100
    assert found.histo.min == pytest.approx(values.min().item())
    assert sum(found.histo.bucket) == 100


def test_raw_histogram(written):
    limits, counts = mg.tensor([0.0, 1.0]), mg.tensor([3, 4])
    ((_, _, found),) = written(lambda w: w.add_histogram_raw("raw", 0, mg.tensor(1.0), 7, 4, 4, limits, counts))
    assert list(found.histo.bucket_limit) == [0, 1] and list(found.histo.bucket) == [3, 4]


def decoded(found):
    """The pixels (H, W, C) of an image event."""
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(found.image.encoded_image_string)))


def test_image_pixels(written):
    image = mg.rand(3, 4, 5)
    ((_, _, found),) = written(lambda writer: writer.add_image("image", image))
    assert np.abs(decoded(found) - image.numpy().transpose(1, 2, 0) * 255).max() <= 1


def test_grey_image_and_layout(written):
    ((_, _, found),) = written(lambda writer: writer.add_image("image", mg.full((4, 5), 255).byte(), dataformats="HW"))
    assert decoded(found).shape[:2] == (4, 5) and decoded(found).min() == 255


@pytest.mark.parametrize("images", [mg.zeros(3, 1, 4, 5), [mg.zeros(1, 4, 5)] * 3])
def test_batch_of_images(written, images):
    ((_, _, found),) = written(lambda writer: writer.add_images("images", images))
    assert decoded(found).shape[0] * decoded(found).shape[1] >= 3 * 4 * 5


def test_boxes_are_drawn(written):
    box = mg.tensor([[1.0, 1.0, 6.0, 6.0]])
    ((_, _, found),) = written(lambda writer: writer.add_image_with_boxes("box", mg.zeros(3, 9, 9), box))
    assert decoded(found).max() > 0


def test_figure_is_closed(written):
    import matplotlib.pyplot as plt

    figure = plt.figure()
    figure.gca().plot([1, 2])
    ((_, _, found),) = written(lambda writer: writer.add_figure("figure", figure))
    assert decoded(found).std() > 0
    assert figure.number not in plt.get_fignums()


def test_text(written):
    ((tag, _, found),) = written(lambda writer: writer.add_text("note", "hello"))
    assert tag.startswith("note") and found.tensor.string_val[0] == b"hello"


def test_settings_and_metrics(written):
    def action(writer):
        writer.add_hparams({"lr": 0.1, "name": "sgd"}, {"accuracy": mg.tensor(0.5)}, run_name="run", global_step=2)

    found = written(action)
    assert [(step, value.simple_value) for tag, step, value in found if tag == "accuracy"] == [(2, 0.5)]
    assert any(tag.startswith("_hparams_") for tag, _, _ in found)


def test_precision_recall(written):
    labels, scores = mg.tensor([0, 1, 1]), mg.tensor([0.1, 0.9, 0.4])
    ((tag, _, found),) = written(lambda writer: writer.add_pr_curve("pr", labels, scores))
    assert found.metadata.plugin_data.plugin_name == "pr_curves"


def test_custom_layout(written):
    found = written(lambda w: w.add_custom_scalars({"losses": {"both": ["Multiline", ["loss/train", "loss/test"]]}}))
    assert found[0][2].metadata.plugin_data.plugin_name == "custom_scalars"
    with pytest.raises(ValueError, match="three tags"):
        written(lambda writer: writer.add_custom_scalars_marginchart(["a"]))


def test_mesh(written):
    found = written(lambda writer: writer.add_mesh("mesh", mg.rand(1, 4, 3), faces=mg.tensor([[[0, 1, 2]]])))
    assert {value.metadata.plugin_data.plugin_name for _, _, value in found} == {"mesh"}


def test_embedding(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        writer.add_embedding(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), metadata=["a", "b"], global_step=1)
    (table,) = tmp_path.rglob("tensors.tsv")
    assert [[float(x) for x in line.split("\t")] for line in table.read_text().splitlines()] == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "call",
    [
        lambda writer: writer.add_graph(mg.nn.Linear(1, 1)),
        lambda writer: writer.add_scalar("x", 1, new_style=True),
        lambda writer: writer.add_scalar("x", 1, double_precision=True),
        lambda writer: writer.add_hparams({}, {}, hparam_domain_discrete={}),
    ],
)
def test_what_is_not_supported_says_so(written, call):
    with pytest.raises(NotImplementedError, match="tensorboardX|summary"):
        written(call)


def test_flush_makes_events_visible_and_closing_twice_is_fine(tmp_path):
    writer = SummaryWriter(tmp_path, flush_secs=1000, max_queue=1000)
    writer.add_scalar("loss", 1.0)
    for _ in range(100):  # tensorboardX writes in a thread of its own
        writer.flush()
        if events(tmp_path):
            break
        time.sleep(0.05)
    assert len(events(tmp_path)) == 1
    assert writer.get_logdir() == writer.log_dir == str(tmp_path)
    writer.close()
    writer.close()


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"minigrad-cnn\[tensorboard\]"):
        tensorboard.SummaryWriter()


def test_it_is_not_imported_with_minigrad():
    code = "import sys, minigrad; print('minigrad.utils.tensorboard' in sys.modules or 'tensorboardX' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
