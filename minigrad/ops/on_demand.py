"""Families of functions that few programs use: each is imported when one of its names is first asked for."""

from minigrad.registry import on_demand

# The operations of torch._foreach_NAME: with a result and in place, only with a result, only in place.
FOREACH_UNARY = (
    "abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg reciprocal round "
    "rsqrt sigmoid sign sin sinh sqrt tan tanh trunc"
).split()
FOREACH_BINARY = "add clamp_max clamp_min div maximum minimum mul pow sub".split()
FOREACH_POINTWISE = "addcdiv addcmul".split()
FOREACH_RESULT = "clone max mm norm powsum".split()
FOREACH_IN_PLACE = "copy_ zero_".split()
_FOREACH = [
    f"_foreach_{name}{suffix}"
    for suffix in ("", "_")
    for name in (*FOREACH_UNARY, *FOREACH_BINARY, *FOREACH_POINTWISE, "lerp")
]
on_demand("ops.foreach", [*_FOREACH, *(f"_foreach_{name}" for name in (*FOREACH_RESULT, *FOREACH_IN_PLACE))])

for _module, _functions, _methods in (
    ("ops.spectrum", "stft istft", "stft istft"),
    ("ops.windows", "bartlett_window blackman_window hamming_window hann_window kaiser_window", ""),
    (
        "ops.native",
        """binary_cross_entropy_with_logits cosine_embedding_loss ctc_loss embedding_bag embedding_renorm_ gru
        hinge_embedding_loss kl_div lstm margin_ranking_loss native_batch_norm native_dropout native_group_norm
        native_layer_norm norm_except_dim poisson_nll_loss rnn_relu rnn_tanh slice_copy triplet_margin_loss""",
        "",
    ),
    ("ops.segments", "hash_tensor histogramdd segment_reduce", "hash_tensor"),
    (
        "ops.extras",
        "from_file is_distributed",
        "const_data_ptr dense_dim is_distributed map2_ module_load resize_as sparse_dim to_dense",
    ),
    (
        "sparse",
        "dsmm sparse_coo_tensor spmm",
        "_indices _nnz _values coalesce indices is_coalesced sparse_mask to_sparse to_sparse_coo values",
    ),
    (
        "quantized",
        "dequantize int_repr q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale q_zero_point "
        "quantize_per_channel quantize_per_tensor",
        "dequantize int_repr q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale q_zero_point",
    ),
    ("linalg", "frobenius_norm nuclear_norm", ""),
    ("settings", "has_lapack has_mkl has_openmp has_spectral", ""),
    (
        "symbolic",
        "SymInt cond sym_constrain_range sym_float sym_int sym_ite sym_max sym_min sym_not sym_sqrt sym_sum",
        "",
    ),
):
    on_demand(_module, _functions.split(), _methods.split())
