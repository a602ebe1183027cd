"""Fourier transforms, windows and spectra: dtypes, errors, examples; values and gradients are in cases_fourier.py."""

import doctest

import numpy as np
import pytest

import minigrad as mg
from minigrad.ops.fourier import TRANSFORMS
from minigrad.ops.windows import WINDOWS


@pytest.mark.parametrize("functions", [TRANSFORMS, WINDOWS], ids=["fft", "windows"])
def test_examples(functions):
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for name, function in functions.items():
        for example in doctest.DocTestFinder().find(function, name, globs={}):
            assert example.examples
            runner.run(example)
    assert runner.failures == 0


def test_precision_is_kept():
    assert mg.fft.fft(mg.ones(4)).dtype is mg.complex64
    assert mg.fft.rfft(mg.ones(4, dtype=mg.float64)).dtype is mg.complex128
    assert mg.fft.irfft(mg.ones(4, dtype=mg.int64)).dtype is mg.float32
    assert mg.fft.hfftn(mg.ones(4, 3, dtype=mg.complex128)).dtype is mg.float64
    assert mg.fft.ifft2(mg.ones(2, 3, dtype=mg.bool)).dtype is mg.complex64


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: mg.fft.fft([1.0]), TypeError, "must be Tensor"),
        (lambda: mg.fft.fft(mg.ones(2).half()), RuntimeError, "Unsupported dtype"),
        (lambda: mg.fft.rfft(mg.ones(2, dtype=mg.complex64)), RuntimeError, "expects a real input"),
        (lambda: mg.fft.fft(mg.ones(2), 0), RuntimeError, "Invalid number of data points"),
        (lambda: mg.fft.irfft(mg.ones(1)), RuntimeError, "Invalid number of data points"),
        (lambda: mg.fft.fft(mg.ones(2), dim=1), IndexError, "out of range"),
        (lambda: mg.fft.fft(mg.tensor(1.0)), IndexError, "no dimensions"),
        (lambda: mg.fft.fftn(mg.ones(2, 2), dim=(0, 0)), RuntimeError, "unique"),
        (lambda: mg.fft.fftn(mg.ones(2, 2), (2,), (0, 1)), RuntimeError, "same length"),
        (lambda: mg.fft.fftn(mg.ones(2), (2, 2)), RuntimeError, "only has 1 dimensions"),
        (lambda: mg.fft.rfftn(mg.tensor(1.0)), RuntimeError, "at least one axis"),
        (lambda: mg.fft.fft(mg.ones(2), norm="half"), RuntimeError, "Invalid normalization mode"),
        (lambda: mg.fft.fft(mg.ones(2), out=mg.ones(2)), RuntimeError, "can't be cast"),
        (lambda: mg.stft(mg.ones(8), 4), RuntimeError, "return_complex"),
        (lambda: mg.stft(mg.ones(8), 4, window=mg.ones(3), return_complex=True), RuntimeError, "1D window"),
        (lambda: mg.stft(mg.ones(3), 8, center=False, return_complex=True), RuntimeError, "n_fft"),
        (lambda: mg.istft(mg.ones(3, 2), 4), RuntimeError, "complex-valued"),
        (lambda: mg.istft(mg.ones(3, 5, dtype=mg.complex64), 8), RuntimeError, "frequency dimension"),
        (
            lambda: mg.istft(mg.ones(3, 2, dtype=mg.complex64), 4, window=mg.hann_window(4), center=False),
            RuntimeError,
            "overlap add",
        ),
        (lambda: mg.hann_window(-1), RuntimeError, "non-negative"),
        (lambda: mg.hann_window(4, dtype=mg.int64), RuntimeError, "floating point"),
        (lambda: mg.kaiser_window(4, True, 3.0, 4.0), TypeError, "takes"),
        (lambda: mg.signal.windows.gaussian(4, std=0.0), ValueError, "positive"),
        (lambda: mg.signal.windows.general_cosine(4), TypeError, "takes"),
        (lambda: mg.signal.windows.hann(4, dtype=mg.float16), ValueError, "float32"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_out_is_written():
    out = mg.empty(3, dtype=mg.complex64)
    assert mg.fft.rfft(mg.arange(4.0), out=out) is out
    np.testing.assert_allclose(out.numpy(), np.fft.rfft(np.arange(4.0)))


def test_stft_of_a_pure_tone_and_back():
    time = mg.arange(64, dtype=mg.float64)
    signal = mg.stack([(time * (2 * mg.pi * k / 16)).sin() for k in (2, 5)])
    window = mg.hann_window(16, dtype=mg.float64)
    spectrum = signal.stft(16, 4, window=window, return_complex=True)
    assert spectrum.shape == (2, 9, 17)
    assert spectrum.abs()[:, :, 4:12].argmax(1).unique(dim=1).squeeze(1).tolist() == [2, 5]
    np.testing.assert_allclose(spectrum.istft(16, 4, window=window).numpy(), signal.numpy(), atol=1e-12)
    with pytest.warns(UserWarning, match="padded with zeros"):
        longer = mg.istft(spectrum, 16, 4, window=window + 0.1, center=False, length=90)
    assert longer.shape == (2, 90) and bool((longer[:, 80:] == 0).all())
