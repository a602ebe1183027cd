"""The transformer of Vaswani et al.: encoder and decoder layers, stacks of them, and both together."""

import copy
import math

from minigrad.backend import as_dtype, default_float, get_default_device, move, np
from minigrad.nn import init
from minigrad.nn.activation import GELU, ReLU
from minigrad.nn.container import ModuleList
from minigrad.nn.dropout import Dropout
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.nn.multihead import MultiheadAttention
from minigrad.nn.normalization import LayerNorm
from minigrad.ops.activation import gelu, relu
from minigrad.tensor import as_device, wrap
from minigrad.variable import MODE

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]


def _get_activation_fn(activation):
    """Return the function for "relu", "gelu" or a callable; RuntimeError for another name."""
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return relu if activation == "relu" else gelu


def _causal_mask(size, device=None, dtype=None):
    """Return (size, size) numbers to add to attention scores: -inf for the positions after one's own, else 0."""
    device = get_default_device() if device is None else as_device(device)
    dtype = default_float() if dtype is None else as_dtype(dtype).numpy
    return wrap(move(np.triu(np.full((size, size), -math.inf, dtype), 1), device))


def _get_clones(module, N):  # noqa: N803 - PyTorch's names, which layers outside import
    return ModuleList([copy.deepcopy(module) for _ in range(N)])


class _Layer(Module):
    """What encoder and decoder layers share: self-attention and two linear maps, each with a norm and dropout."""

    __constants__ = ["norm_first"]

    def __init__(
        self,
        d_model,
        nhead,
        dim_feedforward,
        dropout,
        activation,
        layer_norm_eps,
        batch_first,
        norm_first,
        bias,
        device,
        dtype,
        attentions,
    ):
        super().__init__()
        placed = {"device": device, "dtype": dtype}
        for name in attentions:
            setattr(self, name, MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **placed))
        self.linear1 = Linear(d_model, dim_feedforward, bias, **placed)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **placed)
        self.norm_first = norm_first
        blocks = range(1, len(attentions) + 2)
        for number in blocks:
            setattr(self, f"norm{number}", LayerNorm(d_model, layer_norm_eps, bias=bias, **placed))
        for number in blocks:
            setattr(self, f"dropout{number}", Dropout(dropout))
        self.activation = _get_activation_fn(activation)

    def __setstate__(self, state):
        super().__setstate__(state)
        if "activation" not in state:
            self.activation = relu

    def _added(self, x, norm, block):
        """Return x plus what a block makes of it, with the norm before the block or after the sum."""
        return x + block(norm(x)) if self.norm_first else norm(x + block(x))

    def _sa_block(self, x, attn_mask, key_padding_mask, is_causal=False):
        settings = {"key_padding_mask": key_padding_mask, "need_weights": False, "is_causal": is_causal}
        return self.dropout1(self.self_attn(x, x, x, attn_mask=attn_mask, **settings)[0])

    def _feed_forward(self, x):
        hidden = self.linear1(x)
        active = hidden.activated(self.activation) if hidden.is_nested else self.activation(hidden)
        return self.linear2(self.dropout(active))


class TransformerEncoderLayer(_Layer):
    """x = norm(x + attention(x)), then x = norm(x + W₂ activation(W₁ x)); with norm_first x + attention(norm(x)), ….

    Arguments: d_model (E), nhead (heads, dividing E), dim_feedforward, dropout, activation ("relu", "gelu" or a
    function), layer_norm_eps, batch_first ((N, L, E) instead of (L, N, E)), norm_first, bias, device, dtype.
    Source: Vaswani et al. 2017; https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerEncoderLayer.html

    >>> import minigrad as mg
    >>> mg.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)(mg.ones(3, 5, 8)).shape
    minigrad.Size([3, 5, 8])
    """

    def __init__(
        self,
        d_model,
        nhead,
        dim_feedforward=2048,
        dropout=0.1,
        activation=relu,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
    ):
        super().__init__(
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            device,
            dtype,
            ("self_attn",),
        )
        functions = (relu, ReLU), (gelu, GELU)
        kinds = [self.activation == function or isinstance(self.activation, kind) for function, kind in functions]
        self.activation_relu_or_gelu = 1 if kinds[0] else 2 * kinds[1]  # what PyTorch's layer looks for

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        """Return the layer's output for src; the masks are those of MultiheadAttention."""
        masks = (src_mask, src_key_padding_mask, is_causal)
        x = self._added(src, self.norm1, lambda x: self._sa_block(x, *masks))
        return self._added(x, self.norm2, self._ff_block)

    def _ff_block(self, x):
        return self.dropout2(self._feed_forward(x))


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to an encoder's output (memory), and two linear maps, each with a norm.

    Arguments: as in TransformerEncoderLayer.
    Source: Vaswani et al. 2017; https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerDecoderLayer.html

    >>> import minigrad as mg
    >>> mg.nn.TransformerDecoderLayer(8, 2, 16)(mg.ones(5, 3, 8), mg.ones(7, 3, 8)).shape
    minigrad.Size([5, 3, 8])
    """

    def __init__(
        self,
        d_model,
        nhead,
        dim_feedforward=2048,
        dropout=0.1,
        activation=relu,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
    ):
        super().__init__(
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            device,
            dtype,
            ("self_attn", "multihead_attn"),
        )

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=False,
        memory_is_causal=False,
    ):
        """Return the layer's output for tgt and memory; the masks are those of MultiheadAttention."""
        masks = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        memory_masks = (memory_mask, memory_key_padding_mask, memory_is_causal)
        x = self._added(tgt, self.norm1, lambda x: self._sa_block(x, *masks))
        x = self._added(x, self.norm2, lambda x: self._mha_block(x, memory, *memory_masks))
        return self._added(x, self.norm3, self._ff_block)

    def _mha_block(self, x, mem, attn_mask, key_padding_mask, is_causal=False):
        settings = {"key_padding_mask": key_padding_mask, "need_weights": False, "is_causal": is_causal}
        return self.dropout2(self.multihead_attn(x, mem, mem, attn_mask=attn_mask, **settings)[0])

    def _ff_block(self, x):
        return self.dropout3(self._feed_forward(x))


class TransformerEncoder(Module):
    """Copies of an encoder layer, one after the other.

    Arguments: encoder_layer (TransformerEncoderLayer; copied), num_layers, norm (module for the result),
    enable_nested_tensor (as in PyTorch the result has zeros for padding where evaluation skips it: without gradients,
    for batch_first layers with norm_first=False, and a src_key_padding_mask as the only mask), mask_check (that only
    if all padding is at the end; else the mask is taken to be so).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerEncoder.html

    >>> import minigrad as mg
    >>> mg.nn.TransformerEncoder(mg.nn.TransformerEncoderLayer(8, 2, 16), 2)(mg.ones(5, 3, 8)).shape
    minigrad.Size([5, 3, 8])
    """

    __constants__ = ["norm"]

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
        super().__init__()
        self.layers = _get_clones(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        """Return the last layer's output for src, normed; is_causal says that mask is the causal one."""
        padding = self._skipped_padding(src, mask, src_key_padding_mask)
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal))
        if padding is not None:
            src = src.masked_fill(padding.unsqueeze(-1), 0.0)
        return src if self.norm is None else self.norm(src)

    def _skipped_padding(self, src, mask, src_key_padding_mask):
        """Return where PyTorch's evaluation skips padding, whose results are zeros: (N, L) of bool, or None."""
        layer = self.layers[0] if len(self.layers) else None
        if not self.enable_nested_tensor or src_key_padding_mask is None or mask is not None or src.dim() != 3:
            return None
        if not isinstance(layer, TransformerEncoderLayer) or layer.training or layer.norm_first or src.is_nested:
            return None
        attention = layer.self_attn
        if not (attention.batch_first and attention._qkv_same_embed_dim and layer.activation_relu_or_gelu):
            return None
        if attention.in_proj_bias is None or attention.num_heads % 2 or layer.norm1.eps != layer.norm2.eps:
            return None
        if MODE.autocast or MODE.grad and (src.requires_grad or any(p.requires_grad for p in layer.parameters())):
            return None
        padding = src_key_padding_mask != 0
        if self.mask_check and not bool((padding[:, 1:] >= padding[:, :-1]).all()):
            return None
        return padding


class TransformerDecoder(Module):
    """Copies of a decoder layer, one after the other.

    Arguments: decoder_layer (TransformerDecoderLayer; copied), num_layers, norm (module for the result).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerDecoder.html

    >>> import minigrad as mg
    >>> decoder = mg.nn.TransformerDecoder(mg.nn.TransformerDecoderLayer(8, 2, 16), 2)
    >>> decoder(mg.ones(5, 3, 8), mg.ones(7, 3, 8)).shape
    minigrad.Size([5, 3, 8])
    """

    __constants__ = ["norm"]

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__()
        self.layers = _get_clones(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        """Return the last layer's output for tgt and memory, normed."""
        for layer in self.layers:
            tgt = layer(
                tgt,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=bool(tgt_is_causal),
                memory_is_causal=memory_is_causal,
            )
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder of the source, and a decoder of the target that attends to it.

    Arguments: d_model (E), nhead, num_encoder_layers, num_decoder_layers, dim_feedforward, dropout, activation,
    custom_encoder, custom_decoder (modules in their place), layer_norm_eps, batch_first, norm_first, bias, device,
    dtype. Source: Vaswani et al. 2017; https://docs.pytorch.org/docs/stable/generated/torch.nn.Transformer.html

    >>> import minigrad as mg
    >>> model = mg.nn.Transformer(8, 2, 1, 1, 16)
    >>> model(mg.ones(7, 3, 8), mg.ones(5, 3, 8), tgt_mask=model.generate_square_subsequent_mask(5)).shape
    minigrad.Size([5, 3, 8])
    """

    def __init__(
        self,
        d_model=512,
        nhead=8,
        num_encoder_layers=6,
        num_decoder_layers=6,
        dim_feedforward=2048,
        dropout=0.1,
        activation=relu,
        custom_encoder=None,
        custom_decoder=None,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        settings = (dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, device, dtype)

        def norm():
            return LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)

        if custom_encoder is None:
            layer = TransformerEncoderLayer(d_model, nhead, *settings)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm())
        if custom_decoder is None:
            layer = TransformerDecoderLayer(d_model, nhead, *settings)
            custom_decoder = TransformerDecoder(layer, num_decoder_layers, norm())
        self.encoder = custom_encoder
        self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self):
        """Draw all matrices anew."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                init.xavier_uniform_(parameter)

    @staticmethod
    def generate_square_subsequent_mask(sz, device=None, dtype=None):
        """Return the causal mask (sz, sz): -inf where a position would attend to a later one, else 0."""
        return _causal_mask(sz, device, dtype)

    def forward(
        self,
        src,
        tgt,
        src_mask=None,
        tgt_mask=None,
        memory_mask=None,
        src_key_padding_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        src_is_causal=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        """Return the decoder's output (T, N, E) for src (S, N, E) and tgt; RuntimeError for sizes that do not fit."""
        batch = 0 if self.batch_first else 1
        if src.dim() == 3 and src.shape[batch] != tgt.shape[batch]:
            raise RuntimeError("the batch number of src and tgt must be equal")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(src, src_mask, src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )
