"""S3D (Xie et al., "Rethinking Spatiotemporal Feature Learning: Speed-Accuracy Trade-offs in Video Classification",
2017)."""
from functools import partial

import minigrad
from minigrad import nn
from minigrad.vision.ops import Conv3dNormActivation
from models.googlenet import MODULES
from models.registry import variant
from models.sizes import first_stride

__all__ = ["S3D", "s3d"]


class TemporalSeparableConv(nn.Sequential):
    """A convolution of each frame, 1 x k x k, then one over time, k x 1 x 1, each with norm and ReLU.

    >>> tuple(TemporalSeparableConv(3, 8, 3, 2, 1, nn.BatchNorm3d)(minigrad.zeros(1, 3, 4, 6, 6)).shape)
    (1, 8, 2, 3, 3)
    """

    def __init__(self, in_planes, out_planes, kernel_size, stride, padding, norm_layer, *, space_stride=None):
        step = stride if space_stride is None else space_stride
        conv = partial(Conv3dNormActivation, bias=False, norm_layer=norm_layer)
        space = {"kernel_size": (1, kernel_size, kernel_size), "padding": (0, padding, padding)}
        time = {"kernel_size": (kernel_size, 1, 1), "padding": (padding, 0, 0)}
        super().__init__(
            conv(in_planes, out_planes, stride=(1, step, step), **space),
            conv(out_planes, out_planes, stride=(stride, 1, 1), **time),
        )


class SepInceptionBlock3D(nn.Module):
    """Four branches side by side: 1x1x1, two with separable convolutions, and a pooling; channels of each.

    >>> tuple(SepInceptionBlock3D(4, 1, 2, 3, 2, 4, 5, nn.BatchNorm3d)(minigrad.zeros(1, 4, 2, 3, 3)).shape)
    (1, 13, 2, 3, 3)
    """

    def __init__(self, in_planes, b0_out, b1_mid, b1_out, b2_mid, b2_out, b3_out, norm_layer):
        super().__init__()
        point = partial(Conv3dNormActivation, kernel_size=1, norm_layer=norm_layer)
        self.branch0 = point(in_planes, b0_out)
        self.branch1 = nn.Sequential(
            point(in_planes, b1_mid), TemporalSeparableConv(b1_mid, b1_out, 3, 1, 1, norm_layer)
        )
        self.branch2 = nn.Sequential(
            point(in_planes, b2_mid), TemporalSeparableConv(b2_mid, b2_out, 3, 1, 1, norm_layer)
        )
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, stride=1, padding=1), point(in_planes, b3_out))

    def forward(self, x):
        return minigrad.cat((self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)), 1)


class S3D(nn.Module):
    """GoogLeNet's modules with convolutions of space and of time, their maps pooled 2x7x7 and classified.

    A video needs 14 frames, or more.

    Args:
        num_classes: number of outputs.
        dropout: before the last convolution.
        norm_layer: makes a normalisation of so many channels; None for nn.BatchNorm3d of eps and momentum 0.001.
        in_channels: channels of the frames.
        image_size: side of the frames in pixels: up to 64, the first convolution has stride 1 in space; below 224 the
            last pooling is as large as the maps.

    Raises:
        ValueError: for frames of which nothing is left.

    Source: Xie et al. 2017, figure 6; https://docs.pytorch.org/vision/stable/models/video_s3d.html

    >>> tuple(S3D(5, image_size=16).eval()(minigrad.zeros(1, 3, 14, 16, 16)).shape)
    (1, 5)
    """

    def __init__(self, num_classes=400, dropout=0.2, norm_layer=None, *, in_channels=3, image_size=224):
        super().__init__()
        norm_layer = norm_layer or partial(nn.BatchNorm3d, eps=0.001, momentum=0.001)
        self.in_channels = in_channels
        self.image_size = image_size
        stride = first_stride(image_size)
        side = -(-image_size // stride)
        for _ in range(3):
            side = (side + 1) // 2
        side //= 2
        if side < 1:
            raise ValueError(f"S3D: nothing is left of frames of {image_size} pixels")

        def shrink_frames():
            return nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))

        layers = [
            TemporalSeparableConv(in_channels, 64, 7, 2, 3, norm_layer, space_stride=stride),
            shrink_frames(),
            Conv3dNormActivation(64, 64, kernel_size=1, norm_layer=norm_layer),
            TemporalSeparableConv(64, 192, 3, 1, 1, norm_layer),
            shrink_frames(),
        ]
        channels = 192
        for name, filters in MODULES.items():
            if name == "inception4a":
                layers.append(nn.MaxPool3d(3, stride=2, padding=1))
            if name == "inception5a":
                layers.append(nn.MaxPool3d(2, stride=2))
            layers.append(SepInceptionBlock3D(channels, *filters, norm_layer))
            channels = filters[0] + filters[2] + filters[4] + filters[5]
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AvgPool3d(kernel_size=(2, min(side, 7), min(side, 7)), stride=1)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), nn.Conv3d(channels, num_classes, kernel_size=1))

    def forward(self, x):
        x = self.features(x)  # (N, 1024, T/8, S/32, S/32)
        x = self.classifier(self.avgpool(x))
        return x.mean((2, 3, 4))


s3d = variant("s3d", S3D, "S3D, Inception's modules in space and time: 8,320,048 parameters.", classes=400)
