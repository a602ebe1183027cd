"""Cases of the Fourier transforms: real in, real out, complex in between."""

import numpy as np

import minigrad as mg
from minigrad.ops import fourier, spectrum
from tests.ops.table import case


def pairs(transform):
    """Return a transform of complex numbers as a function of, and with results in, pairs of real ones."""

    def run(x):
        out = transform(mg.view_as_complex(x.contiguous()))
        return mg.view_as_real(out) if out.is_complex() else out

    return run


def parts(x):
    """Return complex numbers as pairs."""
    return np.stack([x.real, x.imag], -1)


def whole(x):
    """Return pairs as complex numbers."""
    return x[..., 0] + 1j * x[..., 1]


CASES = {
    "complex_to_complex": [
        case(pairs(mg.fft.fft), (2, 5, 2), reference=lambda x: parts(np.fft.fft(whole(x)))),
        case(
            pairs(lambda z: mg.fft.ifft2(z, (2, 5), norm="ortho")), (3, 4, 2),
            reference=lambda x: parts(np.fft.ifft2(whole(x), (2, 5), norm="ortho")),
        ),
        case(pairs(lambda z: mg.fft.fftn(z, norm="forward", dim=(0, 2))), (2, 1, 3, 2)),
    ],
    "real_to_complex": [
        case(lambda x: mg.view_as_real(mg.fft.rfft(x)), (2, 5), reference=lambda x: parts(np.fft.rfft(x))),
        case(
            lambda x: mg.view_as_real(mg.fft.rfft(x, dim=0)), (4, 2),
            reference=lambda x: parts(np.fft.rfft(x, axis=0)),
        ),
        case(
            lambda x: mg.view_as_real(mg.fft.rfftn(x, (3, 6), norm="ortho")), (2, 4),
            reference=lambda x: parts(np.fft.rfftn(x, (3, 6), axes=(0, 1), norm="ortho")),
        ),
        case(lambda x: mg.view_as_real(mg.fft.ihfft(x)), (6,), reference=lambda x: parts(np.fft.ihfft(x))),
    ],
    "complex_to_real": [
        case(pairs(mg.fft.irfft), (3, 4, 2), reference=lambda x: np.fft.irfft(whole(x))),
        case(pairs(lambda z: mg.fft.irfft(z, 7)), (4, 2), reference=lambda x: np.fft.irfft(whole(x), 7)),
        case(
            pairs(lambda z: mg.fft.hfft(z, norm="ortho")), (4, 2),
            reference=lambda x: np.fft.hfft(whole(x), norm="ortho"),
        ),
        case(pairs(lambda z: mg.fft.irfft2(z, norm="forward")), (2, 3, 2)),
    ],
    "weigh_inner": [
        case(
            lambda x: fourier.weigh_inner(x, dim=0, size=4, factor=2), (3, 2), reference=lambda x: x * [[1], [2], [1]]
        ),
        case(
            lambda x: fourier.weigh_inner(x, dim=1, size=5, factor=0.5), (2, 3), reference=lambda x: x * [1, 0.5, 0.5]
        ),
    ],
    "frames": [
        case(
            lambda x: spectrum.frames(x, length=4, hop=3), (2, 8),
            reference=lambda x: np.stack([x[:, 0:4], x[:, 3:7]], 1),
        ),
        case(
            lambda x: mg.view_as_real(mg.stft(x, 6, 2, window=mg.hann_window(6, dtype=x.dtype), return_complex=True)),
            (12,),
        ),
    ],
    "overlap_add": [
        case(
            lambda x: spectrum.overlap_add(x, hop=2, size=8), (3, 3),
            reference=lambda x: np.pad(x[0], (0, 5)) + np.pad(x[1], (2, 3)) + np.pad(x[2], (4, 1)),
        ),
        case(
            pairs(lambda z: mg.istft(z, 6, 2, window=mg.hann_window(6, dtype=z.real.dtype) + 0.1, length=9)), (4, 5, 2)
        ),
    ],
}  # fmt: skip
