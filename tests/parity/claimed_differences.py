"""What differs on purpose in the tables of cases: name -> [(pattern of the lines that report it, why), …].

An entry that matches nothing any more fails.
"""

REFUSED = "refused here, undefined behaviour or an unnamed failure there"
FREE = "PyTorch refuses; here it works"
CLASS = "another class of error for a nonsensical call"
NUMPY_BOOL = "numpy.bool_ counts as a bool here, as a float in PyTorch"
NUMPY_INT = "numbers of NumPy keep their dtype beside bools"
NO_HALF_COMPLEX = "there is no complex32"

DIFFERENT = {
    "conj_physical_": [("leaf Variable", "nothing is written for real numbers")],
    "index_put_": [
        ("sym_strides", "an empty list of indices means every element"),
        ("want RuntimeError: Index put", CLASS),
    ],
    **dict.fromkeys(
        ("relu", "Tensor.relu", "Tensor.relu_"), [("complex", "relu is not checked for complex numbers, for speed")]
    ),
    "native_dropout": [("got bool, want float32", "the mask of an empty tensor is bool like every other")],
    "cosine_similarity": [("result.4.", "PyTorch computes this gradient in float32 beside a float64 input")],
    "binary_cross_entropy_with_logits": [("want RuntimeError", "the error of nn.functional")],
    "margin_ranking_loss": [("same dimension", REFUSED)],
    "vander": [("modified by an inplace", FREE), ("got True, want False", "an empty result stays in the graph")],
    "inference_mode": [("got False, want True", "inference_mode is no_grad")],
    "autograd.Variable": [("got False, want True", "a Variable is a tracked tensor here")],
    "dtype": [("cannot create", FREE)],
    "Size": [("takes an iterable", "elements are not checked, for speed"), ("got False, want True", "see above")],
    "finfo": [("must be torch.dtype, not str", "names of dtypes are taken")],
    "result_type": [("complex32", NO_HALF_COMPLEX)],
    "Tensor": [("got float32, want int64", "the legacy constructor makes floats of every tensor")],
    "tensor": [
        ("numpy.* object cannot be interpreted", "numbers of NumPy are converted as its arrays are"),
        ("negative", "arrays with negative strides are copied"),
        ("must be torch.dtype, not str", "names of dtypes are taken"),
    ],
    "asarray": [
        ("bytes", "frombuffer takes bytes"),
        ("got False, want True", "a copy of a tracked tensor is out of its graph"),
    ],
    "Tensor.cuda": [("needs CuPy", "the error says what to install")],
    "Tensor.bernoulli_": [("not imple", CLASS)],
    "Tensor.requires_grad_": [("must be bool, not int", FREE)],
    "Tensor.resize": [("requested resize to", FREE)],
    **{
        f"Tensor.__{name}__": [
            (r"want float32|Float can't be cast|numpy.bool|with a bool tensor|for .?bool", NUMPY_BOOL)
        ]
        for name in "sub floordiv mod pow iadd isub imul ifloordiv imod ipow iand ior ixor ilshift irshift".split()
    },
    **{
        f"Tensor.__{name}__": [("both arguments to matmul|not implemented for 'Bool'|no attribute 'id'", CLASS)]
        for name in ("matmul", "rmatmul")
    },
    "nn.functional.hardtanh_": [("min_val cannot be greater|unsigned type", REFUSED)],
    "nn.functional.lp_pool1d": [("mul..: argument", FREE)],
    "nn.functional.adaptive_max_pool1d_with_indices": [("should contain one int", CLASS)],
    "nn.functional.fractional_max_pool2d_with_indices": [("has no len", "one ratio for both dimensions is taken")],
    "nn.functional.fractional_max_pool3d_with_indices": [("output_ratio must be", CLASS)],
    **dict.fromkeys(("nn.MaxUnpool2d", "nn.MaxUnpool3d"), [("tuple index out of range", CLASS)]),
    "nn.Parameter": [("has no attribute 'detach'", FREE), ("got 'Variable'", "results in a graph are Variables")],
    "nn.UninitializedParameter": [("Attempted to use", "an uninitialised parameter is an empty tensor until then")],
    "nn.utils.rnn.pack_padded_sequence": [("exceeds the input's|Expected `len", REFUSED)],
    "nn.utils.rnn.pad_sequence": [("invalid slice", CLASS)],
    "nn.utils.spectral_norm": [("want KeyError", CLASS)],
    "is_warn_always_enabled": [("simplefilter", "Python's filters decide about warnings")],
    "set_printoptions": [("profile must be", REFUSED)],
    "UntypedStorage": [("resize_", "storages are looked at, not resized")],
    "TypedStorage": [("float", "storages are looked at, not converted")],
    **dict.fromkeys(
        [
            f"cuda.{name}"
            for name in ("reset_peak_memory_stats", "reset_max_memory_allocated", "reset_max_memory_cached")
        ],
        [("got None", "there is nothing to forget without a GPU")],
    ),
    "cuda.initial_seed": [("want 'RuntimeError'", "one generator seeds every device")],
    "cuda.memory_summary": [("KeyError", CLASS)],
    "cuda.set_device": [("needs CuPy", CLASS)],
    **dict.fromkeys(
        ("forms of argmax", "forms of sort"), [("complex", "complex numbers are ordered as NumPy orders them")]
    ),
    "forms of softmax": [("bool", "dtypes of empty tensors are checked too")],
    "forms of clamp": [("'a'", CLASS)],
    "forms of narrow": [("0-dim tensor", CLASS)],
    "forms of roll": [("Dimension out of range", "dimensions of empty tensors are checked too")],
    "forms of repeat_interleave": [("Dimension out of range", "a tensor without dimensions is one of one element")],
    **dict.fromkeys(("forms of add", "forms of mul"), [("got int32, want int64", NUMPY_INT)]),
    "forms of pow": [
        ("got int32, want int64", NUMPY_INT),
        ("Half without overflow", "infinity in half precision"),
        ("for bool", "powers of bools by bools are refused"),
    ],
    "fft.rfftfreq": [("want nan", "no division by the length 0")],
}
# Half-precision beside complex numbers comes on top of numpy.bool_ for some operators.
for _name in "add sub mul radd rsub rmul rtruediv".split():
    DIFFERENT[f"Tensor.__{_name}__"] = [*DIFFERENT.get(f"Tensor.__{_name}__", ()), ("complex32", NO_HALF_COMPLEX)]
for _name in ("add", "mul"):
    DIFFERENT[f"Tensor.__{_name}__"].append(("want float32", NUMPY_BOOL))
