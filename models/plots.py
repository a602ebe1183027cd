"""The pictures that a training run leaves behind."""
from models.common import require, written_whole


def figure(**kw):
    """A matplotlib figure of its own: no pyplot, no global state, no window."""
    require("matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(layout="constrained", **kw)
    FigureCanvasAgg(drawing)
    return drawing


def save(drawing, path, dpi=130):
    with written_whole(path) as temporary:
        drawing.savefig(temporary, dpi=dpi)


def training_curve(history, title, path):
    """Draw the loss and the test accuracy of every epoch.

    Args:
        history: one dict per epoch: epoch, train_loss, test_loss, test_accuracy (a fraction).
        title: of the whole figure.
        path: PNG file to write.
    """
    drawing = figure(figsize=(9, 3.6))
    drawing.suptitle(title)
    left, right = drawing.subplots(1, 2)
    epochs = [entry["epoch"] for entry in history]
    marker = "o" if len(epochs) <= 40 else None
    for key, label in (("train_loss", "training"), ("test_loss", "test")):
        left.plot(epochs, [entry[key] for entry in history], marker=marker, markersize=3, label=label)
    left.set(xlabel="epoch", ylabel="cross-entropy", yscale="log")
    left.legend()
    accuracy = [100 * entry["test_accuracy"] for entry in history]
    right.plot(epochs, accuracy, marker=marker, markersize=3, color="tab:green")
    right.set(xlabel="epoch", ylabel="test accuracy / %", title=f"last: {accuracy[-1]:.2f} %")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    save(drawing, path)


def prediction_grid(pictures, predicted, actual, classes, title, path, columns=10):
    """Draw test images, each with what the network says; mistakes are red and name the right class too.

    Args:
        pictures: nested lists or arrays (N, H, W) or (N, H, W, 3) in [0, 1].
        predicted, actual: N class indices.
        classes: the classes' names.
        title: of the whole figure.
        path: PNG file to write.
        columns: pictures per row.
    """
    rows = -(-len(pictures) // columns)
    long_names = max(len(name) for name in classes) > 2
    cell = 1.25 if long_names else 0.95
    drawing = figure(figsize=(cell * columns, (cell + 0.12) * rows + 0.4))
    drawing.suptitle(title, fontsize=10)
    grid = drawing.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, picture, guess, truth in zip(grid, pictures, predicted, actual, strict=False):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        right = guess == truth
        label = classes[guess] if right else f"{classes[guess]} (is {classes[truth]})"
        axes.set_title(label, fontsize=7 if long_names else 8, color="black" if right else "red", pad=2)
    save(drawing, path)
