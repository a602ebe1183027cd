"""The boxes at every position from which the network starts."""
import minigrad
from minigrad import nn

__all__ = ["AnchorGenerator"]


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
