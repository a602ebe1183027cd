"""What PyTorch has and minigrad has not, and what to use instead."""

import re

_SPARSE = "sparse tensors are of the layout sparse_coo; use sparse_coo_tensor or to_sparse()"
_COMPILED = "there is nothing to compile; call the function or module itself"
_QUANTIZED = (
    "quantized tensors are for eight-bit networks that infer, see minigrad.nn.quantized and minigrad.ao.quantization; "
    "use float32 for everything else"
)
_STORAGE = "memory is made with its tensor; use tensor.storage() or tensor.untyped_storage()"
_PROCESSES = "it is left out of minigrad.distributed; use collectives, or DistributedDataParallel"
_NVML = "it needs NVIDIA's management library; run nvidia-smi"
_LIBRARY = (
    "compiled extensions of PyTorch can't be loaded; write the operation with minigrad's own, or autograd.Function"
)
_DATAPIPES = "data pipes are not supported; write a Dataset or an IterableDataset"
_ALLOCATOR = "memory on a GPU is CuPy's pool's; see cupy.cuda.set_allocator"


def _each(names, reason, owner=""):
    return {owner + name: reason for name in names.split()}


# Name after "torch." -> why it is absent and what to do; a module's reason holds for all that would be in it.
ABSENT = {
    **_each("_dynamo _inductor export while_loop package", _COMPILED),
    **_each(
        "sparse_csr sparse_csc sparse_bsr sparse_bsc sparse_csr_tensor "
        "sparse_csc_tensor sparse_bsr_tensor sparse_bsc_tensor sparse_compressed_tensor hspmm hsmm sspaddmm smm",
        _SPARSE,
    ),
    **_each(
        "to_sparse_csr to_sparse_csc to_sparse_bsr to_sparse_bsc sparse_resize_ sparse_resize_and_clear_ crow_indices "
        "col_indices ccol_indices row_indices",
        _SPARSE,
        "Tensor.",
    ),
    **_each("quantize_per_tensor_dynamic", _QUANTIZED),
    **_each("nn.qat nn.quantizable nn.quantized.dynamic", _QUANTIZED),
    **_each("quint4x2 quint2x4", "quantized types have 8 or 32 bits; use qint8 or quint8"),
    "Tensor.qscheme": "only quantized tensors have it, which quantize_per_tensor makes",
    **_each(
        "float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2",
        "NumPy has no such type; use float16",
    ),
    "complex32": "NumPy has no half-precision complex type; use complex64",
    "chalf": "NumPy has no half-precision complex type; use complex64",
    "Tensor.chalf": "NumPy has no half-precision complex type; use cfloat()",
    "nn.LinearCrossEntropyOptions": "logits are computed in one piece; leave out options=",
    "nn.Container": "use Sequential, or a Module of your own",
    **_each(
        "distributed.pipeline distributed.tensor distributed.fsdp distributed.elastic distributed.checkpoint "
        "distributed.algorithms distributed.device_mesh distributed.init_device_mesh",
        _PROCESSES,
    ),
    "distributed.launch": "use python -m minigrad.distributed.run, which is torchrun",
    **_each(
        "DeviceMesh shrink_group register_rendezvous_handler ProcessGroupGloo ProcessGroupNCCL "
        "Reducer GradBucket BuiltinCommHookType",
        _PROCESSES,
        "distributed.",
    ),
    **_each(
        "ContinuousBernoulli ExponentialFamily FisherSnedecor GeneralizedPareto InverseGamma Kumaraswamy LKJCholesky "
        "LogisticNormal LowRankMultivariateNormal Pareto VonMises Weibull Wishart",
        "it is left out; use TransformedDistribution of one that is there, or a Distribution of your own",
        "distributions.",
    ),
    **_each(
        "biject_to transform_to identity_transform AbsTransform CatTransform CorrCholeskyTransform "
        "CumulativeDistributionTransform IndependentTransform LowerCholeskyTransform PositiveDefiniteTransform "
        "ReshapeTransform SoftmaxTransform StackTransform StickBreakingTransform",
        "it is left out; use a transform that is there, or a Transform of your own",
        "distributions.",
    ),
    "func.functionalize": (
        "it rewrites in-place operations for compilers, and there is none here; call the function itself"
    ),
    "func.debug_unwrap": "tensors are not wrapped here; use the tensor itself",
    "func.rearrange": "use reshape, permute and einsum",
    "func.replace_all_batch_norm_modules_": "set track_running_stats=False on the batch norms, or use eval()",
    **_each("Transformer replace_pattern", "change the Nodes of a Graph, or subclass Interpreter", "fx."),
    "fx.has_side_effect": "give what has an effect a user, as eliminate_dead_code() looks for no other reason",
    **_each(
        "substitute_in_graph set_default_backend get_default_backend set_enable_guard_collectives wrap_numpy "
        "load_compiled_function save_cache_artifacts load_cache_artifacts",
        _COMPILED,
        "compiler.",
    ),
    "profiler.ExecutionTraceObserver": "use profile(...).export_chrome_trace(path)",
    **_each(
        "CheckpointPolicy SelectiveCheckpointContext create_selective_checkpoint_contexts",
        "a checkpoint keeps its inputs only; put checkpoints around smaller parts",
        "utils.checkpoint.",
    ),
    **_each("cudart", "use cupy.cuda.runtime", "cuda."),
    **_each("set_sync_debug_mode get_sync_debug_mode", "what waits for the GPU is not watched; leave it out", "cuda."),
    **_each("classes cuda.nccl utils.cpp_extension", _LIBRARY),
    **_each(
        "fallthrough_kernel get_ctx get_kernel register_torch_dispatch triton_op wrap_triton autograd functools "
        "RegistrationHandle impl_abstract",
        "operators have kernels, a gradient and a fake; use register_kernel, register_autograd and register_fake",
        "library.",
    ),
    "library.register_vmap": "vmap calls an operator once per slice, so that it needs no rule; leave it out",
    **_each(
        "Storage FloatStorage DoubleStorage HalfStorage BFloat16Storage LongStorage IntStorage ShortStorage "
        "CharStorage ByteStorage BoolStorage ComplexFloatStorage ComplexDoubleStorage",
        _STORAGE,
    ),
    **_each(
        "FloatStorage DoubleStorage HalfStorage BFloat16Storage LongStorage IntStorage ShortStorage CharStorage "
        "ByteStorage BoolStorage ComplexFloatStorage ComplexDoubleStorage",
        _STORAGE,
        "cuda.",
    ),
    **_each(
        "utilization temperature power_draw clock_rate memory_usage device_memory_used list_gpu_processes",
        _NVML,
        "cuda.",
    ),
    **_each(
        "MemPool CUDAPluggableAllocator caching_allocator_alloc caching_allocator_delete memory_snapshot "
        "caching_allocator_enable caching_allocator_disabled change_current_allocator get_allocator_backend "
        "use_mem_pool",
        _ALLOCATOR,
        "cuda.",
    ),
    **_each(
        "IterDataPipe MapDataPipe DFIterDataPipe DataChunk functional_datapipe datapipes graph",
        _DATAPIPES,
        "utils.data.",
    ),
    **_each("hip", 'there are CPUs and CUDA GPUs; use the device "cpu" or "cuda"'),
    **_each("Tensor.xpu Tensor.ipu Tensor.mtia", 'there are CPUs and CUDA GPUs; use to("cpu") or cuda()'),
    **_each(
        "Tensor.to_mkldnn utils.mkldnn utils.bundled_inputs utils.mobile_optimizer",
        "there is one layout in memory; use the tensor or module itself",
    ),
    **_each(
        "symeig eig solve lstsq matrix_rank", "PyTorch removed it; use the function of that meaning in torch.linalg"
    ),
    **_each(
        "Tensor.symeig Tensor.eig Tensor.solve Tensor.lstsq",
        "PyTorch removed it; use the function of that meaning in torch.linalg",
    ),
    **_each("_six utils.ffi legacy", "PyTorch removed it; programs of that age need a line changed"),
    **_each("masked monitor testing._internal", "it is not supported"),
    "nn.parallel.comm": "there is one device to work on; call the module itself",
    **_each(
        "CompilationUnit Error interface_script strict_fusion set_fusion_strategy last_executed_optimized_graph "
        "enable_onednn_fusion onednn_fusion_enabled optimized_execution",
        _COMPILED,
        "jit.",
    ),
    "ops.load_library": _LIBRARY,
    **_each(
        "batch_norm_backward_elemt batch_norm_backward_reduce batch_norm_elemt batch_norm_gather_stats "
        "batch_norm_gather_stats_with_counts batch_norm_stats batch_norm_update_stats cudnn_affine_grid_generator "
        "cudnn_batch_norm cudnn_convolution cudnn_convolution_add_relu cudnn_convolution_relu cudnn_grid_sampler "
        "cudnn_convolution_transpose cudnn_is_acceptable miopen_batch_norm miopen_convolution miopen_ctc_loss "
        "miopen_convolution_add_relu miopen_convolution_relu miopen_convolution_transpose miopen_rnn "
        "miopen_depthwise_convolution mkldnn_adaptive_avg_pool2d mkldnn_convolution mkldnn_linear_backward_weights "
        "mkldnn_max_pool2d mkldnn_max_pool3d mkldnn_rnn_layer",
        "it is a part of PyTorch's inside for one library; use the function of torch.nn.functional",
    ),
    **_each(
        "choose_qparams_optimized empty_quantized fake_quantize_per_channel_affine fake_quantize_per_tensor_affine "
        "fbgemm_linear_fp16_weight fbgemm_linear_fp16_weight_fp32_activation fbgemm_linear_int8_weight "
        "fbgemm_linear_int8_weight_fp32_activation fbgemm_linear_quantize_weight fbgemm_pack_gemm_matrix_fp16 "
        "fbgemm_pack_quantized_matrix fused_moving_avg_obs_fake_quant quantized_batch_norm quantized_gru "
        "quantized_gru_cell quantized_lstm quantized_lstm_cell quantized_max_pool1d quantized_max_pool2d "
        "quantized_max_pool3d quantized_rnn_relu_cell quantized_rnn_tanh_cell per_channel_affine_float_qparams",
        _QUANTIZED,
    ),
    **_each(
        "ccol_indices_copy col_indices_copy crow_indices_copy row_indices_copy indices_copy values_copy "
        "saddmm native_norm resize_as_sparse_",
        _SPARSE,
    ),
    "lobpcg": "use linalg.eigh, which gives all eigenvalues",
    "slice_inverse": "views have no inverses here; use slice_scatter",
    "quasirandom": "there are no quasi-random numbers; use scipy.stats.qmc",
    "Tensor.reinforce": "PyTorch removed it; use distributions and -log_prob(action) * reward",
}


_INTERNAL = "it is a part of PyTorch's inside; use the public function of that meaning"
# How names begin -> why they are absent.
_BEGINNINGS = {
    **_each("cudnn_ miopen_ mkldnn_ fbgemm_ batch_norm_ native_ sym_ import_ir parse_ Script Lite Logger", _INTERNAL),
    **_each("quantized_ fake_quantize_ fused_moving empty_quantized choose_qparams", _QUANTIZED),
}
_BEGINNINGS |= _each(
    "ao.quantization. ao.nn. nn.quantized. nn.intrinsic.",
    "eight-bit networks are made after training, of the layers and observers of minigrad.nn.quantized and "
    "minigrad.ao.quantization: QConfig(default_observer, default_per_channel_weight_observer), prepare, convert",
)
_NARROW = re.compile(r"(uint|int|bits)[0-9x]+$")  # uint3, bits2x4


def reason_of(path):
    """Return why torch.PATH, or the module that would hold it, is absent and what to use; None for no known reason."""
    first = next((why for beginning, why in _BEGINNINGS.items() if path.startswith(beginning)), None)
    if _NARROW.match(path):
        first = "NumPy has no such type; use int8 or uint8"
    while path and path not in ABSENT:
        path = path.rpartition(".")[0]
    return ABSENT.get(path, first)


def explain(name, owner="minigrad"):
    """Return the message of the AttributeError for a name that a module of minigrad does not have."""
    reason = reason_of(f"{owner}.{name}".partition(".")[2])
    return f"module '{owner}' has no attribute '{name}'" + (f": {reason}." if reason else "")


def getter(owner):
    """Return the __getattr__ of a module: absent names raise AttributeError with the reason."""

    def __getattr__(name):
        raise AttributeError(explain(name, owner))

    return __getattr__


class AbsentAttribute:
    """An attribute of Tensor that is absent: hasattr() says False, using it raises AttributeError with the reason."""

    def __init__(self, name):
        self.name = name

    def __get__(self, instance, owner):
        raise AttributeError(
            f"'{owner.__name__}' object has no attribute '{self.name}': {reason_of(f'Tensor.{self.name}')}."
        )
