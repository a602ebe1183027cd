"""Names of PyTorch's C++ library, windows and special functions beside PyTorch's own: values, dtypes, error classes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import minigrad as mg  # noqa: E402
from tests.parity.compare import Comparison  # noqa: E402
from tests.parity.convert import Converter  # noqa: E402

RNG = np.random.default_rng(5)


def t(*shape, positive=False, dtype="float64"):
    values = RNG.normal(size=shape)
    return torch.from_numpy(np.abs(values) if positive else values).to(getattr(torch, dtype))


X, Y, Z, SIGN = t(4, 3), t(4, 3), t(4, 3), torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
LOG_PROBS, LABELS = t(6, 2, 4).log_softmax(-1), torch.tensor([[1, 2], [3, 3]])
BAGS = (t(5, 2), torch.tensor([0, 1, 4, 1, 3]), torch.tensor([0, 2, 2]))
LSTM = [t(8, 3), t(8, 2), t(8), t(8)]
GRU, RNN = [t(6, 3), t(6, 2)], [t(2, 3), t(2, 2), t(2), t(2)]
STATE, SEQUENCE = t(1, 2, 2), t(5, 2, 3)
SIZES = torch.tensor([2, 2, 1])

CALLS = {
    **{
        f"{name}({length}, {periodic})": (name, (length, periodic), {})
        for name in ("hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window")
        for length in (0, 1, 2, 7, 12)
        for periodic in (True, False)
    },
    "hamming_window alpha": ("hamming_window", (6, True, 0.6, 0.3), {}),
    "kaiser_window beta": ("kaiser_window", (6, False), {"beta": 4.0, "dtype": torch.float64}),
    "hann_window -1": ("hann_window", (-1,), {}),
    "hann_window int": ("hann_window", (4,), {"dtype": torch.int64}),
    "stft": ("stft", (t(2, 20), 8, 3), {"window": t(6), "win_length": 6, "normalized": True, "return_complex": True}),
    "stft pairs": ("stft", (t(20), 8), {"center": False, "onesided": False, "return_complex": False}),
    "istft": ("istft", (torch.stft(t(20), 8, window=torch.ones(8), return_complex=True), 8), {"length": 17}),
    "istft gap": ("istft", (torch.complex(t(3, 4), t(3, 4)), 4, 4), {"center": False, "window": t(4) * 0}),
    **{f"kl_div {n}": ("kl_div", (X, Y.softmax(1), n), {}) for n in (0, 1, 2)},
    "kl_div log": ("kl_div", (X, Y, 2), {"log_target": True}),
    "poisson_nll_loss": ("poisson_nll_loss", (X, Y.abs(), False, True, 1e-3, 1), {}),
    "cosine_embedding_loss": ("cosine_embedding_loss", (X, Y, SIGN, 0.2, 0), {}),
    "hinge_embedding_loss": ("hinge_embedding_loss", (X, Y.sign(), 0.5), {}),
    "margin_ranking_loss": ("margin_ranking_loss", (X, Y, Z.sign(), 0.2, 2), {}),
    "triplet_margin_loss": ("triplet_margin_loss", (X, Y, Z), {"swap": True, "reduction": 0}),
    "binary_cross_entropy_with_logits": ("binary_cross_entropy_with_logits", (X, Y.sigmoid(), Z.abs(), None, 1), {}),
    "ctc_loss": ("ctc_loss", (LOG_PROBS, LABELS, (6, 5), (2, 2)), {}),
    "ctc_loss word": ("ctc_loss", (LOG_PROBS, LABELS, (6, 5), (2, 2), 0, "mean"), {}),
    "embedding_bag max": ("embedding_bag", (*BAGS, False, 2), {}),
    "embedding_bag mean": ("embedding_bag", (*BAGS, False, 1), {}),
    "embedding_renorm_": ("embedding_renorm_", (t(4, 3), torch.tensor([1, 3, 1]), 0.5, 2.0), {}),
    "lstm": ("lstm", (SEQUENCE, (STATE, STATE), LSTM, True, 1, 0.0, False, False, False), {}),
    "lstm packed": ("lstm", (t(5, 3), SIZES, (STATE, STATE), LSTM, True, 1, 0.0, False, False), {}),
    "gru": ("gru", (SEQUENCE.transpose(0, 1), STATE, GRU, False, 1, 0.0, True, False, True), {}),
    "gru packed": ("gru", (t(5, 3), SIZES, STATE, GRU, False, 1, 0.0, True, False), {}),
    "rnn_tanh": ("rnn_tanh", (SEQUENCE, STATE, RNN, True, 1, 0.0, False, False, False), {}),
    "rnn_relu": ("rnn_relu", (SEQUENCE, STATE, RNN, True, 1, 0.0, False, False, False), {}),
    **{
        f"segment_reduce {name}": ("segment_reduce", (t(7, 2), name), {"lengths": torch.tensor([3, 0, 4])})
        for name in ("sum", "mean", "max", "min", "prod", "amax", "middle")
    },
    "segment_reduce along": (
        "segment_reduce", (t(2, 4), "mean"), {"lengths": torch.tensor([[1, 3], [4, 0]]), "axis": 1, "initial": 1}
    ),
    "segment_reduce offsets": ("segment_reduce", (t(6), "max"), {"offsets": torch.tensor([0, 2, 6]), "initial": 0.5}),
    "histogramdd": ("histogramdd", (t(30, 2), [3, 4]), {"density": True, "weight": t(30, positive=True)}),
    "histogramdd range": ("histogramdd", (t(30, 2), 3), {"range": [-1.0, 1.0, 0.0, 2.0]}),
    "hash_tensor": ("hash_tensor", (t(3, 4), 1), {"keepdim": True}),
    "norm_except_dim": ("norm_except_dim", (t(2, 3, 4), 2, 1), {}),
    "norm_except_dim all": ("norm_except_dim", (t(2, 3), 1, -1), {}),
    "nuclear_norm": ("nuclear_norm", (t(2, 3), True), {}),
    "nuclear_norm dims": ("nuclear_norm", (t(2, 3, 4), (0, 2)), {}),
    "frobenius_norm": ("frobenius_norm", (t(2, 3, 4), (0, 1), True), {}),
    "slice_copy": ("slice_copy", (t(5, 2), 0, 1, 5, 2), {}),
    "native_dropout off": ("native_dropout", (t(5), 0.5, False), {}),
    **{f"sym_int {n}": ("sym_int", (n,), {}) for n in (2.7, -2.7, 3)},
    "sym_max": ("sym_max", (1, 2.0), {}),
    "sym_min": ("sym_min", (1, 2.0), {}),
    "sym_not": ("sym_not", (True,), {}),
    "sym_ite": ("sym_ite", (False, 1, 2), {}),
    "sym_sqrt": ("sym_sqrt", (2.0,), {}),
    "sym_sum": ("sym_sum", ([1, 2, 3],), {}),
    "set_deterministic_debug_mode": ("set_deterministic_debug_mode", ("never",), {}),
    "set_num_interop_threads": ("set_num_interop_threads", (0,), {}),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("line", CALLS)
def test_calls(line):
    name, arguments, keywords = CALLS[line]
    answers = []
    for module in (torch, mg):
        convert = Converter(module)
        given, named = convert(list(arguments)), convert(dict(keywords))
        try:
            answers.append(getattr(module, name)(*given, **named))
        except Exception as error:
            answers.append(error)
    expected, found = answers
    if isinstance(expected, Exception):
        kind = next(base for base in type(expected).__mro__ if base.__module__ == "builtins")
        assert isinstance(found, kind), f"{found!r}, want {expected!r}"
    else:
        assert not isinstance(found, Exception), repr(found)
        assert Comparison(mg)(found, expected) is None, Comparison(mg)(found, expected)


def test_native_dropout_keeps_the_share():
    kept = [float(module.native_dropout(module.ones(5000), 0.3, True)[1].float().mean()) for module in (torch, mg)]
    np.testing.assert_allclose(kept, 0.7, atol=0.03)
