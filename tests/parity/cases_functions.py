"""Functions of the top namespace that PyTorch's operator database does not run."""

import numpy as np

from tests.parity.claimed import ALL, COMPLEX, FLOATS, INTEGERS, R, Spec, X, call, calls

ONE = [Spec((2, 3)), Spec((2, 3), "float64", "transposed"), Spec((2, 3), "float64", grad=True), Spec(())]
IMAGES = [Spec((2, 6, 4)), Spec((2, 6, 4), "float64", grad=True), Spec((2, 6, 4), "float64", "transposed")]
PICTURES = [Spec((2, 4, 6, 6)), Spec((2, 4, 6, 6), "float64", grad=True), Spec((4, 6, 6), "float32", "stepped")]
VOLUMES = [Spec((1, 2, 4, 5, 4)), Spec((2, 4, 4, 4), "float64", grad=True)]

# name_ of these is the in-place form of a function of one tensor: run on every kind of input.
UNARY = """
abs acos acosh arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh ceil cos cosh conj_physical deg2rad
erf erfc exp exp2 expm1 fix floor frac i0 log log10 log1p log2 neg negative rad2deg reciprocal relu round rsqrt selu
sigmoid sin sinc sinh sqrt square tan tanh trunc celu nan_to_num logit alpha_dropout dropout feature_alpha_dropout
feature_dropout rrelu detach
""".split()
SEEDED = {
    "dropout": [(0.0, True), (1.0, True), (0.5, False), (1.5, True), (-0.1, False), {"p": 0.0, "train": True}],
    "rrelu": [(0.25, 0.25), (0.1, 0.3, False), {"lower": 0.5, "upper": 0.5}, {"lower": 0.5, "upper": 0.25}],
}
ARGUMENTS = {
    "celu": [(), (0.5,), {"alpha": -2.0}, (0,)],
    "nan_to_num": [(), (1.0,), {"nan": 2.0, "posinf": 1.0, "neginf": -1.0}],
    "logit": [(), (0.1,), {"eps": 0.3}],
    "round": [(), {"decimals": 1}, {"decimals": -1}],
    "dropout": SEEDED["dropout"],
    "alpha_dropout": SEEDED["dropout"],
    "feature_alpha_dropout": [(0.0, True), (0.5, False), (1.5, True)],
    "feature_dropout": [(0.0, True), (0.5, False), (1.5, True)],
    "rrelu": SEEDED["rrelu"],
}


def written(name, *lists, inputs=ALL):
    """The in-place function: result and changed input; on a leaf that wants a gradient, its error."""
    return calls(name + "_", *(lists or ARGUMENTS.get(name, [()])), inputs=inputs)


def tracked(name, *arguments):
    """The in-place function within a graph."""

    def run(t):
        x = R(t, 3, 4, low=0.1, high=0.9)
        y = x * 1
        result = getattr(t, name + "_")(y, *arguments)
        result.sum().backward()
        return [result, y, result is y, x.grad]

    return run


OTHERS = [Spec((3, 4)), Spec((4,), "float64"), Spec((3, 1), "int64"), 2, 0.5, True]
CASES = {f"{name}_": written(name) for name in UNARY}
for name in UNARY:
    if name not in ARGUMENTS and name != "detach":
        CASES[name + "_"] = [*CASES[name + "_"], tracked(name)]

CASES |= {
    "addmv_": [
        call("addmv_", Spec((3,)), Spec((3, 4)), Spec((4,))),
        call("addmv_", Spec((3,)), Spec((3, 4)), Spec((4,)), beta=0.5, alpha=2),
        call("addmv_", Spec((3,), "int64"), Spec((3, 4), "int64"), Spec((4,), "int64")),
        call("addmv_", Spec((3,)), Spec((3, 4)), Spec((3,))),
        call("addmv_", Spec((1,)), Spec((3, 4)), Spec((4,))),
        call("addmv_", Spec((3,), "float64"), Spec((3, 4)), Spec((4,))),
    ],
    "as_strided_": calls(
        "as_strided_",
        ((2, 2), (1, 2)),
        ((3,), (1,), 1),
        ((2,), (1, 1)),
        ((20, 20), (1, 1)),
        ((-1,), (1,)),
        inputs=[Spec((3, 4)), Spec((3, 4), "int64", "transposed")],
    ),
    "clamp_": calls(
        "clamp_",
        (-1, 1),
        (0.5,),
        {"max": 0},
        {"min": 1},
        (),
        (2, 1),
        {"min": Spec((4,))},
        {"min": Spec((5,))},
        inputs=ALL + COMPLEX,
    ),
    "clip_": calls("clip_", (-1, 1), (0.5,), {"max": 0}, (), {"min": Spec((4,)), "max": Spec((3, 1), seed=1)}),
    "clamp_max_": calls("clamp_max_", (1,), (0.5,), (Spec((4,)),), (), {"max": 0}),
    "clamp_min_": calls("clamp_min_", (1,), (0.5,), (Spec((4,)),), (), {"min": 0}),
    "fill_": calls(
        "fill_", (1,), (2.5,), (True,), (Spec(()),), (Spec((2,)),), (1j,), {"value": 3}, inputs=ALL + COMPLEX
    ),
    "gcd_": calls("gcd_", *[(one,) for one in OTHERS], inputs=ALL),
    "lcm_": calls("lcm_", *[(one,) for one in OTHERS], inputs=ALL),
    "ldexp_": calls("ldexp_", *[(one,) for one in OTHERS], inputs=ALL),
    "xlogy_": calls("xlogy_", *[(one,) for one in OTHERS], inputs=ALL),
    "threshold": calls("threshold", (0.5, 1.0), (0.1, 20), {"threshold": 1, "value": 0}, (1,), inputs=ALL),
    "threshold_": calls("threshold_", (0.5, 1.0), (0.1, 20), {"threshold": 1, "value": 0}, (1,), inputs=ALL),
    "index_put_": [
        *calls(
            "index_put_",
            ([Spec((2,), "int64", low=0, high=0.9)], Spec((4,))),
            ([Spec((2,), "int64", low=0, high=0.9)], Spec(()), True),
            ([Spec((3, 4), "bool")], Spec(())),
            ([Spec((9,), "int64")], Spec(())),
            ([Spec((2,))], Spec(())),
            ({"indices": []} and ([], Spec(()))),
            inputs=[
                Spec((3, 4)),
                Spec((3, 4), "float32", "transposed"),
                Spec((3, 4), "float64"),
                Spec((3, 4), "int64"),
            ],
        )
    ],
    "embedding_renorm_": [
        call("embedding_renorm_", Spec((5, 3)), Spec((2,), "int64", low=0, high=1.2), 1.0, 2.0),
        call("embedding_renorm_", Spec((5, 3)), Spec((2, 2), "int64", low=0, high=1.2), 0.1, 1.0),
        call("embedding_renorm_", Spec((5, 3)), Spec((2,)), 1.0, 2.0),
    ],
    # -- functions of layers
    "relu": calls("relu", inputs=ALL + COMPLEX),
    "selu": calls("selu", inputs=ALL),
    "celu": calls("celu", *ARGUMENTS["celu"]),
    "prelu": calls("prelu", (Spec((1,)),), (Spec((4,)),), (Spec((1,), "float64"),), (Spec((3,)),), inputs=FLOATS),
    "rrelu": calls("rrelu", *SEEDED["rrelu"]),
    "hardshrink": calls("hardshrink", (), (1.0,), {"lambd": 0.25}, inputs=ALL),
    "dropout": calls("dropout", *SEEDED["dropout"], (0.5,), ()),
    "alpha_dropout": calls("alpha_dropout", *SEEDED["dropout"], (0.5,)),
    "feature_alpha_dropout": calls("feature_alpha_dropout", *ARGUMENTS["feature_dropout"]),
    "feature_dropout": calls("feature_dropout", *ARGUMENTS["feature_dropout"]),
    "native_dropout": calls("native_dropout", (0.0, True), (0.5, False), (1.0, True), inputs=FLOATS),
    "adaptive_avg_pool1d": calls("adaptive_avg_pool1d", (2,), ((3,),), ([1],), ("2",), ((1, 2),), (-1,), inputs=IMAGES),
    "adaptive_max_pool1d": calls("adaptive_max_pool1d", (2,), ((3,),), ((1, 2),), (-1,), inputs=IMAGES),
    "avg_pool1d": calls(
        "avg_pool1d",
        (2,),
        ((2,), 1),
        (3, 2, 1),
        (2, None),
        (3, 2, 2),
        (3, 2, 1, True, False),
        {"kernel_size": 9},
        (0,),
        inputs=IMAGES,
    ),
    **{
        name: calls(
            name,
            (2,),
            (3, 2, 1),
            (2, 1, 0, 1),
            (3, 2, 1, 1, True),
            (3, 1, 2),
            (9,),
            (0,),
            {"kernel_size": 2, "stride": 1},
            (2, [], 0),
            inputs=inputs + [inputs[0].but(dtype="int64")],
        )
        for name, inputs in (
            ("max_pool1d", IMAGES),
            ("max_pool1d_with_indices", IMAGES),
            ("max_pool2d", PICTURES),
            ("max_pool3d", VOLUMES),
        )
    },
    "batch_norm": [
        call(
            "batch_norm",
            Spec((4, 3), grad=grad),
            weight,
            bias,
            Spec((3,), seed=4),
            Spec((3,), low=0.1, seed=5),
            training,
            0.1,
            1e-5,
            False,
        )
        for grad in (False, True)
        for training in (False, True)
        for weight, bias in ((None, None), (Spec((3,), seed=2), Spec((3,), seed=3)))
    ]
    + [
        call("batch_norm", Spec((4, 3)), None, None, None, None, True, 0.1, 1e-5, False),
        call("batch_norm", Spec((4, 3)), None, None, None, None, False, 0.1, 1e-5, False),
        call("batch_norm", Spec((4, 3)), Spec((2,)), None, None, None, True, 0.1, 1e-5, False),
    ],
    "instance_norm": [
        call("instance_norm", Spec((2, 3, 4)), weight, bias, mean, variance, use, 0.1, 1e-5, False)
        for weight, bias in ((None, None), (Spec((3,), seed=2), Spec((3,), seed=3)))
        for mean, variance, use in (
            (None, None, True),
            (Spec((3,)), Spec((3,), low=0.1), True),
            (Spec((3,)), Spec((3,), low=0.1), False),
        )
    ],
    "bilinear": [
        call(
            "bilinear", Spec((2, 3), "float64", grad=True), Spec((2, 4), "float64", seed=1), Spec((5, 3, 4), "float64")
        ),
        call("bilinear", Spec((2, 3)), Spec((2, 4), seed=1), Spec((5, 3, 4)), Spec((5,))),
        call("bilinear", Spec((2, 3)), Spec((2, 3), seed=1), Spec((5, 3, 4)), Spec((5,))),
        call("bilinear", Spec((3,)), Spec((4,), seed=1), Spec((5, 3, 4)), bias=None),
    ],
    "conv_tbc": [
        call("conv_tbc", Spec((5, 2, 3), "float64", grad=True), Spec((2, 3, 4), "float64"), Spec((4,), "float64"), 0),
        call("conv_tbc", Spec((5, 2, 3)), Spec((3, 3, 4)), Spec((4,)), pad=1),
        call("conv_tbc", Spec((5, 2, 3)), Spec((3, 2, 4)), Spec((4,))),
    ],
    "convolution": [
        call(
            "convolution",
            Spec((2, 4, 5, 5), "float64", grad=True),
            Spec((6, 2, 3, 3), "float64"),
            Spec((6,), "float64"),
            stride,
            padding,
            dilation,
            False,
            [0, 0],
            2,
        )
        for stride, padding, dilation in (([1, 1], [0, 0], [1, 1]), ([2, 1], [1, 2], [1, 2]))
    ]
    + [
        call("convolution", Spec((2, 4, 5)), Spec((4, 3, 3)), None, [2], [1], [1], True, [1], 1),
        call("convolution", Spec((2, 4, 5)), Spec((4, 3, 3)), None, [2], [1], [1], False, [0], 1),
    ],
    "chain_matmul": [
        call("chain_matmul", Spec((2, 3)), Spec((3, 4)), Spec((4, 2))),
        call("chain_matmul", Spec((2, 3))),
        call("chain_matmul", Spec((2, 3)), Spec((2, 4))),
    ],
    "channel_shuffle": calls(
        "channel_shuffle", (2,), (4,), (3,), (0,), {"groups": 1}, inputs=PICTURES[:2] + INTEGERS[:1]
    ),
    "native_channel_shuffle": calls("native_channel_shuffle", (2,), (4,), (3,), inputs=PICTURES[:2]),
    "pixel_shuffle": calls("pixel_shuffle", (2,), (1,), (3,), (0,), (-2,), inputs=PICTURES + INTEGERS[:1]),
    "pixel_unshuffle": calls("pixel_unshuffle", (2,), (3,), (4,), (0,), inputs=PICTURES + INTEGERS[:1]),
    "affine_grid_generator": [
        call("affine_grid_generator", Spec((2, 2, 3), "float64", grad=True), [2, 1, 3, 4], align)
        for align in (True, False)
    ]
    + [call("affine_grid_generator", Spec((1, 3, 4)), [1, 1, 2, 3, 2], False)],
    "grid_sampler": [
        call(
            "grid_sampler",
            Spec((1, 2, 4, 5), "float64", grad=True),
            Spec((1, 3, 3, 2), "float64", low=-1.2, high=1.2),
            mode,
            padding,
            align,
        )
        for mode in (0, 1, 2)
        for padding in (0, 1, 2)
        for align in (True, False)
    ]
    + [call("grid_sampler", Spec((1, 2, 3, 4, 5)), Spec((1, 2, 3, 3, 3), low=-1, high=1), 0, 0, False)],
    "embedding": [
        call("embedding", Spec((5, 3), "float64", grad=True), Spec((2, 2), "int64", low=0, high=1.5), *rest)
        for rest in ((), (1,), (-1, True), (0, False, False))
    ]
    + [
        call("embedding", Spec((5, 3)), Spec((2,))),
        call("embedding", Spec((5, 3)), Spec((2,), "int64", low=3, high=4)),
        call("embedding", Spec((5, 3)), Spec((2,), "int32", low=0, high=1.5)),
        call("embedding", weight=Spec((5, 3)), indices=Spec((), "int64", low=0, high=1)),
    ],
    "embedding_bag": [
        (lambda t, mode=mode: t.embedding_bag(R(t, 5, 3), t.tensor([0, 2, 4, 1]), t.tensor([0, 1]), False, mode)[0])
        for mode in (0, 1, 2)
    ]
    + [lambda t: t.embedding_bag(R(t, 5, 3), t.tensor([0, 2, 4, 1]), t.tensor([1, 2]), False, 0)],
    # -- losses
    "binary_cross_entropy_with_logits": [
        call(
            "binary_cross_entropy_with_logits",
            Spec((3, 4), "float64", grad=True),
            Spec((3, 4), "float64", low=0, high=1),
            *rest,
        )
        for rest in (
            (),
            (None,),
            (Spec((4,), "float64", low=0),),
            (None, Spec((4,), "float64", low=0)),
            (None, None, 0),
            (None, None, 2),
        )
    ]
    + [call("binary_cross_entropy_with_logits", Spec((3, 4)), Spec((4, 3)))],
    "cosine_embedding_loss": [
        call(
            "cosine_embedding_loss",
            Spec((3, 4), "float64", grad=True),
            Spec((3, 4), "float64", seed=1),
            Spec((3,), "float64", low=1, high=1),
            *rest,
        )
        for rest in ((), (0.5,), (0.0, 0), (0.0, 2))
    ]
    + [call("cosine_embedding_loss", Spec((3, 4)), Spec((3, 4)), Spec((3, 2)))],
    "hinge_embedding_loss": [
        call("hinge_embedding_loss", Spec((3, 4), "float64", grad=True), Spec((3, 4), "float64", low=1, high=1), *rest)
        for rest in ((), (0.5,), (1.0, 0), (1.0, 2))
    ],
    "margin_ranking_loss": [
        call(
            "margin_ranking_loss",
            Spec((3,), "float64", grad=True),
            Spec((3,), "float64", seed=1),
            Spec((3,), "float64"),
            *rest,
        )
        for rest in ((), (0.5,), (0.5, 0), (0.5, 2))
    ]
    + [call("margin_ranking_loss", Spec((3,)), Spec((3, 1)), Spec((3,)))],
    "kl_div": [
        call("kl_div", Spec((3, 4), "float64", grad=True), Spec((3, 4), "float64", low=0.1), *rest)
        for rest in ((), (0,), (2,), (1,))
    ]
    + [call("kl_div", Spec((3, 4)), Spec((3, 4), low=-1), log_target=True), call("kl_div", Spec((3, 4)), Spec((3, 5)))],
    "poisson_nll_loss": [
        call(
            "poisson_nll_loss",
            Spec((3, 4), "float64", grad=True),
            Spec((3, 4), "float64", low=0.1),
            log,
            full,
            1e-8,
            how,
        )
        for log in (True, False)
        for full in (True, False)
        for how in (0, 1, 2)
    ],
    "triplet_margin_loss": [
        call(
            "triplet_margin_loss",
            Spec((3, 4), "float64", grad=True),
            Spec((3, 4), "float64", seed=1),
            Spec((3, 4), "float64", seed=2),
            *rest,
        )
        for rest in ((), (0.5,), (1.0, 1), (1.0, 2, 1e-3, True, 0), (1.0, 2, 1e-6, False, 2))
    ],
    "ctc_loss": [
        lambda t, how=how, blank=blank: t.ctc_loss(
            t.log_softmax(X(t, 6, 2, 5), 2), t.tensor([[1, 2], [3, 1]]), t.tensor([6, 5]), t.tensor([2, 1]), blank, how
        )
        for how in (0, 1, 2)
        for blank in (0, 4)
    ],
    "cosine_similarity": calls(
        "cosine_similarity",
        (Spec((3, 4), seed=1),),
        (Spec((4,), seed=1), 0),
        (Spec((3, 4), seed=1), -1, 0.1),
        (Spec((3, 4), "int64"), 1),
        (Spec((3, 4)), 5),
        inputs=[Spec((3, 4)), Spec((3, 4), "float64", grad=True), Spec((3, 4), "int64")],
    ),
    "pairwise_distance": calls(
        "pairwise_distance",
        (Spec((3, 4), seed=1),),
        (Spec((4,), seed=1), 1.0),
        (Spec((3, 4), seed=1), 3, 1e-3, True),
        {"x2": Spec((3, 4), seed=2), "p": float("inf")},
        inputs=[Spec((3, 4)), Spec((3, 4), "float64", grad=True)],
    ),
    "pdist": calls("pdist", (), (1.0,), (0,), (float("inf"),), {"p": 3}, inputs=FLOATS + INTEGERS[:1]),
    "norm_except_dim": calls(
        "norm_except_dim",
        (),
        (2, 1),
        (1, 0),
        (2, -1),
        (2, 4),
        inputs=[Spec((3, 4)), Spec((3, 4), "float64", grad=True), Spec((3,))],
    ),
    "frobenius_norm": calls(
        "frobenius_norm",
        ([0],),
        ([0, 1],),
        ([1], True),
        ([-1],),
        inputs=[Spec((3, 4)), Spec((3, 4), "float64", grad=True)],
    ),
    "nuclear_norm": calls(
        "nuclear_norm", (), (True,), ([0, 1],), ([0, 1], True), inputs=[Spec((3, 4)), Spec((3, 4), "float64")]
    ),
    "slogdet": calls(
        "slogdet",
        inputs=[Spec((3, 3)), Spec((2, 3, 3), "float64", grad=True), Spec((3, 4)), Spec((0, 0)), Spec((3, 3), "int64")],
    ),
    "vander": calls(
        "vander",
        (),
        (3,),
        (3, True),
        {"N": 0},
        {"increasing": True},
        {"N": -1},
        inputs=[
            Spec((4,)),
            Spec((4,), "int64"),
            Spec((4,), "float64", grad=True),
            Spec((2, 2)),
            Spec((3,), "bool"),
            Spec((0,)),
        ],
    ),
    # -- recurrent functions
    **{
        name: [
            (
                lambda t, name=name, first=first, grad=grad, k=5 * gates: getattr(t, name)(
                    X(t, 4, 2, 3, dtype="float64", grad=grad),
                    X(t, 1, 4 if first else 2, 5, dtype="float64"),
                    [X(t, *size, dtype="float64", seed=len(size)) for size in ((k, 3), (k, 5), (k,), (k,))],
                    True,
                    1,
                    0.0,
                    False,
                    False,
                    first,
                )
            )
            for first in (False, True)
            for grad in (False, True)
        ]
        for name, gates in (("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1))
    },
    "lstm": [
        (
            lambda t, first=first: t.lstm(
                R(t, 4, 2, 3),
                [X(t, 1, 4 if first else 2, 5, dtype="float64", seed=s) for s in (5, 6)],
                [
                    X(t, 20, 3, dtype="float64"),
                    X(t, 20, 5, dtype="float64"),
                    X(t, 20, dtype="float64"),
                    X(t, 20, dtype="float64"),
                ],
                True,
                1,
                0.0,
                False,
                False,
                first,
            )
        )
        for first in (False, True)
    ],
    **{
        name: [
            call(
                name,
                Spec((2, 3), "float64", grad=True),
                Spec((2, 5), "float64"),
                Spec((5 * gates, 3), "float64"),
                Spec((5 * gates, 5), "float64"),
                *bias,
            )
            for bias in ((), (Spec((5 * gates,), "float64"), Spec((5 * gates,), "float64", seed=3)))
        ]
        + [call(name, Spec((2, 4)), Spec((2, 5)), Spec((5 * gates, 3)), Spec((5 * gates, 5)))]
        for name, gates in (("gru_cell", 3), ("rnn_tanh_cell", 1), ("rnn_relu_cell", 1))
    },
    "lstm_cell": [
        call(
            "lstm_cell",
            Spec((2, 3), "float64", grad=True),
            [Spec((2, 5), "float64"), Spec((2, 5), "float64", seed=1)],
            Spec((20, 3), "float64"),
            Spec((20, 5), "float64"),
            *bias,
        )
        for bias in ((), (Spec((20,), "float64"), Spec((20,), "float64", seed=3)))
    ],
    # -- copies
    "detach": calls("detach", inputs=ALL),
    "detach_copy": calls("detach_copy", inputs=ALL),
    "select_copy": calls("select_copy", (0, 1), (1, -1), (-1, 0), (5, 0), (0, 9), inputs=ALL),
    "slice_copy": calls("slice_copy", (), (1,), (0, 1, 3), (1, 0, 4, 2), (-1, -2), (0, 0, 3, 0), (3,), inputs=ALL),
    "split_copy": calls("split_copy", (2,), (1, 1), ([1, 2],), ([1, 3], 1), (0,), (-1,), inputs=ALL),
    "unsafe_split_with_sizes": calls(
        "unsafe_split_with_sizes", ([1, 2],), ([1, 3], 1), ([1, 3], -1), ([2],), inputs=ALL
    ),
    "view_as_complex_copy": calls(
        "view_as_complex_copy",
        inputs=[Spec((3, 2)), Spec((3, 2), "float64", grad=True), Spec((3,)), Spec((2, 2), "int64")],
    ),
    "view_as_real_copy": calls("view_as_real_copy", inputs=[*COMPLEX, Spec((3, 2))]),
    # -- questions
    **{
        name: calls(name, inputs=ALL + COMPLEX)
        for name in """is_complex is_conj is_floating_point is_inference is_neg is_signed is_tensor is_storage numel
        is_distributed get_device typename""".split()
    },
    "is_nonzero": calls("is_nonzero", inputs=[*ALL, Spec((1,)), Spec((1, 1), "bool"), Spec((0,)), *COMPLEX]),
    "is_same_size": calls("is_same_size", (Spec((3, 4)),), (Spec(()),), (Spec((2, 3)),)),
    "is_grad_enabled": [lambda t: t.is_grad_enabled(), lambda t: t.no_grad()(t.is_grad_enabled)()],
    "is_inference_mode_enabled": [
        lambda t: t.is_inference_mode_enabled(),
        lambda t: t.inference_mode()(t.is_inference_mode_enabled)(),
    ],
    "enable_grad": [lambda t: t.no_grad()(t.enable_grad()(t.is_grad_enabled))()],
    "no_grad": [
        lambda t: t.no_grad()(lambda: (R(t, 2) * 2).requires_grad)(),
        lambda t: t.no_grad(lambda: (R(t, 2) * 2).requires_grad)(),
    ],
    "inference_mode": [
        lambda t: t.inference_mode()(lambda: (R(t, 2) * 2).requires_grad)(),
        lambda t: t.inference_mode(False)(lambda: (R(t, 2) * 2).requires_grad)(),
        lambda t: t.inference_mode()(lambda: t.ones(2).is_inference())(),
    ],
    "is_anomaly_enabled": [
        lambda t: t.is_anomaly_enabled(),
        lambda t: within(t.autograd.detect_anomaly(), t.is_anomaly_enabled),
    ],
    "is_anomaly_check_nan_enabled": [
        lambda t: t.is_anomaly_check_nan_enabled(),
        lambda t: within(t.autograd.detect_anomaly(False), t.is_anomaly_check_nan_enabled),
    ],
    "is_vulkan_available": [lambda t: t.is_vulkan_available()],
    "has_spectral": [lambda t: bool(t.has_spectral)],
    "has_lapack": [lambda t: bool(t.has_lapack)],
    "has_mkl": [lambda t: isinstance(t.has_mkl, bool)],
    "has_openmp": [lambda t: isinstance(t.has_openmp, bool)],
    # -- numbers and types
    "e": [lambda t: t.e],
    "inf": [lambda t: t.inf],
    "nan": [lambda t: t.nan],
    "pi": [lambda t: t.pi],
    "newaxis": [lambda t: t.newaxis],
    **{
        name: [
            lambda t, name=name: [
                str(getattr(t, name)).rpartition(".")[2],
                getattr(t, name).itemsize,
                getattr(t, name).is_floating_point,
                getattr(t, name).is_complex,
                getattr(t, name).is_signed,
            ],
            lambda t, name=name: [t.ones(2, dtype=getattr(t, name)), t.zeros(1, dtype=getattr(t, name))],
            lambda t, name=name: [t.tensor(1, dtype=getattr(t, name)) + 1, t.tensor(1, dtype=getattr(t, name)) * 1.5],
            lambda t, name=name: [
                getattr(t, name).to_real()
                if getattr(t, name).is_floating_point or getattr(t, name).is_complex
                else None
            ],
            lambda t, name=name: (
                getattr(t, name).to_complex() if name in ("float32", "float64", "complex64", "complex128") else None
            ),
        ]
        for name in "float16 float32 float64 int8 int16 int32 int64 uint8 complex64 complex128".split()
    },
    **{
        name: [
            lambda t, name=name: [str(getattr(t, name)).rpartition(".")[2], getattr(t, name).itemsize],
            lambda t, name=name: t.tensor([1, 2, 3], dtype=getattr(t, name)),
            lambda t, name=name: t.tensor([1, 2, 3], dtype=getattr(t, name)).tolist(),
        ]
        for name in ("uint16", "uint32", "uint64", "bfloat16")
    },
    "dtype": [
        lambda t: isinstance(t.float32, t.dtype),
        lambda t: t.dtype("float32"),
        lambda t: repr(t.float32).rpartition(".")[2],
    ],
    "device": [
        lambda t: t.device("cpu"),
        lambda t: t.device("cuda:1"),
        lambda t: t.device("cuda", 1),
        lambda t: t.device("cuda"),
        lambda t: t.device("cpu").type,
        lambda t: t.device("cuda:1").index,
        lambda t: t.device("cpu").index,
        lambda t: t.device("nothing"),
        lambda t: t.device("cuda:x"),
        lambda t: t.device(type="cpu"),
        lambda t: t.device("cpu", -2),
        lambda t: t.device("cpu") == t.device("cpu", 0),
        lambda t: repr(t.device("cuda", 1)),
        lambda t: t.device(t.device("cpu")),
        lambda t: within(t.device("cpu"), lambda: t.ones(2)),
        lambda t: t.device(None),
        lambda t: hash(t.device("cpu")) == hash(t.device("cpu")),
    ],
    "Size": [
        lambda t: t.Size([1, 2]),
        lambda t: t.Size([1, 2]).numel(),
        lambda t: t.Size([]).numel(),
        lambda t: t.Size([1, 2]) + (3,),
        lambda t: t.Size([1, 2, 3])[1:],
        lambda t: isinstance(t.Size([1, 2, 3])[1:], t.Size),
        lambda t: repr(t.Size([1, 2])).rpartition(".")[2],
        lambda t: t.Size((2.5,)),
        lambda t: t.Size("ab"),
        lambda t: t.Size([2]) * 2,
        lambda t: isinstance(t.Size([2]) * 2, t.Size),
        lambda t: t.Size([2, 3]) == (2, 3),
        lambda t: isinstance((1,) + t.Size([2]), t.Size),
        lambda t: t.Size([1, 2]).count(2),
    ],
    "layout": [lambda t: isinstance(t.strided, t.layout), lambda t: t.ones(1).layout],
    "memory_format": [
        lambda t: isinstance(t.channels_last, t.memory_format),
        lambda t: [t.channels_last, t.contiguous_format, t.preserve_format, t.channels_last_3d],
    ],
    "finfo": [
        lambda t, name=name: [
            getattr(t.finfo(getattr(t, name)), one)
            for one in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype")
        ]
        for name in ("float16", "float32", "float64", "bfloat16", "complex64", "complex128", "int32", "bool")
    ]
    + [
        lambda t: t.finfo().max,
        lambda t: t.finfo("float32"),
        lambda t: t.finfo(type=t.float64).eps,
        lambda t: repr(t.finfo(t.float32)),
    ],
    "iinfo": [
        lambda t, name=name: [getattr(t.iinfo(getattr(t, name)), one) for one in ("bits", "max", "min", "dtype")]
        for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "float32", "bool")
    ]
    + [lambda t: t.iinfo(), lambda t: repr(t.iinfo(t.int8))],
    "can_cast": [
        lambda t, one=one, other=other: t.can_cast(getattr(t, one), getattr(t, other))
        for one in ("float32", "int64", "uint8", "bool", "complex64", "float16")
        for other in ("float64", "int32", "bool", "complex64", "uint8")
    ]
    + [lambda t: t.can_cast(from_=t.int32, to=t.int64), lambda t: t.can_cast(int, float)],
    "promote_types": [
        lambda t, one=one, other=other: t.promote_types(getattr(t, one), getattr(t, other))
        for one in ("float32", "int64", "uint8", "bool", "complex64", "float16", "int8", "bfloat16")
        for other in ("float64", "int32", "bool", "complex64", "uint8", "float16", "int8", "bfloat16", "complex128")
    ]
    + [lambda t: t.promote_types(type1=t.int32, type2=t.int64), lambda t: t.promote_types(1, 2)],
    "result_type": calls(
        "result_type",
        *[(one,) for one in OTHERS],
        (Spec((), "float64"),),
        (1j,),
        (Spec((2,), "bool"),),
        ("a",),
        inputs=ALL + COMPLEX + [1, 2.5, True],
    ),
    **{
        f"{name}Tensor": [
            lambda t, name=name: getattr(t, name + "Tensor")([1, 2]),
            lambda t, name=name: getattr(t, name + "Tensor")(2, 3).shape,
            lambda t, name=name: getattr(t, name + "Tensor")(2, 3).dtype,
            lambda t, name=name: getattr(t, name + "Tensor")(),
            lambda t, name=name: getattr(t, name + "Tensor")([[True, False], [False, True]]),
            lambda t, name=name: getattr(t, name + "Tensor")(t.Size([2, 2])).shape,
            lambda t, name=name: isinstance(getattr(t, name + "Tensor")([1]), getattr(t, name + "Tensor")),
            lambda t, name=name: isinstance(t.ones(1, dtype=t.complex64), getattr(t, name + "Tensor")),
            lambda t, name=name: getattr(t, name + "Tensor")("abc"),
            lambda t, name=name: getattr(t, name + "Tensor")(
                np.array([1, 2], dtype=getattr(t, name + "Tensor")().numpy().dtype)
            ),
        ]
        for name in "Bool Byte Char Double Float Int Long Short".split()
    },
    "Tensor": [
        lambda t: t.Tensor([1, 2]),
        lambda t: t.Tensor(2, 3).shape,
        lambda t: t.Tensor().shape,
        lambda t: t.Tensor([[1, 2], [3, 4]]),
        lambda t: t.Tensor([[1, 2], [3]]),
        lambda t: t.Tensor(5).shape,
        lambda t: t.Tensor(t.Size([2, 1])).shape,
        lambda t: t.Tensor([True, 2.5]),
        lambda t: t.Tensor(np.array([1.5, 2.5], dtype=np.float32)),
        lambda t: t.Tensor(t.ones(2)),
        lambda t: t.Tensor(t.ones(2, dtype=t.int64)),
        lambda t: t.Tensor(2.5),
        lambda t: t.Tensor((1, 2)),
        lambda t: t.Tensor(-1),
        lambda t: t.Tensor("a"),
        lambda t: t.Tensor([1]).requires_grad,
        lambda t: isinstance(t.nn.Parameter(t.ones(1)), t.Tensor),
        lambda t: t.Tensor(None),
    ],
    **{
        name: [
            lambda t, name=name: [getattr(t, name), getattr(t, name).itemsize],
            lambda t, name=name: t.ones(2, dtype=getattr(t, name)),
        ]
        for name in ("cdouble", "cfloat")
    },
    # -- creation
    "tensor": [
        lambda t, data=data, options=options: t.tensor(
            data, **{k: getattr(t, v) if k == "dtype" else v for k, v in options.items()}
        )
        for data in (
            1,
            2.5,
            True,
            1j,
            [],
            [1, 2],
            [1, 2.5],
            [True, 2],
            [[1], [2]],
            (1, 2),
            [1 + 2j, 3],
            np.arange(3),
            np.float32(2.5),
            np.int16(3),
            np.bool_(True),
            np.ones((2, 2), np.float64)[:, :1],
            [np.float32(1), np.float64(2)],
            [np.int32(1), 2],
            range(4),
            [[], []],
            [float("nan"), float("inf")],
            [np.arange(2), np.arange(2)],
            np.float16([1, 2]),
            np.array(1),
            np.uint16([1]),
            [[np.float64(1.5)]],
            2**40,
            [2**40, 1.0],
            np.arange(6).reshape(2, 3).T,
            np.arange(4)[::-1],
        )
        for options in (
            {},
            {"dtype": "float64"},
            {"dtype": "int64"},
            {"dtype": "bool"},
            {"dtype": "float16"},
            {"dtype": "complex64"},
            {"dtype": "uint8"},
        )
    ]
    + [
        lambda t: t.tensor([[1, 2], [3]]),
        lambda t: t.tensor("a"),
        lambda t: t.tensor(None),
        lambda t: t.tensor([None]),
        lambda t: t.tensor({}),
        lambda t: t.tensor([1], requires_grad=True),
        lambda t: t.tensor([1.0], requires_grad=True).requires_grad,
        lambda t: t.tensor(t.ones(2)),
        lambda t: t.tensor([t.tensor(1), t.tensor(2)]),
        lambda t: t.tensor([t.tensor(1.0), 2]),
        lambda t: t.tensor([t.ones(2), t.ones(2)]),
        lambda t: t.tensor([1.0], device="cpu"),
        lambda t: t.tensor(data=[1.0], dtype=t.int32),
        lambda t: t.tensor([1], t.float32),
        lambda t: t.tensor(),
        lambda t: t.tensor([1e400]),
        lambda t: t.tensor([2**70]),
        lambda t: t.tensor(300, dtype=t.uint8),
        lambda t: t.tensor([-1], dtype=t.uint8),
        lambda t: t.tensor([1], dtype="float32"),
        lambda t: t.tensor([1], dtype=float),
        lambda t: t.tensor([1.7], dtype=int),
        lambda t: t.tensor(b"ab"),
        lambda t: t.tensor([["a"]]),
        lambda t: t.tensor(np.array(["a"])),
        lambda t: t.tensor(np.array([None])),
        lambda t: t.tensor({1, 2}),
    ],
    "as_tensor": [
        lambda t, data=data: t.as_tensor(data)
        for data in (
            1,
            2.5,
            True,
            [1, 2],
            [[1.5]],
            np.arange(3),
            np.float32(2),
            [],
            (1, 2),
            np.arange(4.0)[::2],
            "a",
            None,
            [[1], [1, 2]],
        )
    ]
    + [
        lambda t: t.as_tensor([1, 2], dtype=t.float32),
        lambda t: t.as_tensor(np.arange(3), dtype=t.float64),
        lambda t: shares(t, t.as_tensor),
        lambda t: same(t, lambda x: t.as_tensor(x)),
        lambda t: same(t, lambda x: t.as_tensor(x, dtype=t.float64)),
        lambda t: same(t, lambda x: t.as_tensor(x, device="cpu")),
        lambda t: t.as_tensor(R(t, 2)).requires_grad,
        lambda t: t.as_tensor(data=[1]),
    ],
    "asarray": [
        lambda t, data=data: t.asarray(data)
        for data in (1, 2.5, True, [1, 2], [[1.5]], np.arange(3), np.float32(2), [], (1, 2), "a", None)
    ]
    + [
        lambda t: shares(t, t.asarray),
        lambda t: shares(t, lambda a: t.asarray(a, copy=True)),
        lambda t: shares(t, lambda a: t.asarray(a, copy=False)),
        lambda t: t.asarray([1], copy=False),
        lambda t: t.asarray([1, 2], dtype=t.float64),
        lambda t: same(t, lambda x: t.asarray(x)),
        lambda t: same(t, lambda x: t.asarray(x, copy=True)),
        lambda t: t.asarray(X(t, 2), dtype=t.float64, copy=False),
        lambda t: t.asarray(obj=[1]),
        lambda t: t.asarray([1.0], requires_grad=True).requires_grad,
        lambda t: t.asarray(R(t, 2)).requires_grad,
        lambda t: t.asarray([1], requires_grad=True),
        lambda t: t.asarray(memoryview(b"\x00\x01"), dtype=t.uint8),
        lambda t: t.asarray(b"\x00\x01\x02\x03", dtype=t.int16),
    ],
    "from_numpy": [
        lambda t, data=data: t.from_numpy(data)
        for data in (
            np.arange(3),
            np.ones((2, 3), np.float32).T,
            np.zeros((0, 2)),
            np.float16([1]),
            np.array([True]),
            np.array(2.0),
            np.uint16([1]),
            np.complex64([1j]),
            [1],
            1.0,
            None,
            np.array(["a"]),
            np.array([None]),
            np.float32(1),
            np.arange(4)[::-1],
            np.longdouble([1]),
        )
    ]
    + [lambda t: shares(t, t.from_numpy)],
    "frombuffer": [
        lambda t: t.frombuffer(bytearray(range(8)), dtype=t.uint8),
        lambda t: t.frombuffer(bytearray(range(8)), dtype=t.int16, count=2, offset=2),
        lambda t: t.frombuffer(bytearray(range(8)), dtype=t.float32, offset=4),
        lambda t: t.frombuffer(bytearray(b""), dtype=t.uint8),
        lambda t: t.frombuffer(bytearray(range(7)), dtype=t.int16),
        lambda t: t.frombuffer(bytearray(range(8)), dtype=t.uint8, offset=8),
        lambda t: t.frombuffer(bytearray(range(8)), dtype=t.uint8, count=9),
        lambda t: t.frombuffer(bytearray(range(8))),
        lambda t: t.frombuffer([1], dtype=t.uint8),
        lambda t: t.frombuffer(bytearray(range(8)), dtype=t.float64, requires_grad=True).requires_grad,
        lambda t: t.frombuffer(bytearray(4), dtype=t.uint8, count=0),
        lambda t: t.frombuffer(bytearray(4), dtype=t.uint8, offset=-1),
    ],
    "range": [
        lambda t: t.range(1, 4),
        lambda t: t.range(3),
        lambda t: t.range(0, 1, 0.25),
        lambda t: t.range(5, 1, -2),
        lambda t: t.range(1, 4, dtype=t.int64),
        lambda t: t.range(1, 4, 0),
        lambda t: t.range(4, 1),
        lambda t: t.range(start=1, end=2, step=0.5),
        lambda t: t.range(0, 3, requires_grad=True).requires_grad,
    ],
    **{
        name: [
            lambda t, name=name, args=args: getattr(t, name)(*args)
            for args in ((5,), (4, False), (1,), (0,), (6, True), (-1,), (2.5,))
        ]
        + [
            lambda t, name=name: getattr(t, name)(5, dtype=t.float64),
            lambda t, name=name: getattr(t, name)(5, dtype=t.int64),
            lambda t, name=name: getattr(t, name)(window_length=4, periodic=False),
            lambda t, name=name: getattr(t, name)(4, requires_grad=True).requires_grad,
        ]
        for name in ("bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window")
    },
    # -- symbols, which are plain numbers here
    "sym_float": [lambda t: t.sym_float(2), lambda t: t.sym_float(2.5)],
    "sym_int": [lambda t: t.sym_int(2), lambda t: t.sym_int(2.5), lambda t: t.sym_int(-2.5)],
    "sym_not": [lambda t: t.sym_not(True), lambda t: t.sym_not(False)],
    "sym_max": [lambda t: t.sym_max(2, 3), lambda t: t.sym_max(2, 3.5), lambda t: t.sym_max(4, 3.5)],
    "sym_min": [lambda t: t.sym_min(2, 3), lambda t: t.sym_min(2, 3.5), lambda t: t.sym_min(4, 3.5)],
    "sym_ite": [lambda t: t.sym_ite(True, 1, 2), lambda t: t.sym_ite(False, 1, 2), lambda t: t.sym_ite(True, 1, 2.5)],
    "sym_sum": [lambda t: t.sym_sum([1, 2, 3]), lambda t: t.sym_sum(()), lambda t: t.sym_sum([2])],
    "sym_sqrt": [lambda t: t.sym_sqrt(4), lambda t: t.sym_sqrt(2.25)],
    "sym_constrain_range": [
        lambda t: t.sym_constrain_range(3, min=1, max=5),
        lambda t: t.sym_constrain_range(7, min=1, max=5),
    ],
    "cond": [
        lambda t: t.cond(True, lambda x: x + 1, lambda x: x - 1, (t.ones(2),)),
        lambda t: t.cond(t.tensor(False), lambda x: x + 1, lambda x: x - 1, (t.ones(2),)),
    ],
    "compile": [
        lambda t: t.compile(lambda x: x + 1, backend="eager")(t.ones(2)),
        lambda t: t.compile(backend="eager")(lambda x: x + 1)(t.ones(2)),
    ],
}


def within(context, function):
    with context:
        return function()


def shares(t, function):
    array = np.zeros(3)
    tensor = function(array)
    array[0] = 7
    return tensor


def same(t, function):
    x = X(t, 2)
    return function(x) is x
