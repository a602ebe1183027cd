"""Attention with several heads."""

from minigrad.nn import init
from minigrad.nn.factory import empty_parameter
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.ops.multihead import multi_head_attention_forward

__all__ = ["MultiheadAttention"]


class NonDynamicallyQuantizableLinear(Linear):
    """Linear, under the name that PyTorch gives the output projection of attention."""


class MultiheadAttention(Module):
    """Attention with several heads: heads attend with projections of query, key and value of their own.

    MultiHead(Q, K, V) = concat(head₁, …) Wᴼ, headᵢ = softmax(Q Wᵢ^Q (K Wᵢ^K)ᵀ / √d) V Wᵢ^V.
    Arguments: embed_dim (E), num_heads (divides E: AssertionError otherwise), dropout (of the weights), bias,
    add_bias_kv (a learned extra key and value), add_zero_attn (one of zeros), kdim, vdim (sizes of key and value,
    default E), batch_first ((N, L, E) instead of (L, N, E)), device, dtype.
    Source: Vaswani et al. 2017; https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html

    >>> import minigrad as mg
    >>> attention = mg.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = mg.randn(3, 5, 8)
    >>> out, weights = attention(x, x, x)
    >>> out.shape, weights.shape
    (minigrad.Size([3, 5, 8]), minigrad.Size([3, 5, 5]))
    """

    __constants__ = ["batch_first"]

    def __init__(
        self,
        embed_dim,
        num_heads,
        dropout=0.0,
        bias=True,
        add_bias_kv=False,
        add_zero_attn=False,
        kdim=None,
        vdim=None,
        batch_first=False,
        device=None,
        dtype=None,
    ):
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} "
                "instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")
        same = self._qkv_same_embed_dim
        for name, size in (("q", embed_dim), ("k", self.kdim), ("v", self.vdim)):
            separate = None if same else empty_parameter((embed_dim, size), device, dtype)
            self.register_parameter(f"{name}_proj_weight", separate)
        joint = empty_parameter((3 * embed_dim, embed_dim), device, dtype) if same else None
        self.register_parameter("in_proj_weight", joint)
        self.register_parameter("in_proj_bias", empty_parameter(3 * embed_dim, device, dtype) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        extra = (1, 1, embed_dim)
        self.bias_k = empty_parameter(extra, device, dtype) if add_bias_kv else None
        self.bias_v = empty_parameter(extra, device, dtype) if add_bias_kv else None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self):
        """Draw the projections anew."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query,
        key,
        value,
        key_padding_mask=None,
        need_weights=True,
        attn_mask=None,
        average_attn_weights=True,
        is_causal=False,
    ):
        """Return (attention (L, N, E), weights (N, L, S), (N, heads, L, S) if not averaged, or None if not needed)."""
        if query.is_nested:
            return self._forward_nested(
                query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal
            )
        swap = self.batch_first and query.dim() == 3
        if swap:
            same = (query is key, key is value)
            query = query.transpose(0, 1)
            key = query if same[0] else key.transpose(0, 1)
            value = key if same[1] else value.transpose(0, 1)
        masks = {"key_padding_mask": key_padding_mask, "attn_mask": attn_mask, "is_causal": is_causal}
        out, weights = self._attention(query, key, value, need_weights, average_attn_weights, **masks)
        return (out.transpose(0, 1) if swap else out), weights

    def _forward_nested(self, query, key, value, key_padding_mask, need_weights, attn_mask, average, is_causal):
        """Return the result for nested tensors, part by part: see minigrad.nested."""
        def attention(*three):
            return self._attention(*three, need_weights, average, is_causal=is_causal)

        masked = attn_mask is not None or key_padding_mask is not None
        return query.attended(key, value, attention, self.batch_first, masked, need_weights)

    def _attention(self, query, key, value, need_weights, average, **masks):
        """Return (attention, weights) of tensors (length, batch, E)."""
        return multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            need_weights=need_weights,
            use_separate_proj_weight=not self._qkv_same_embed_dim,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average,
            **masks,
        )
