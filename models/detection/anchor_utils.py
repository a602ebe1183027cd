"""The boxes at every position from which the network starts."""
import math

import minigrad
from minigrad import nn

__all__ = ["AnchorGenerator", "DefaultBoxGenerator"]


class AnchorGenerator(nn.Module):
    """Boxes of several sizes and aspect ratios around every position of several maps.

    Args:
        sizes: for each map, the square roots of the boxes' areas in pixels of the image.
        aspect_ratios: for each map, heights over widths.

    Raises:
        AssertionError: when called, for another number of maps.

    >>> AnchorGenerator(((32,),), ((1.0,),)).cell_anchors[0]
    tensor([[-16., -16.,  16.,  16.]])
    """

    def __init__(self, sizes=((128, 256, 512),), aspect_ratios=((0.5, 1.0, 2.0),)):
        super().__init__()
        if not isinstance(sizes[0], (list, tuple)):
            sizes = tuple((size,) for size in sizes)
        if not isinstance(aspect_ratios[0], (list, tuple)):
            aspect_ratios = (aspect_ratios,) * len(sizes)
        self.sizes = sizes
        self.aspect_ratios = aspect_ratios
        self.cell_anchors = [self.generate_anchors(size, ratios) for size, ratios in zip(sizes, aspect_ratios)]

    def generate_anchors(self, scales, aspect_ratios, dtype=minigrad.float32, device="cpu"):
        """The boxes around 0 of all scales for each of the ratios, in whole pixels: (ratios · scales, 4)."""
        scales = minigrad.tensor(scales, dtype=dtype, device=device)
        tall = minigrad.tensor(aspect_ratios, dtype=dtype, device=device).sqrt()
        heights = (tall.unsqueeze(1) * scales).flatten()
        widths = ((1 / tall).unsqueeze(1) * scales).flatten()
        return (minigrad.stack([-widths, -heights, widths, heights], 1) / 2).round()

    def num_anchors_per_location(self):
        """The boxes of a position, for each map."""
        return [len(size) * len(ratios) for size, ratios in zip(self.sizes, self.aspect_ratios)]

    def forward(self, image_list, feature_maps):
        """The boxes of all maps of an image (positions · boxes, 4), as often as there are images."""
        if len(feature_maps) != len(self.cell_anchors):
            raise AssertionError(
                "Anchors should be Tuple[Tuple[int]] because each feature map could potentially have different sizes "
                f"and aspect ratios: there are {len(feature_maps)} feature maps and {len(self.cell_anchors)} sizes"
            )
        height, width = image_list.tensors.shape[-2:]
        anchors = []
        for maps, cell in zip(feature_maps, self.cell_anchors):
            rows, columns = maps.shape[-2:]
            down = minigrad.arange(rows, device=maps.device) * (height // rows)
            across = minigrad.arange(columns, device=maps.device) * (width // columns)
            y, x = minigrad.meshgrid(down, across, indexing="ij")
            shifts = minigrad.stack([x.flatten(), y.flatten()] * 2, 1)  # (positions, 4)
            boxes = shifts.unsqueeze(1) + cell.to(device=maps.device, dtype=maps.dtype)
            anchors.append(boxes.reshape(-1, 4))
        return [minigrad.cat(anchors, 0) for _ in image_list.image_sizes]


class DefaultBoxGenerator(nn.Module):
    """SSD's boxes: around every position of a map two squares, and two more boxes for each of its aspect ratios.

    The squares' sides are the map's scale and the geometric mean of it and the next map's, as shares of the image's.

    Args:
        aspect_ratios: for each map, the longer over the shorter side; both ways of lying are made.
        min_ratio, max_ratio: the scales of the first and the last map, the others evenly between, unless scales has
            them.
        scales: of all maps, and one more; None for those.
        steps: pixels between the positions of each map; None for as many as they are apart.
        clip: whether no side is longer than the image's.

    Raises:
        ValueError: for other numbers of steps than maps.

    Source: Liu et al. 2015, section 2.2, https://arxiv.org/abs/1512.02325

    >>> from models.detection.image_list import ImageList
    >>> boxes = DefaultBoxGenerator([[4]], scales=[0.25, 1.0])
    >>> boxes(ImageList(minigrad.zeros(1, 3, 8, 8), [(8, 8)]), [minigrad.zeros(1, 1, 1, 1)])[0]
    tensor([[3.0000, 3.0000, 5.0000, 5.0000],
            [2.0000, 2.0000, 6.0000, 6.0000],
            [2.0000, 3.5000, 6.0000, 4.5000],
            [3.5000, 2.0000, 4.5000, 6.0000]])
    """

    def __init__(self, aspect_ratios, min_ratio=0.15, max_ratio=0.9, scales=None, steps=None, clip=True):
        super().__init__()
        if steps is not None and len(aspect_ratios) != len(steps):
            raise ValueError("aspect_ratios and steps should have the same length")
        count = len(aspect_ratios)
        if scales is None and count == 1:
            scales = [min_ratio, max_ratio]
        elif scales is None:
            scales = [min_ratio + (max_ratio - min_ratio) * index / (count - 1.0) for index in range(count)] + [1.0]
        self.aspect_ratios = aspect_ratios
        self.scales = scales
        self.steps = steps
        self.clip = clip
        self._wh_pairs = [self._sizes(*row) for row in zip(aspect_ratios, scales, scales[1:])]

    @staticmethod
    def _sizes(ratios, scale, following):
        """Widths and heights of a position's boxes (2 + 2 · ratios, 2), as shares of the image's."""
        between = math.sqrt(scale * following)
        sizes = [[scale, scale], [between, between]]
        for ratio in ratios:
            root = math.sqrt(ratio)
            sizes += [[scale * root, scale / root], [scale / root, scale * root]]
        return minigrad.tensor(sizes, dtype=minigrad.float32)

    def num_anchors_per_location(self):
        """The boxes of a position, for each map."""
        return [2 + 2 * len(ratios) for ratios in self.aspect_ratios]

    def forward(self, image_list, feature_maps):
        """The boxes of all maps of an image (positions · boxes, 4) in pixels, as often as there are images."""
        height, width = image_list.tensors.shape[-2:]
        like = {"device": feature_maps[0].device, "dtype": feature_maps[0].dtype}
        found = []
        for index, (maps, sizes) in enumerate(zip(feature_maps, self._wh_pairs)):
            rows, columns = down, across = maps.shape[-2:]
            if self.steps is not None:
                down, across = height / self.steps[index], width / self.steps[index]
            x = ((minigrad.arange(columns, device=maps.device) + 0.5) / across).to(maps.dtype)
            y = ((minigrad.arange(rows, device=maps.device) + 0.5) / down).to(maps.dtype)
            y, x = minigrad.meshgrid(y, x, indexing="ij")
            centres = minigrad.stack([x.flatten(), y.flatten()], 1).unsqueeze(1)  # (positions, 1, 2)
            half = 0.5 * (sizes.clamp(0, 1) if self.clip else sizes).to(**like)
            found.append(minigrad.cat([centres - half, centres + half], 2).reshape(-1, 4))
        anchors = minigrad.cat(found, 0) * minigrad.tensor([width, height] * 2, **like)
        return [anchors.clone() for _ in image_list.image_sizes]

    def __repr__(self):
        names = ("aspect_ratios", "clip", "scales", "steps")
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in names)})"
