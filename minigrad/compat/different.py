"""What has PyTorch's name and arguments here and means something else: name -> how it differs."""

_EAGER = "runs eagerly: the function or module itself"
_STREAM = "the same seed gives other numbers than in PyTorch; one generator serves all devices"
_KEPT = "is checked and kept, and changes nothing"

DIFFERENT = {
    "torch.compile": "runs eagerly; a module in an OptimizedModule, a function as it is",
    **dict.fromkeys(
        ("torch.manual_seed", "torch.seed", "torch.cuda.manual_seed", "torch.cuda.manual_seed_all"), _STREAM
    ),
    "torch.Generator": _STREAM,
    "torch.save": "writes PyTorch's format, atomically; a subclass of Tensor is refused",
    "torch.load": "reads PyTorch's format as data; never runs what a file names, whatever weights_only says",
    "torch.inference_mode": "is no_grad: what is made inside may be recorded later",
    "torch.set_float32_matmul_precision": "chooses on GPUs; the CPU computes in float32 whatever it says",
    "torch.set_flush_denormal": "returns False: NumPy flushes no denormal numbers",
    "torch.set_warn_always": "refuses: warnings are Python's, warnings.simplefilter('always')",
    "torch.use_deterministic_algorithms": "is always so on the CPU; refused on a GPU without warn_only",
    "torch.set_num_interop_threads": _KEPT,
    "torch.Tensor.share_memory_": "works for processes forked afterwards",
    "torch.nn.DataParallel": "calls the module on one device",
    "torch.nn.SyncBatchNorm": "works on CPUs, where PyTorch refuses",
    "torch.autograd.detect_anomaly": "also names the operation whose forward result was the first NaN",
    "torch.jit.script": _EAGER,
    "torch.jit.trace": _EAGER,
    "torch.jit.save": "refuses: save model.state_dict()",
    "torch.jit.load": "refuses: load a state_dict into a model built from its class",
    "torch.hub.help": "refuses: it runs code from a repository",
    "torch.hub.list": "refuses: it runs code from a repository",
    "torch.hub.load": "has the networks of pytorch/vision; refuses others, whose code it would run",
    "torch.hub.load_state_dict_from_url": "reads the cache; downloads only https with a checksum in the name",
    "torch.utils.data.DataLoader": 'also takes multiprocessing_context="thread"',
    "torch.cuda.max_memory_allocated": "counts what CuPy's pool reserved",
    "torch.distributions.Categorical": "draws other numbers of the same distribution",
    "torchvision.models.list_models": "lists minigrad's networks as well",
}
