"""Many small pictures as one: filters and feature maps, side by side, pixel for pixel."""
import math

import minigrad
from models.commands.plots import figure, save
from models.common import require

GAP = 5  # pixels between pictures
FRAME = 0.45  # gray of the line around a picture that may have the page's white at its edge
MARGIN = 18
LINE = 22  # height of a line of text in pixels
DPI = 100
TITLE, TEXT = 12, 9  # sizes of the letters in points


def columns_for(count, wide=True):
    """How many pictures stand in a row: such that rows are full and the whole is somewhat wider than high.

    Up to eight are in one row if wide, otherwise four to eight are in two.

    >>> [columns_for(count) for count in (6, 16, 64, 96, 20)]
    [6, 4, 8, 12, 5]
    """
    if count <= 8:
        return count if wide else -(-count // 2) if count > 3 else count
    least = math.isqrt(count - 1) + 1
    full = [columns for columns in range(least, 2 * least + 1) if count % columns == 0]
    return full[0] if full else math.isqrt(count * 3 // 2)


def enlarged(pictures, target):
    """Pictures (N, H, W, …) about target pixels high: every pixel repeated, or averaged if they are large."""
    height, width = pictures.shape[1:3]
    if height > 1.5 * target:
        step = round(height / target)
        planes = pictures if pictures.ndim == 4 else pictures.unsqueeze(3)
        planes = minigrad.nn.functional.avg_pool2d(planes.permute(0, 3, 1, 2), step, ceil_mode=True)
        planes = planes.permute(0, 2, 3, 1)
        return planes if pictures.ndim == 4 else planes.squeeze(3)
    times = max(1, round(target / height))
    return pictures.repeat_interleave(times, 1).repeat_interleave(times, 2)


def mosaic(pictures, columns, framed=False):
    """Pictures (N, H, W) or (N, H, W, 3) in rows, as one (H', W') or (H', W', 3); the NaN between them is not drawn."""
    if framed:
        inner = pictures
        count, height, width = inner.shape[:3]
        pictures = minigrad.full((count, height + 2, width + 2, *inner.shape[3:]), -1.0)
        pictures[:, 1:-1, 1:-1] = inner
    count, height, width = pictures.shape[:3]
    rows = -(-count // columns)
    shape = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, *pictures.shape[3:])
    whole = minigrad.full(shape, math.nan)
    for index in range(count):
        top, left = index // columns * (height + GAP), index % columns * (width + GAP)
        whole[top : top + height, left : left + width] = pictures[index]
    return whole


def length(text, size, weight="normal"):
    """How many pixels a line of text takes, with a little more for the rounding of letters to pixels."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    path = TextPath((0, 0), text, size=size, prop=FontProperties(weight=weight))
    return math.ceil(1.05 * path.get_extents().width * DPI / 72)


def draw(panels, title, lines, path):
    """Write mosaics from left to right under a title and lines of text, one pixel of the file for each of theirs.

    Args:
        panels: dicts with image (H, W) or (H, W, 3), values in [0, 1], NaN where nothing is drawn, less
            than 0 where a frame is; colours (a colour map's name, for images
            of one channel) and caption (a line above it).
        title, lines: text above everything.
        path: PNG file to write.
    """
    require("matplotlib")
    from matplotlib import colormaps

    heights = [panel["image"].shape[0] for panel in panels]
    widths = [panel["image"].shape[1] for panel in panels]
    captions = LINE if any(panel.get("caption") for panel in panels) else 0
    text = max(length(title, TITLE, "bold"), *(length(line, TEXT) for line in lines))
    width = max(sum(widths) + MARGIN * (len(panels) + 1), text + 2 * MARGIN)
    top = MARGIN + LINE * (1 + len(lines)) + captions + 8
    height = top + max(heights) + MARGIN
    drawing = figure(figsize=(width / DPI, height / DPI), facecolor="white")
    drawing.set_layout_engine("none")
    drawing.text(MARGIN / width, 1 - MARGIN / height, title, va="top", fontsize=TITLE, fontweight="bold")
    for index, line in enumerate(lines):
        y = 1 - (MARGIN + LINE * (index + 1) + 2) / height
        drawing.text(MARGIN / width, y, line, va="top", fontsize=TEXT, color="0.35")
    left = MARGIN
    for panel, panel_width, panel_height in zip(panels, widths, heights):
        box = (left / width, 1 - (top + panel_height) / height, panel_width / width, panel_height / height)
        axes = drawing.add_axes(box)
        axes.set_axis_off()
        image = panel["image"]
        if image.ndim == 3:
            shown = minigrad.where(image < 0, FRAME, image.nan_to_num(1.0))
            axes.imshow(shown.numpy(), interpolation="nearest", aspect="auto")
        else:
            colours = colormaps[panel.get("colours", "gray")].with_extremes(bad="white", under=str(FRAME))
            axes.imshow(image.numpy(), cmap=colours, vmin=0, vmax=1, interpolation="nearest", aspect="auto")
        if panel.get("caption"):
            y = 1 - (top - 5) / height
            drawing.text(left / width, y, panel["caption"], va="bottom", fontsize=TEXT, color="0.35")
        left += panel_width + MARGIN
    save(drawing, path, dpi=DPI)
