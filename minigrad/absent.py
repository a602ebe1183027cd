"""What PyTorch has and minigrad has not, and what to use instead."""

_SPARSE = "NumPy has no sparse arrays; use dense tensors"
_COMPILED = "there is nothing to compile; call the function or module itself"
_ALONE = "minigrad runs in one process; use it without"

# Name -> why it is absent and what to do.
ABSENT = {
    "bfloat16": "NumPy has no bfloat16; use float16 or float32",
    "BFloat16Tensor": "NumPy has no bfloat16; use HalfTensor or FloatTensor",
    "compile": _COMPILED,
    "jit": _COMPILED,
    "fx": _COMPILED,
    "_dynamo": _COMPILED,
    "distributed": _ALONE,
    "multiprocessing": "use Python's multiprocessing; DataLoader has worker processes of its own",
    "sparse": _SPARSE,
    "sparse_coo_tensor": _SPARSE,
    "sparse_csr_tensor": _SPARSE,
    "quantization": "there are no quantized types; use float16 or float32",
    "qint8": "there are no quantized types; use int8",
    "quint8": "there are no quantized types; use uint8",
    "complex32": "NumPy has no half-precision complex type; use complex64",
    "onnx": "exporting models is not supported yet",
    "hub": "nothing is downloaded; build the model and load_state_dict() its weights",
    "autocast": "mixed precision is not supported yet; convert with .half() or .float()",
    "amp": "mixed precision is not supported yet; convert with .half() or .float()",
}


def reason_of(path):
    """Return why torch.PATH, or the module that would hold it, is absent and what to use; None for no known reason."""
    while path and path not in ABSENT:
        path = path.rpartition(".")[0]
    return ABSENT.get(path)


def explain(name, owner="minigrad"):
    """Return the message of the AttributeError for a name that a module of minigrad does not have."""
    reason = reason_of(f"{owner}.{name}".partition(".")[2])
    return f"module '{owner}' has no attribute '{name}'" + (f": {reason}." if reason else "")
