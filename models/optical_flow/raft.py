"""RAFT (Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", 2020)."""
import math
from functools import partial

import minigrad
from minigrad import nn
from minigrad.vision.ops import Conv2dNormActivation
from models.registry import register

__all__ = ["RAFT", "raft_large", "raft_small"]

FACTOR = 8  # pixels of an image per position of its feature maps, along each axis


# ---------------------------------------------------------------- features
class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with biases, norm and ReLU beside a shortcut, and ReLU.

    >>> tuple(ResidualBlock(4, 8, norm_layer=nn.InstanceNorm2d, stride=2)(minigrad.zeros(1, 4, 6, 6)).shape)
    (1, 8, 3, 3)
    """

    def __init__(self, in_channels, out_channels, *, norm_layer, stride=1, always_project=False):
        super().__init__()
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, bias=True)
        self.convnormrelu1 = conv(in_channels, out_channels, stride=stride)
        self.convnormrelu2 = conv(out_channels, out_channels)
        self.downsample = nn.Identity()
        if stride != 1 or always_project:
            self.downsample = conv(in_channels, out_channels, kernel_size=1, stride=stride, activation_layer=None)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.downsample(x) + self.convnormrelu2(self.convnormrelu1(x)))


class BottleneckBlock(nn.Module):
    """1x1 to a quarter of the channels, 3x3 and 1x1 with biases, norm and ReLU beside a shortcut, and ReLU.

    >>> tuple(BottleneckBlock(4, 8, norm_layer=None, stride=2)(minigrad.zeros(1, 4, 6, 6)).shape)
    (1, 8, 3, 3)
    """

    def __init__(self, in_channels, out_channels, *, norm_layer, stride=1):
        super().__init__()
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, bias=True)
        narrow = out_channels // 4
        self.convnormrelu1 = conv(in_channels, narrow, kernel_size=1)
        self.convnormrelu2 = conv(narrow, narrow, stride=stride)
        self.convnormrelu3 = conv(narrow, out_channels, kernel_size=1)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Identity()
        if stride != 1:
            self.downsample = conv(in_channels, out_channels, kernel_size=1, stride=stride, activation_layer=None)

    def forward(self, x):
        y = self.convnormrelu3(self.convnormrelu2(self.convnormrelu1(x)))
        return self.relu(self.downsample(x) + y)


class FeatureEncoder(nn.Module):
    """A 7x7 convolution, three pairs of blocks and a 1x1 convolution; the maps have an eighth of the size.

    Args:
        block: ResidualBlock or BottleneckBlock.
        layers: channels of the five parts.
        strides: of the first four.
        norm_layer: makes a normalisation of so many channels; None for none.

    Raises:
        ValueError: for other than five layers.

    >>> tuple(FeatureEncoder(layers=(8, 8, 8, 8, 16))(minigrad.zeros(1, 3, 16, 24)).shape)
    (1, 16, 2, 3)
    """

    def __init__(
        self, *, block=ResidualBlock, layers=(64, 64, 96, 128, 256), strides=(2, 1, 2, 2), norm_layer=nn.BatchNorm2d
    ):
        super().__init__()
        if len(layers) != 5:
            raise ValueError(f"The expected number of layers is 5, instead got {len(layers)}")
        self.convnormrelu = Conv2dNormActivation(
            3, layers[0], norm_layer=norm_layer, kernel_size=7, stride=strides[0], bias=True
        )
        for number in (1, 2, 3):
            before, after = layers[number - 1 : number + 1]
            first = block(before, after, norm_layer=norm_layer, stride=strides[number])
            self.add_module(f"layer{number}", nn.Sequential(first, block(after, after, norm_layer=norm_layer)))
        self.conv = nn.Conv2d(layers[3], layers[4], kernel_size=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.output_dim = layers[-1]
        self.downsample_factor = 2 ** sum(stride == 2 for stride in strides)

    def forward(self, x):
        x = self.convnormrelu(x)
        return self.conv(self.layer3(self.layer2(self.layer1(x))))


# ---------------------------------------------------------------- correlations
def sample_at(maps, places):
    """Bilinear values of maps (N, C, H, W) at places (N, h, w, 2), x and y in pixels; 0 outside."""
    sides = [side - 1 for side in (maps.shape[-1], maps.shape[-2])]
    scaled = [2 * axis / side - 1 if side > 0 else axis for axis, side in zip(places.unbind(-1), sides)]
    return nn.functional.grid_sample(maps, minigrad.stack(scaled, -1), mode="bilinear", align_corners=True)


class CorrBlock(nn.Module):
    """How alike the features of each position are to those around a place of the other image, at several resolutions.

    Args:
        num_levels: resolutions, each of half the size of the one before.
        radius: positions to each side of a place.

    Source: Teed and Deng 2020, section 3.2
    """

    def __init__(self, *, num_levels=4, radius=4):
        super().__init__()
        self.num_levels = num_levels
        self.radius = radius
        self.corr_pyramid = []
        self.out_channels = num_levels * (2 * radius + 1) ** 2

    def build_pyramid(self, fmap1, fmap2):
        """Keep the products of all positions' features of two maps (N, C, H, W), means of 2x2 at the next levels.

        Raises:
            ValueError: for maps of different shapes, or too small ones.
        """
        if fmap1.shape != fmap2.shape:
            raise ValueError(
                f"Input feature maps should have the same shape, instead got {fmap1.shape} (fmap1.shape) != "
                f"{fmap2.shape} (fmap2.shape)"
            )
        least = 2**self.num_levels
        n, channels, height, width = fmap1.shape
        if min(height, width) < least:
            raise ValueError(
                "Feature maps are too small to be down-sampled by the correlation pyramid. H and W of feature maps "
                f"should be at least {least}; got: {fmap1.shape[-2:]}. Remember that input images to the model are "
                f"downsampled by {FACTOR}, so that means their dimensions should be at least {FACTOR} * {least} = "
                f"{FACTOR * least}."
            )
        products = fmap1.flatten(2).transpose(1, 2) @ fmap2.flatten(2)  # (N, H·W, H·W)
        level = products.reshape(n * height * width, 1, height, width) / math.sqrt(channels)
        self.corr_pyramid = [level]
        for _ in range(self.num_levels - 1):
            level = nn.functional.avg_pool2d(level, kernel_size=2, stride=2)
            self.corr_pyramid.append(level)

    def index_pyramid(self, centroids_coords):
        """The products around each position's place (N, 2, H, W), x and y: (N, out_channels, H, W)."""
        places = centroids_coords
        n, _, height, width = places.shape
        count = 2 * self.radius + 1
        steps = minigrad.linspace(-self.radius, self.radius, count, dtype=places.dtype, device=places.device)
        # the first axis of the neighbours goes along x
        around = minigrad.stack(minigrad.meshgrid(steps, steps, indexing="ij"), -1)  # (2R + 1, 2R + 1, 2)
        places = places.permute(0, 2, 3, 1).reshape(n * height * width, 1, 1, 2)
        found = []
        for number, level in enumerate(self.corr_pyramid):
            values = sample_at(level, places / 2**number + around)
            found.append(values.reshape(n, height, width, -1))
        features = minigrad.cat(found, -1).permute(0, 3, 1, 2).contiguous()
        if features.shape[1] != self.out_channels:
            raise ValueError(
                f"Output shape of index pyramid is incorrect. Should be {(n, self.out_channels, height, width)}, got "
                f"{tuple(features.shape)}"
            )
        return features


# ---------------------------------------------------------------- updates
class MotionEncoder(nn.Module):
    """Features of the correlations and of the flow so far, which ends them as it is: (N, out_channels, H, W).

    Raises:
        ValueError: for other than two flow_layers, or one or two corr_layers.
    """

    def __init__(self, *, in_channels_corr, corr_layers=(256, 192), flow_layers=(128, 64), out_channels=128):
        super().__init__()
        if len(flow_layers) != 2:
            raise ValueError(f"The expected number of flow_layers is 2, instead got {len(flow_layers)}")
        if len(corr_layers) not in (1, 2):
            raise ValueError(f"The number of corr_layers should be 1 or 2, instead got {len(corr_layers)}")
        conv = partial(Conv2dNormActivation, norm_layer=None)
        self.convcorr1 = conv(in_channels_corr, corr_layers[0], kernel_size=1)
        self.convcorr2 = conv(*corr_layers) if len(corr_layers) == 2 else nn.Identity()
        self.convflow1 = conv(2, flow_layers[0], kernel_size=7)
        self.convflow2 = conv(*flow_layers)
        self.conv = conv(corr_layers[-1] + flow_layers[-1], out_channels - 2)
        self.out_channels = out_channels

    def forward(self, flow, corr_features):
        corr = self.convcorr2(self.convcorr1(corr_features))
        encoded = self.conv(minigrad.cat((corr, self.convflow2(self.convflow1(flow))), 1))
        return minigrad.cat((encoded, flow), 1)


class ConvGRU(nn.Module):
    """A gated recurrent unit whose products are convolutions.

    h' = (1 - z)·h + z·q with z = σ(conv([h, x])), r = σ(conv([h, x])), q = tanh(conv([r·h, x])).
    Source: Teed and Deng 2020, equations 3 to 6
    """

    def __init__(self, *, input_size, hidden_size, kernel_size, padding):
        super().__init__()
        for gate in ("convz", "convr", "convq"):
            conv = nn.Conv2d(hidden_size + input_size, hidden_size, kernel_size=kernel_size, padding=padding)
            self.add_module(gate, conv)

    def forward(self, h, x):
        both = minigrad.cat((h, x), 1)
        z = self.convz(both).sigmoid()
        r = self.convr(both).sigmoid()
        q = self.convq(minigrad.cat((r * h, x), 1)).tanh()
        return (1 - z) * h + z * q


class RecurrentBlock(nn.Module):
    """One ConvGRU, or two in a row: one kernel_size and padding for each.

    Raises:
        ValueError: for more or fewer.
    """

    def __init__(self, *, input_size, hidden_size, kernel_size=((1, 5), (5, 1)), padding=((0, 2), (2, 0))):
        super().__init__()
        if len(kernel_size) != len(padding):
            raise ValueError(
                "kernel_size should have the same length as padding, instead got len(kernel_size) = "
                f"{len(kernel_size)} and len(padding) = {len(padding)}"
            )
        if len(kernel_size) not in (1, 2):
            raise ValueError(f"kernel_size should either 1 or 2, instead got {len(kernel_size)}")
        for number, (kernel, pad) in enumerate(zip(kernel_size, padding), start=1):
            unit = ConvGRU(input_size=input_size, hidden_size=hidden_size, kernel_size=kernel, padding=pad)
            self.add_module(f"convgru{number}", unit)
        self.hidden_size = hidden_size

    def forward(self, h, x):
        for unit in self.children():
            h = unit(h, x)
        return h


class FlowHead(nn.Module):
    """Two 3x3 convolutions that make a change of the flow of the hidden state."""

    def __init__(self, *, in_channels, hidden_size):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, hidden_size, 3, padding=1)
        self.conv2 = nn.Conv2d(hidden_size, 2, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.conv2(self.relu(self.conv1(x)))


class UpdateBlock(nn.Module):
    """The next hidden state and the change of the flow, of a motion encoder, a recurrent block and a flow head."""

    def __init__(self, *, motion_encoder, recurrent_block, flow_head):
        super().__init__()
        self.motion_encoder = motion_encoder
        self.recurrent_block = recurrent_block
        self.flow_head = flow_head
        self.hidden_state_size = recurrent_block.hidden_size

    def forward(self, hidden_state, context, corr_features, flow):
        x = minigrad.cat((context, self.motion_encoder(flow, corr_features)), 1)
        hidden_state = self.recurrent_block(hidden_state, x)
        return hidden_state, self.flow_head(hidden_state)


class MaskPredictor(nn.Module):
    """The weights by which each pixel's flow is a mean of nine positions' flows: (N, 8·8·9, H/8, W/8).

    multiplier makes this branch's gradients smaller.
    Source: Teed and Deng 2020, section 3.3
    """

    def __init__(self, *, in_channels, hidden_size, multiplier=0.25):
        super().__init__()
        self.convrelu = Conv2dNormActivation(in_channels, hidden_size, norm_layer=None)
        self.conv = nn.Conv2d(hidden_size, FACTOR * FACTOR * 9, 1)
        self.multiplier = multiplier

    def forward(self, x):
        return self.multiplier * self.conv(self.convrelu(x))


def upsample_flow(flow, up_mask=None, factor=FACTOR):
    """The flow (N, 2, H, W) of factor times as many pixels, and as far: bilinear, or means by up_mask.

    >>> upsample_flow(minigrad.ones(1, 2, 2, 2), factor=2)[0, 0, 0]
    tensor([2., 2., 2., 2.])
    """
    n, channels, height, width = flow.shape
    size = (factor * height, factor * width)
    if up_mask is None:
        return factor * nn.functional.interpolate(flow, size=size, mode="bilinear", align_corners=True)
    weights = up_mask.reshape(n, 1, 9, factor, factor, height, width).softmax(2)
    around = nn.functional.unfold(factor * flow, kernel_size=3, padding=1)
    around = around.reshape(n, channels, 9, 1, 1, height, width)
    means = (weights * around).sum(2)  # (N, 2, factor, factor, H, W)
    return means.permute(0, 1, 4, 2, 5, 3).reshape(n, channels, *size)


# ---------------------------------------------------------------- the network
class RAFT(nn.Module):
    """Flow from one image to another, by recurrent updates with the correlations around where each position is so far.

    Args:
        feature_encoder: maps (N, C, H/8, W/8) of both images.
        context_encoder: maps of the first image, from which the hidden state starts and what the updates see besides.
        corr_block: has build_pyramid, index_pyramid and out_channels, as CorrBlock.
        update_block: has hidden_state_size, as UpdateBlock.
        mask_predictor: weights of the upsampling, as MaskPredictor; None for bilinear upsampling.

    Raises:
        ValueError: for an update_block without hidden_state_size.

    Source: Teed and Deng 2020; https://docs.pytorch.org/vision/stable/models/raft.html
    """

    def __init__(self, *, feature_encoder, context_encoder, corr_block, update_block, mask_predictor=None):
        super().__init__()
        self.feature_encoder = feature_encoder
        self.context_encoder = context_encoder
        self.corr_block = corr_block
        self.update_block = update_block
        self.mask_predictor = mask_predictor
        if not hasattr(update_block, "hidden_state_size"):
            raise ValueError("The update_block parameter should expose a 'hidden_state_size' attribute.")

    def _context(self, image, size):
        """The hidden state to start with and the context, of the first image."""
        maps = self.context_encoder(image)
        if maps.shape[-2:] != size:
            raise ValueError(f"The context encoder should downsample H and W by {FACTOR}")
        hidden = self.update_block.hidden_state_size
        if maps.shape[1] <= hidden:
            raise ValueError(
                f"The context encoder outputs {maps.shape[1]} channels, but it should have at strictly more than "
                f"hidden_state={hidden} channels"
            )
        return maps[:, :hidden].tanh(), maps[:, hidden:].relu()

    def forward(self, image1, image2, num_flow_updates=12):
        """The flows after each update, (N, 2, H, W), of images (N, 3, H, W) whose sides are multiples of 8.

        Raises:
            ValueError: for images of different or other sizes, or encoders that do not make an eighth of the size.
        """
        n, _, height, width = image1.shape
        if image2.shape[-2:] != (height, width):
            raise ValueError(
                f"input images should have the same shape, instead got ({height}, {width}) != {image2.shape[-2:]}"
            )
        if height % FACTOR != 0 or width % FACTOR != 0:
            raise ValueError(
                f"input image H and W should be divisible by {FACTOR}, instead got {height} (h) and {width} (w)"
            )
        size = (height // FACTOR, width // FACTOR)
        maps = self.feature_encoder(minigrad.cat((image1, image2), 0))
        first, second = maps.chunk(2, dim=0)
        if first.shape[-2:] != size:
            raise ValueError(f"The feature encoder should downsample H and W by {FACTOR}")
        self.corr_block.build_pyramid(first, second)
        hidden_state, context = self._context(image1, size)
        kind = {"dtype": minigrad.promote_types(maps.dtype, minigrad.float32), "device": maps.device}
        rows, columns = minigrad.meshgrid(*(minigrad.arange(side, **kind) for side in size), indexing="ij")
        start = minigrad.stack((columns, rows)).expand(n, 2, *size)
        places = start
        flows = []
        for _ in range(num_flow_updates):
            places = places.detach()  # an update is not trained through the places of the one before
            correlations = self.corr_block.index_pyramid(centroids_coords=places)
            hidden_state, change = self.update_block(hidden_state, context, correlations, places - start)
            places = places + change
            mask = None if self.mask_predictor is None else self.mask_predictor(hidden_state)
            flows.append(upsample_flow(places - start, mask))
        return flows


def _raft(
    block,
    feature_layers,
    context_layers,
    context_norm,
    radius,
    motion,
    hidden_size,
    recurrent,
    head_size,
    with_mask,
    *,
    feature_encoder=None,
    context_encoder=None,
    corr_block=None,
    update_block=None,
    mask_predictor=None,
    **kw,
):
    """A RAFT of given parts, the others made of the sizes."""
    norm = nn.InstanceNorm2d
    feature_encoder = feature_encoder or FeatureEncoder(block=block, layers=feature_layers, norm_layer=norm)
    context_encoder = context_encoder or FeatureEncoder(block=block, layers=context_layers, norm_layer=context_norm)
    corr_block = corr_block or CorrBlock(radius=radius)
    if update_block is None:
        encoder = MotionEncoder(in_channels_corr=corr_block.out_channels, **motion)
        inputs = encoder.out_channels + context_layers[-1] - hidden_size
        unit = RecurrentBlock(input_size=inputs, hidden_size=hidden_size, **recurrent)
        head = FlowHead(in_channels=hidden_size, hidden_size=head_size)
        update_block = UpdateBlock(motion_encoder=encoder, recurrent_block=unit, flow_head=head)
    if mask_predictor is None and with_mask:
        mask_predictor = MaskPredictor(in_channels=hidden_size, hidden_size=256)
    return RAFT(
        feature_encoder=feature_encoder,
        context_encoder=context_encoder,
        corr_block=corr_block,
        update_block=update_block,
        mask_predictor=mask_predictor,
        **kw,
    )


@register(common=())
def raft_large(**kw):
    """RAFT: 5,257,536 parameters; kw are parts of RAFT that replace its own."""
    return _raft(
        block=ResidualBlock,
        feature_layers=(64, 64, 96, 128, 256),
        context_layers=(64, 64, 96, 128, 256),
        context_norm=nn.BatchNorm2d,
        radius=4,
        motion={"corr_layers": (256, 192), "flow_layers": (128, 64), "out_channels": 128},
        hidden_size=128,
        recurrent={"kernel_size": ((1, 5), (5, 1)), "padding": ((0, 2), (2, 0))},
        head_size=256,
        with_mask=True,
        **kw,
    )


@register(common=())
def raft_small(**kw):
    """RAFT with fewer channels and bilinear upsampling: 990,162 parameters; kw are parts that replace its own."""
    return _raft(
        block=BottleneckBlock,
        feature_layers=(32, 32, 64, 96, 128),
        context_layers=(32, 32, 64, 96, 160),
        context_norm=None,
        radius=3,
        motion={"corr_layers": (96,), "flow_layers": (64, 32), "out_channels": 82},
        hidden_size=96,
        recurrent={"kernel_size": (3,), "padding": (1,)},
        head_size=128,
        with_mask=False,
        **kw,
    )
