"""Vision Transformer (Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020)."""
import math
from collections import OrderedDict, namedtuple
from functools import partial

import minigrad
from minigrad import nn
from minigrad.vision.ops import MLP, Conv2dNormActivation
from models.registry import OldNames, variant

__all__ = [
    "VisionTransformer",
    "interpolate_embeddings",
    "vit_b_16",
    "vit_b_32",
    "vit_h_14",
    "vit_l_16",
    "vit_l_32",
]

ConvStemConfig = namedtuple(
    "ConvStemConfig",
    ["out_channels", "kernel_size", "stride", "norm_layer", "activation_layer"],
    defaults=[nn.BatchNorm2d, nn.ReLU],
)
ConvStemConfig.__doc__ = "One convolution of a stem in place of the patches."
LAYER_NORM = partial(nn.LayerNorm, eps=1e-6)


class MLPBlock(MLP):
    """A transformer's perceptron: to mlp_dim channels, GELU, and back, with dropout after both.

    >>> tuple(MLPBlock(4, 8, 0.0)(minigrad.zeros(2, 3, 4)).shape)
    (2, 3, 4)
    """

    def __init__(self, in_dim, mlp_dim, dropout):
        super().__init__(in_dim, [mlp_dim, in_dim], activation_layer=nn.GELU, inplace=None, dropout=dropout)
        for layer in self:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.normal_(layer.bias, std=1e-6)


class EncoderBlock(nn.Module):
    """x + attention(norm(x)), then x + perceptron(norm(x)), of (N, tokens, hidden_dim).

    >>> tuple(EncoderBlock(2, 8, 16, 0.0, 0.0)(minigrad.zeros(1, 5, 8)).shape)
    (1, 5, 8)
    """

    def __init__(self, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer=LAYER_NORM):
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(hidden_dim, num_heads, dropout=attention_dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input):
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        x = self.dropout(x) + input
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Learnt positions added to the tokens, then blocks, then a normalisation."""

    def __init__(
        self,
        seq_length,
        num_layers,
        num_heads,
        hidden_dim,
        mlp_dim,
        dropout,
        attention_dropout,
        norm_layer=LAYER_NORM,
    ):
        super().__init__()
        self.pos_embedding = nn.Parameter(minigrad.empty(1, seq_length, hidden_dim))
        nn.init.normal_(self.pos_embedding, std=0.02)
        self.dropout = nn.Dropout(dropout)
        blocks = OrderedDict()
        for index in range(num_layers):
            block = EncoderBlock(num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer)
            blocks[f"encoder_layer_{index}"] = block
        self.layers = nn.Sequential(blocks)
        self.ln = norm_layer(hidden_dim)

    def forward(self, input):
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))


class VisionTransformer(OldNames, nn.Module):
    """Patches of the image as tokens of a transformer, whose first, the class token, goes to the linear layer.

    Args:
        image_size: side of the images in pixels, a multiple of patch_size; others cannot be put through.
        patch_size: side of a patch.
        num_layers, num_heads, hidden_dim, mlp_dim: of the encoder.
        dropout, attention_dropout: probabilities.
        num_classes: number of outputs.
        representation_size: width of one more hidden layer with tanh; None for none.
        norm_layer: makes a normalisation of the last axis.
        conv_stem_configs: list of ConvStemConfig, convolutions in place of the patches.
        in_channels: channels of the images.

    Raises:
        AssertionError: for an image_size that patches do not fill, and for other images when called.

    Source: Dosovitskiy et al. 2020, table 1; https://docs.pytorch.org/vision/stable/models/vision_transformer.html

    >>> model = VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=10)
    >>> tuple(model(minigrad.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    old_names = ((r"\.mlp\.linear_1\.", ".mlp.0."), (r"\.mlp\.linear_2\.", ".mlp.3."))  # before torchvision 0.14

    def __init__(
        self,
        image_size,
        patch_size,
        num_layers,
        num_heads,
        hidden_dim,
        mlp_dim,
        dropout=0.0,
        attention_dropout=0.0,
        num_classes=1000,
        representation_size=None,
        norm_layer=LAYER_NORM,
        conv_stem_configs=None,
        *,
        in_channels=3,
    ):
        super().__init__()
        if image_size % patch_size != 0:
            raise AssertionError("Input shape indivisible by patch size!")
        self.image_size = image_size
        self.in_channels = in_channels
        self.patch_size = patch_size
        self.hidden_dim = hidden_dim
        self.mlp_dim = mlp_dim
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.num_classes = num_classes
        self.representation_size = representation_size
        self.norm_layer = norm_layer
        self.class_token = nn.Parameter(minigrad.zeros(1, 1, hidden_dim))
        if conv_stem_configs is None:
            self.conv_proj = nn.Conv2d(in_channels, hidden_dim, kernel_size=patch_size, stride=patch_size)
        else:
            self.conv_proj = _stem(conv_stem_configs, in_channels, hidden_dim)
        self.seq_length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(
            self.seq_length, num_layers, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer
        )
        heads = OrderedDict()
        if representation_size is not None:
            heads["pre_logits"] = nn.Linear(hidden_dim, representation_size)
            heads["act"] = nn.Tanh()
            hidden_dim = representation_size
        heads["head"] = nn.Linear(hidden_dim, num_classes)
        self.heads = nn.Sequential(heads)
        self._draw()

    def _draw(self):
        if isinstance(self.conv_proj, nn.Conv2d):
            last = self.conv_proj
            fan_in = last.in_channels * last.kernel_size[0] * last.kernel_size[1]
            nn.init.trunc_normal_(last.weight, std=math.sqrt(1 / fan_in))
        else:
            last = self.conv_proj.conv_last
            nn.init.normal_(last.weight, mean=0.0, std=math.sqrt(2.0 / last.out_channels))
        nn.init.zeros_(last.bias)
        if self.representation_size is not None:
            hidden = self.heads.pre_logits
            nn.init.trunc_normal_(hidden.weight, std=math.sqrt(1 / hidden.in_features))
            nn.init.zeros_(hidden.bias)
        nn.init.zeros_(self.heads.head.weight)
        nn.init.zeros_(self.heads.head.bias)

    def forward(self, x):
        for side, name in zip(x.shape[-2:], ("height", "width")):
            if side != self.image_size:
                raise AssertionError(f"Wrong image {name}! Expected {self.image_size} but got {side}!")
        x = self.conv_proj(x).flatten(2).transpose(1, 2)  # (N, patches, hidden_dim)
        first = self.class_token.expand(x.shape[0], -1, -1)
        x = self.encoder(minigrad.cat([first, x], dim=1))
        return self.heads(x[:, 0])


def _stem(configs, channels, hidden_dim):
    stem = nn.Sequential()
    for index, config in enumerate(configs):
        layer = Conv2dNormActivation(
            channels,
            config.out_channels,
            config.kernel_size,
            config.stride,
            norm_layer=config.norm_layer,
            activation_layer=config.activation_layer,
        )
        stem.add_module(f"conv_bn_relu_{index}", layer)
        channels = config.out_channels
    stem.add_module("conv_last", nn.Conv2d(channels, hidden_dim, kernel_size=1))
    return stem


def interpolate_embeddings(image_size, patch_size, model_state, interpolation_mode="bicubic", reset_heads=False):
    """A state_dict for images of another size: the positions resampled, the other entries as they are.

    Args:
        image_size, patch_size: of the network that is to be loaded.
        model_state: state_dict of a VisionTransformer.
        interpolation_mode: see nn.functional.interpolate.
        reset_heads: leave out the entries of the heads.

    Raises:
        ValueError: if the positions are not those of square images.

    Source: https://github.com/pytorch/vision/blob/main/references/classification#vision-transformer

    >>> state = {"encoder.pos_embedding": minigrad.zeros(1, 5, 8)}
    >>> tuple(interpolate_embeddings(32, 8, state)["encoder.pos_embedding"].shape)
    (1, 17, 8)
    """
    positions = model_state["encoder.pos_embedding"]
    n, length, hidden = positions.shape
    if n != 1:
        raise ValueError(f"Unexpected position embedding shape: {positions.shape}")
    side, new_side = math.isqrt(length - 1), image_size // patch_size
    if new_side == side and side * side == length - 1:
        return model_state
    if side * side != length - 1:
        raise ValueError(
            "seq_length is not a perfect square! Instead got seq_length_1d * seq_length_1d = "
            f"{side * side} and seq_length = {length - 1}"
        )
    grid = positions[:, 1:].transpose(1, 2).reshape(1, hidden, side, side)
    grid = nn.functional.interpolate(grid, size=new_side, mode=interpolation_mode, align_corners=True)
    grid = grid.reshape(1, hidden, new_side * new_side).transpose(1, 2)
    state = {**model_state, "encoder.pos_embedding": minigrad.cat([positions[:, :1], grid], dim=1)}
    return {name: value for name, value in state.items() if not (reset_heads and name.startswith("heads"))}


def _vit(name, patch_size, num_layers, num_heads, hidden_dim, mlp_dim, parameters):
    fixed = {
        "patch_size": patch_size,
        "num_layers": num_layers,
        "num_heads": num_heads,
        "hidden_dim": hidden_dim,
        "mlp_dim": mlp_dim,
    }
    about = f"ViT of {num_layers} layers on patches of {patch_size} pixels: {parameters:,} parameters at 224 pixels."
    return variant(name, VisionTransformer, about, fixed)


vit_b_16 = _vit("vit_b_16", 16, 12, 12, 768, 3072, 86567656)
vit_b_32 = _vit("vit_b_32", 32, 12, 12, 768, 3072, 88224232)
vit_l_16 = _vit("vit_l_16", 16, 24, 16, 1024, 4096, 304326632)
vit_l_32 = _vit("vit_l_32", 32, 24, 16, 1024, 4096, 306535400)
vit_h_14 = _vit("vit_h_14", 14, 32, 16, 1280, 5120, 632045800)
