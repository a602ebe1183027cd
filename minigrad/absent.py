"""What PyTorch has and minigrad has not, and what to use instead."""

import re
import sys

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
    **_each("_dynamo _inductor export while_loop", _COMPILED),
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
    **_each(
        "DeviceMesh shrink_group register_rendezvous_handler ProcessGroupGloo ProcessGroupNCCL "
        "Reducer GradBucket BuiltinCommHookType",
        _PROCESSES,
        "distributed.",
    ),
    "func.debug_unwrap": "tensors are not wrapped here; use the tensor itself",
    "func.rearrange": "use reshape, permute and einsum",
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
    "masked": "there are no masked tensors; use where(), masked_fill() and nansum()",
    "testing._internal": "it is a part of PyTorch's inside; use testing.assert_close",
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
    "package": "code is not packed with weights; keep it in a package of Python, and save state_dict()",
    "monitor": "there are no counters of PyTorch's inside; use profiler.profile or utils.tensorboard",
    "Future": "use futures.Future",
    **_each("fork wait", "functions run one after the other; use concurrent.futures"),
    **_each("Event Stream StreamContext", "it is of one kind of device: use cuda.Event, cuda.Stream or cuda.stream"),
    **_each("Event Stream StreamContext get_capabilities", "operations on the CPU are done when they return", "cpu."),
    "AcceleratorError": "errors of a GPU are CuPy's, from cupy.cuda.runtime.CUDARuntimeError on",
    **_each("ModuleDict ParameterDict BufferDict", "use nn.ModuleDict and nn.ParameterDict"),
    **_each("SymFloat SymBool", "sizes are numbers; use float or bool"),
    **_each(
        "get_autocast_ipu_dtype get_autocast_xla_dtype is_autocast_ipu_enabled is_autocast_xla_enabled "
        "set_autocast_ipu_dtype set_autocast_ipu_enabled set_autocast_xla_dtype set_autocast_xla_enabled",
        "there are CPUs and CUDA GPUs; use get_autocast_dtype and the like with one of them",
    ),
    "set_anomaly_enabled": "use autograd.set_detect_anomaly",
    **_each("grouped_mm scaled_mm scaled_grouped_mm", "use one product for each group, or bmm", "nn.functional."),
    **_each(
        "handle_torch_function has_torch_function has_torch_function_unary has_torch_function_variadic",
        "use overrides.handle_torch_function and overrides.has_torch_function",
        "nn.functional.",
    ),
    **_each("has_torch_function_unary has_torch_function_variadic", "use has_torch_function", "overrides."),
    **_each(
        "get_testing_overrides get_default_nowrap_functions redispatch_function enable_reentrant_dispatch",
        "use get_overridable_functions, or has_torch_function",
        "overrides.",
    ),
    **_each(
        "SDPAParams activate_flash_attention_impl can_use_efficient_attention can_use_flash_attention "
        "current_flash_attention_impl list_flash_attention_impls register_flash_attention_impl "
        "restore_flash_attention_impl",
        "attention is computed in one way; call scaled_dot_product_attention",
        "nn.attention.",
    ),
    **_each(
        "SDPAParams SDPBackend can_use_cudnn_attention can_use_efficient_attention can_use_flash_attention "
        "allow_fp16_bf16_reduction_math_sdp fp16_bf16_reduction_math_sdp_allowed is_ck_sdpa_available",
        "attention is computed in one way; see nn.attention",
        "backends.cuda.",
    ),
    **_each(
        "preferred_blas_library preferred_linalg_library preferred_rocm_fa_library blas_workspace_size "
        "cublas_workspace_size cublaslt_workspace_size cufft_plan_cache",
        "libraries are CuPy's choice; see cupy.fft.config and cupy.cuda.cublas",
        "backends.cuda.",
    ),
    **_each("cusparselt kleidiai miopen python_native xeon xnnpack", "this library is not used", "backends."),
    **_each("verbose VERBOSE_ON VERBOSE_OFF", "its calls are not watched; set MKL_VERBOSE=1", "backends.mkl."),
    **_each("get_core_count get_name is_macos_or_newer is_macos13_or_newer", "it is for Apple's GPUs", "backends.mps."),
    **_each("flags set_flags", "this library is not used", "backends.nnpack."),
    "utils.throughput_benchmark": "use utils.benchmark",
    "utils.ThroughputBenchmark": "use utils.benchmark",
    **_each(
        "CallgrindStats CopyIfCallgrind FunctionCount FunctionCounts",
        "instructions are not counted",
        "utils.benchmark.",
    ),
    **_each(
        "FuzzedParameter FuzzedTensor FuzzedSparseTensor Fuzzer ParameterAlias",
        "make the inputs by hand or with hypothesis",
        "utils.benchmark.",
    ),
    **_each("register_flop_formula flop_registry", "operations are counted by their products", "utils.flop_counter."),
    "utils.weak": "use weakref.ref(tensor), or a dict by id(tensor)",
    "utils.deterministic": "memory of empty() is never filled; use zeros() or full()",
    "utils.module_tracker": "use nn.modules.module.register_module_forward_pre_hook",
    "utils.file_baton": "use a lock of your own, as vision's downloads do",
    "utils.show_pickle": "use pickletools.dis, or serialization.get_unsafe_globals_in_checkpoint",
    "utils.serialization": "settings are functions of minigrad.serialization",
    **_each(
        "backend_registration generate_methods_for_privateuse1_backend rename_privateuse1_backend cmake_prefix_path "
        "get_cpp_backtrace cpp_backtrace",
        _LIBRARY,
        "utils.",
    ),
    **_each("set_module backcompat", "it is a part of PyTorch's inside", "utils."),
    **_each(
        "argument_validation runtime_validation runtime_validation_disabled guaranteed_datapipes_determinism "
        "non_deterministic graph_settings",
        _DATAPIPES,
        "utils.data.",
    ),
    **_each(
        "set_checkpoint_early_stop SAC_IGNORED_OPS GraphExecGroup CheckpointFunction",
        "a checkpoint computes its function again, whole; use checkpoint()",
        "utils.checkpoint.",
    ),
    **_each(
        "tree_map_with_path tree_flatten_with_path tree_leaves_with_path keystr key_get MappingKey SequenceKey "
        "treespec_dumps treespec_loads treespec_pprint tree_map_only_ tree_all_only tree_any_only tree_is_leaf "
        "register_dataclass register_constant",
        "use tree_flatten, tree_unflatten, tree_map and register_pytree_node",
        "utils._pytree.",
    ),
    **_each("emit_nvtx emit_itt load_nvprof parse_nvprof_trace", "use cuda.nvtx, or profile()", "autograd.profiler."),
    **_each(
        "set_multithreading_enabled enforce_grad_layout_policy", "it is a function of autograd", "autograd.grad_mode."
    ),
    **_each(
        "region_activation_memory_budget set_override_stale_capture_stream set_warn_on_accumulate_grad_stream_mismatch",
        _COMPILED,
        "autograd.graph.",
    ),
    **_each("BackwardCFunction FunctionMeta custom_function_call", "use autograd.Function", "autograd.function."),
    **_each(
        "green_contexts GreenContext gds jiterator tunable host_memory_stats host_memory_stats_as_nested_dict "
        "reset_accumulated_host_memory_stats reset_peak_host_memory_stats current_blas_handle current_solver_handle",
        "use CuPy: cupy.RawKernel, cupy.cuda",
        "cuda.",
    ),
    **_each("Graph graphs", "use cuda.CUDAGraph", "accelerator."),
    **_each("subgraph_rewriter experimental", "change the Nodes of a Graph, or subclass Interpreter", "fx."),
    **_each(
        "spsolve sampled_addmm as_sparse_gradcheck to_sparse_semi_structured semi_structured "
        "SparseSemiStructuredTensor SparseSemiStructuredTensorCUSPARSELT SparseSemiStructuredTensorCUTLASS solve "
        "check_sparse_tensor_invariants",
        _SPARSE,
        "sparse.",
    ),
    **_each(
        "register_custom_op_symbolic unregister_custom_op_symbolic ops InputObserver ExportableModule "
        "select_model_mode_for_export",
        "graphs are written from the operations that run; see onnx.md",
        "onnx.",
    ),
    "profiler.itt": "use profiler.record_function",
    "random.thread_safe_generator": "use a Generator for each thread",
    "nn.quantizable": _QUANTIZED,
    "library.register_autocast": "cast in the operator's function",
    "Tensor.index": "index with x[...]",
    "Tensor.grad_dtype": "a gradient has its tensor's dtype",
    "Tensor.storage_type": "use type(tensor.storage())",
    "Tensor.volatile": "PyTorch removed it; use no_grad()",
    "Tensor.to_padded_tensor": "it is of nested tensors",
    **_each("smm sspaddmm resize_as_sparse_", _SPARSE, "Tensor."),
    "Tensor.slice_inverse": "views have no inverses here; use slice_scatter",
    "CompilationUnit": _COMPILED,
    "nn.modules.Container": "use Sequential, or a Module of your own",
    **_each("LinearCrossEntropyOptions linear_cross_entropy_options", "leave out options=", "nn.modules."),
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
_BEGINNINGS |= _each("utils.collect_env. utils.flop_counter. utils._pytree.", _INTERNAL)
_BEGINNINGS |= _each("mps. xpu. mtia.", 'there are CPUs and CUDA GPUs; use the device "cpu" or "cuda"')
_BEGINNINGS |= _each(
    "ao.quantization. ao.nn. nn.quantized. nn.intrinsic.",
    "eight-bit networks are made after training, of the layers and observers of minigrad.nn.quantized and "
    "minigrad.ao.quantization: QConfig(default_observer, default_per_channel_weight_observer), prepare, convert",
)
# Names that PyTorch's modules show by accident, or that are parts of its inside.
_INSIDE = frozenset(
    (
        "AcceleratorError AliasDb Argument ArgumentSpec BFloat16Tensor BackwardHook BenchmarkConfig "
        "BenchmarkExecutionStats Block BroadcastingList1 BroadcastingList2 BroadcastingList3 ByteTensor CacheInfo "
        "CallStack Capsule CharTensor Code CodeGen Colorize CompleteArgumentSpec ConcreteModuleTypeBuilder "
        "ContextProp ConvT CudaError DeepCopyMemoTable DeferredCudaCallError DeserializationStorageContext "
        "DisableTorchFunction DisableTorchFunctionSubclass DispatchKey DispatchKeySet DistributedDataParallelCPU "
        "EnforceUnique ErrorReport ExcludeDispatchKeyGuard ExecutionPlan FatalError FileCheck FunctionSchema Future "
        "Gradient Graph GraphExecutorState HalfTensor IODescriptor JITException KinetoStepTracker Language LinearT "
        "LockingLogger LoggingTensorMode MemRecordsAcc Module NamedMemberAccessor NestedCompileRegionOptions Node "
        "NoopLogger ONNXTracedModule OpOverload OpaqueBase OperatorInfo Optimizer PackedSequence_ ProfilerActivity "
        "ProfilerConfig ProfilerEvent ProfilerState PropModule ProxyableClassMeta PyTorchFileReader "
        "PyTorchFileWriter QInt32Storage QInt8Storage QUInt2x4Storage QUInt4x2Storage QUInt8Storage RecordScope "
        "RecursiveScriptClass RecursiveScriptModule RemovableHandle SavedTensor ScriptWarning "
        "SerializationStorageContext ShortTensor StaticModule Storage StorageBase SymBool SymFloat SymInt Tag "
        "Tensor ThroughputBenchmark TopLevelTracedModule TorchDispatchMode TracedModule TracerWarning "
        "TracingCheckError TracingState Type UninitializedTensorMixin Use Value Variable _DatasetKind "
        "assert_int_or_pair bind bit boolean_dispatch capture_logs check_backward_validity check_error "
        "classproperty common_args common_notes config constraint_registry copy_method_params cpp cuBLASModule "
        "cuFFTPlanCache cuFFTPlanCacheAttrContextProp cuFFTPlanCacheManager cudaStatus detach_variable "
        "empty_host_cache export_opnames factory_common_args frontend fuser get_device_states get_file_path "
        "get_source_lines_and_file get_swap_module_params_on_conversion handle_torch_function has_torch_function "
        "immutable_collections inf init init_num_threads init_reductions is_fbcode is_opaque_reference_type "
        "is_tensor_like is_traceable_wrapper_subclass jit_module_from_flatbuffer keep_portable_guards_unsafe "
        "keep_tensor_guards_unsafe kineto_available legacy_contiguous_format linear_cross_entropy_options memory "
        "memory_format merge_type_from_type_comment multi_dim_common operator_schemas ordered_unique "
        "prepare_multiprocessing_environment producer_name producer_version profiler "
        "profiler_allow_cudagraph_cupti_lazy_reinit_cuda12 profiler_legacy profiler_util py_sym_types reductions "
        "register_optimizer_step_post_hook reproducibility_notes run_frozen_optimizations "
        "save_jit_module_to_flatbuffer scatter_gather set_device_states set_module set_torch_threads "
        "skip_all_guards_unsafe skip_guard_on_all_nn_modules_unsafe skip_guard_on_globals_unsafe "
        "skip_guard_on_inbuilt_nn_modules_unsafe sparse sparse_support_notes swap_in_optimizer_params_and_state "
        "tensor_type tf32_notes thread_safe_generator traceback unify_type_list unit_to_english unserializable_hook "
        "utils warn_if_has_hooks windows"
    ).split()
)
_CONSTANT = re.compile(r"[A-Z][A-Z0-9_]*|\w+Type")  # variables of types, numbers, classes of TorchScript's types
_NARROW = re.compile(r"(uint|int|bits)[0-9x]+$")  # uint3, bits2x4


def reason_of(path):
    """Return why torch.PATH, or the module that would hold it, is absent and what to use; None for no known reason."""
    first = next((why for beginning, why in _BEGINNINGS.items() if path.startswith(beginning)), None)
    if _NARROW.match(path):
        first = "NumPy has no such type; use int8 or uint8"
    if (last := path.rpartition(".")[2]) in _INSIDE or _CONSTANT.fullmatch(last):
        first = _INTERNAL
    while path and path not in ABSENT:
        path = path.rpartition(".")[0]
    return ABSENT.get(path, first)


def explain(name, owner="minigrad"):
    """Return the message of the AttributeError for a name that a module of minigrad does not have."""
    message = f"module '{owner}' has no attribute '{name}'"
    reason = reason_of(f"{owner}.{name}".partition(".")[2])
    guessed = reason is _INTERNAL and name not in _INSIDE and _CONSTANT.fullmatch(name)
    near = names = []
    if (guessed or not reason) and owner in sys.modules and not name.startswith("_"):
        from difflib import get_close_matches

        names = {each.lower(): each for each in dir(sys.modules[owner]) if not each.startswith("_")}
        near = get_close_matches(name.lower(), names, 1, 0.82 if len(name) > 4 else 0.6)
    if reason and not (guessed and near):
        return f"{message}: {reason}"
    # Python's own traceback suggests names too, but none of more than 750
    return f"{message}. Did you mean: {names[near[0]]!r}?" if near and len(names) > 700 else message


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
            f"'{owner.__name__}' object has no attribute '{self.name}': {reason_of(f'Tensor.{self.name}')}"
        )
