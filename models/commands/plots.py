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
    """Draw the loss and the accuracy of every epoch.

    Args:
        history: one dict per epoch: epoch, train_loss, and test_loss and test_accuracy (a fraction) or the same of
            validation; also averaged_test_accuracy or averaged_validation_accuracy where the weights were averaged.
        title: of the whole figure.
        path: PNG file to write.
    """
    drawing = figure(figsize=(9, 3.6))
    drawing.suptitle(title)
    left, right = drawing.subplots(1, 2)
    epochs = [entry["epoch"] for entry in history]
    marker = "o" if len(epochs) <= 40 else None
    watched = "validation" if "validation_loss" in history[0] else "test"
    for key, label in (("train_loss", "training"), (f"{watched}_loss", watched)):
        left.plot(epochs, [entry[key] for entry in history], marker=marker, markersize=3, label=label)
    left.set(xlabel="epoch", ylabel="cross-entropy", yscale="log")
    left.legend()
    curves = {f"averaged_{watched}_accuracy": "averaged weights", f"{watched}_accuracy": "weights"}
    curves = {key: label for key, label in curves.items() if key in history[0]}
    for key, label in curves.items():
        accuracy = [100 * entry[key] for entry in history]
        color = "tab:green" if key == f"{watched}_accuracy" else "tab:purple"
        right.plot(epochs, accuracy, marker=marker, markersize=3, color=color, label=label)
    last = 100 * history[-1][next(iter(curves))]
    right.set(xlabel="epoch", ylabel=f"{watched} accuracy / %", title=f"last: {last:.2f} %")
    if len(curves) > 1:
        right.legend()
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


def confusion(matrix, classes, title, path):
    """Draw a confusion matrix: rows are the true classes, columns the predicted ones, the colour the share of the row.

    Args:
        matrix: counts (K, K) as nested lists.
        classes: the K names; drawn up to 40, the counts up to 20.
        title: of the figure.
        path: PNG file to write.
    """
    count = len(classes)
    side = min(12.0, max(4.0, 2.0 + 0.42 * count))
    drawing = figure(figsize=(side + 0.8, side))
    axes = drawing.subplots()
    shares = [[value / max(1, sum(row)) for value in row] for row in matrix]
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    drawing.colorbar(shown, ax=axes, shrink=0.8, label="share of the true class")
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(title, fontsize=10)
    if count <= 40:
        axes.set_xticks(range(count), classes, rotation=90 if max(map(len, classes)) > 2 else 0, fontsize=8)
        axes.set_yticks(range(count), classes, fontsize=8)
    if count <= 20:
        for row, values in enumerate(matrix):
            for column, value in enumerate(values):
                if value:
                    color = "white" if shares[row][column] > 0.5 else "black"
                    axes.text(column, row, value, ha="center", va="center", fontsize=7, color=color)
    save(drawing, path)
