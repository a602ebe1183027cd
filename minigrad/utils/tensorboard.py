"""Logs for TensorBoard: PyTorch's torch.utils.tensorboard on the package tensorboardX (the extra ``tensorboard``)."""

from minigrad.backend import np
from minigrad.tensor import Tensor

__all__ = ["SummaryWriter"]


def _library():
    """Return tensorboardX; ImportError naming the extra where it is missing."""
    try:
        import tensorboardX
    except ImportError as error:
        raise ImportError(
            "minigrad.utils.tensorboard needs tensorboardX, which is not installed "
            f"(pip install 'minigrad-cnn[tensorboard]'): {error}"
        ) from None
    return tensorboardX


def _values(data):
    """Return data with every tensor in it, at any depth, as a NumPy array on the CPU."""
    if isinstance(data, Tensor):
        return data.numpy(force=True)
    if isinstance(data, (list, tuple)):
        return [_values(item) for item in data]
    if isinstance(data, dict):
        return {key: _values(item) for key, item in data.items()}
    return data


def _number(value, what):
    """Return the number in a number, tensor or array; ValueError for several of them, TypeError for text."""
    if isinstance(value, Tensor) or hasattr(value, "item"):
        count = value.numel() if isinstance(value, Tensor) else value.size
        if count != 1:
            raise ValueError(f"{what} must be a single number, but got {count} values of shape {tuple(value.shape)}")
        return value.item()
    if isinstance(value, str) and what == "scalar_value":
        raise TypeError(f"{what} must be a number, but got {value!r}")
    return value


class SummaryWriter:
    """Writes what TensorBoard shows (curves, images, histograms, text, …) into event files in a folder.

    Arguments: log_dir (folder; by default ``runs/DATE_HOST`` and the comment); comment (str); purge_step (int: events
    from this step on that a crashed run left are hidden); max_queue (events kept before they are written); flush_secs
    (seconds between writes); filename_suffix (str). Tensors may be on any device and in any graph. Use it in a
    ``with`` block, or close() it. ImportError where tensorboardX is missing.
    Source: https://docs.pytorch.org/docs/stable/tensorboard.html

    >>> import os, tempfile
    >>> import minigrad as mg
    >>> from minigrad.utils.tensorboard import SummaryWriter
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with SummaryWriter(folder) as writer:
    ...         writer.add_scalar("loss", mg.tensor(0.5), global_step=1)
    ...     len(os.listdir(folder))
    1
    """

    def __init__(self, log_dir=None, comment="", purge_step=None, max_queue=10, flush_secs=120, filename_suffix=""):
        self._writer = _library().SummaryWriter(
            logdir=None if log_dir is None else str(log_dir),
            comment=comment,
            purge_step=purge_step,
            max_queue=max_queue,
            flush_secs=flush_secs,
            filename_suffix=filename_suffix,
        )
        self.log_dir = self._writer.logdir

    def get_logdir(self):
        """Return the folder of the event files."""
        return self.log_dir

    # ------------------------------------------------------------------ numbers
    def add_scalar(
        self, tag, scalar_value, global_step=None, walltime=None, new_style=False, double_precision=False
    ):  # fmt: skip
        """Add one number to a curve. NotImplementedError for new_style and double_precision: events hold float32."""
        if new_style or double_precision:
            raise NotImplementedError("add_scalar: tensorboardX writes float32 in the plain style only")
        self._writer.add_scalar(tag, _number(scalar_value, "scalar_value"), global_step, walltime)

    def add_scalars(self, main_tag, tag_scalar_dict, global_step=None, walltime=None):
        """Add one number to each of several curves in one diagram."""
        numbers = {tag: _number(value, f"tag_scalar_dict[{tag!r}]") for tag, value in tag_scalar_dict.items()}
        self._writer.add_scalars(main_tag, numbers, global_step, walltime)

    def add_hparams(self, hparam_dict, metric_dict, hparam_domain_discrete=None, run_name=None, global_step=None):
        """Add the settings of a run and what it reached; run_name is its folder within this writer's.

        NotImplementedError for hparam_domain_discrete.
        """
        if hparam_domain_discrete is not None:
            raise NotImplementedError("add_hparams: tensorboardX does not write hparam_domain_discrete")
        if type(hparam_dict) is not dict or type(metric_dict) is not dict:
            raise TypeError("hparam_dict and metric_dict should be dictionary.")
        settings = {name: _number(value, f"hparam_dict[{name!r}]") for name, value in hparam_dict.items()}
        metrics = {name: _number(value, f"metric_dict[{name!r}]") for name, value in metric_dict.items()}
        self._writer.add_hparams(settings, metrics, run_name, global_step)

    def add_histogram(self, tag, values, global_step=None, bins="tensorflow", walltime=None, max_bins=None):
        """Add the distribution of values; bins is "tensorflow", "auto", … or a sequence of edges."""
        self._writer.add_histogram(tag, _values(values), global_step, bins, walltime, max_bins)

    def add_histogram_raw(
        self, tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts, global_step=None, walltime=None  # noqa: A002
    ):  # fmt: skip
        """Add a histogram that was counted already."""
        self._writer.add_histogram_raw(
            tag, _number(min, "min"), _number(max, "max"), _number(num, "num"), _number(sum, "sum"),
            _number(sum_squares, "sum_squares"), _values(bucket_limits), _values(bucket_counts), global_step, walltime,
        )  # fmt: skip

    def add_pr_curve(
        self, tag, labels, predictions, global_step=None, num_thresholds=127, weights=None, walltime=None
    ):  # fmt: skip
        """Add a precision-recall curve of binary labels and predicted probabilities."""
        self._writer.add_pr_curve(
            tag, _values(labels), _values(predictions), global_step, num_thresholds, _values(weights), walltime
        )

    def add_pr_curve_raw(
        self, tag, true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts, precision,
        recall, global_step=None, num_thresholds=127, weights=None, walltime=None,
    ):  # fmt: skip
        """Add a precision-recall curve that was counted already."""
        counts = (true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts)
        self._writer.add_pr_curve_raw(
            tag, *map(_values, counts), _values(precision), _values(recall), global_step, num_thresholds,
            _values(weights), walltime,
        )  # fmt: skip

    # ------------------------------------------------------------------ pictures, sound, text
    def add_image(self, tag, img_tensor, global_step=None, walltime=None, dataformats="CHW"):
        """Add an image: floats in [0, 1] or uint8, laid out as dataformats says."""
        self._writer.add_image(tag, _values(img_tensor), global_step, walltime, dataformats)

    def add_images(self, tag, img_tensor, global_step=None, walltime=None, dataformats="NCHW"):
        """Add a batch of images, shown side by side."""
        images = _values(img_tensor)
        if isinstance(images, list):
            images = np.stack(images)
        self._writer.add_images(tag, images, global_step, walltime, dataformats)

    def add_image_with_boxes(
        self, tag, img_tensor, box_tensor, global_step=None, walltime=None, rescale=1, dataformats="CHW", labels=None
    ):  # fmt: skip
        """Add an image with boxes (N, 4) of (xmin, ymin, xmax, ymax) drawn on it."""
        self._writer.add_image_with_boxes(
            tag, _values(img_tensor), _values(box_tensor), global_step, walltime, dataformats, labels, rescale=rescale
        )

    def add_figure(self, tag, figure, global_step=None, close=True, walltime=None):
        """Add a matplotlib figure, or a list of them, as an image; ``close`` closes it."""
        self._writer.add_figure(tag, figure, global_step, close, walltime)

    def add_video(self, tag, vid_tensor, global_step=None, fps=4, walltime=None):
        """Add a batch of videos (N, T, C, H, W); needs the package moviepy."""
        self._writer.add_video(tag, _values(vid_tensor), global_step, fps, walltime)

    def add_audio(self, tag, snd_tensor, global_step=None, sample_rate=44100, walltime=None):
        """Add a sound (1, L) or (L, C) of values in [-1, 1]; needs the package soundfile."""
        self._writer.add_audio(tag, _values(snd_tensor), global_step, sample_rate, walltime)

    def add_text(self, tag, text_string, global_step=None, walltime=None):
        """Add a text, shown as Markdown."""
        self._writer.add_text(tag, text_string, global_step, walltime)

    # ------------------------------------------------------------------ the rest
    def add_embedding(
        self, mat, metadata=None, label_img=None, global_step=None, tag="default", metadata_header=None
    ):  # fmt: skip
        """Add points (N, D) for the projector, with labels and images (N, C, H, W)."""
        labels = _values(metadata)
        labels = labels.tolist() if hasattr(labels, "tolist") else labels
        self._writer.add_embedding(_values(mat), labels, _values(label_img), global_step, tag, metadata_header)

    def add_mesh(
        self, tag, vertices, colors=None, faces=None, config_dict=None, global_step=None, walltime=None
    ):  # fmt: skip
        """Add 3D points (B, N, 3) with colours and faces."""
        self._writer.add_mesh(
            tag, _values(vertices), _values(colors), _values(faces), config_dict, global_step, walltime
        )

    def add_custom_scalars(self, layout):
        """Arrange curves into diagrams: {category: {diagram: ["Multiline" or "Margin", [tags]]}}."""
        self._writer.add_custom_scalars(layout)

    def add_custom_scalars_multilinechart(self, tags, category="default", title="untitled"):
        """Show several curves in one diagram."""
        self._writer.add_custom_scalars_multilinechart(tags, category, title)

    def add_custom_scalars_marginchart(self, tags, category="default", title="untitled"):
        """Show a curve between a lower and an upper one; ValueError unless there are three tags."""
        if len(tags) != 3:
            raise ValueError(f"add_custom_scalars_marginchart takes three tags, but got {len(tags)}")
        self._writer.add_custom_scalars_marginchart(tags, category, title)

    def add_graph(self, model, input_to_model=None, verbose=False, use_strict_trace=True):
        """Refuse: TensorBoard's graphs are traced programs of PyTorch."""
        raise NotImplementedError(
            "add_graph: minigrad has no traced graphs for TensorBoard; print minigrad.summary(model, input_size), or "
            "add a picture of the graph with add_image"
        )

    def flush(self):
        """Bring the events written so far to the disk. Those of the last moment, which tensorboardX's thread is still
        writing, follow within flush_secs; close() waits for all.
        """
        self._writer.flush()

    def close(self):
        """Write all events and close the files."""
        self._writer.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
