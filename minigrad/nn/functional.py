"""Functions of networks under PyTorch's names; each is defined once, in minigrad/ops.

Source: https://docs.pytorch.org/docs/stable/nn.functional.html
"""

from minigrad.absent import getter
from minigrad.nn import _reduction as _Reduction  # noqa: F401, N812 - losses outside import it
from minigrad.ops.activation import (
    celu,
    celu_,
    elu,
    elu_,
    gelu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    hardtanh_,
    leaky_relu,
    leaky_relu_,
    logsigmoid,
    mish,
    relu,
    relu6,
    relu6_,
    relu_,
    selu,
    selu_,
    silu,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
    threshold_,
)
from minigrad.ops.adaptive_pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool1d_with_indices,
    adaptive_max_pool2d,
    adaptive_max_pool2d_with_indices,
    adaptive_max_pool3d,
    adaptive_max_pool3d_with_indices,
    fractional_max_pool2d,
    fractional_max_pool2d_with_indices,
    fractional_max_pool3d,
    fractional_max_pool3d_with_indices,
)
from minigrad.ops.attention import scaled_dot_product_attention
from minigrad.ops.conv import (
    conv1d,
    conv2d,
    conv3d,
    conv_tbc,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    fold,
    unfold,
)
from minigrad.ops.cross_entropy import cross_entropy, linear_cross_entropy, nll_loss
from minigrad.ops.ctc import ctc_loss
from minigrad.ops.distance import cosine_similarity, normalize, pairwise_distance, pdist
from minigrad.ops.dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
    plain_dropout,
)
from minigrad.ops.embedding import embedding, embedding_bag, one_hot
from minigrad.ops.gated import glu, gumbel_softmax, prelu, rrelu, rrelu_
from minigrad.ops.grid import affine_grid, grid_sample
from minigrad.ops.linear import bilinear, linear
from minigrad.ops.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    huber_loss,
    kl_div,
    l1_loss,
    margin_ranking_loss,
    mse_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    poisson_nll_loss,
    smooth_l1_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from minigrad.ops.multihead import multi_head_attention_forward
from minigrad.ops.norm import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from minigrad.ops.pad import pad
from minigrad.ops.pool import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool2d_with_indices,
    max_pool3d,
    max_pool3d_with_indices,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from minigrad.ops.resample import (
    channel_shuffle,
    interpolate,
    native_channel_shuffle,
    pixel_shuffle,
    pixel_unshuffle,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)
from minigrad.ops.response_norm import local_response_norm
from minigrad.ops.softmax import log_softmax, softmax, softmin
from minigrad.registry import FUNCTIONS

sigmoid = FUNCTIONS["sigmoid"]
tanh = FUNCTIONS["tanh"]


__getattr__ = getter(__name__)
