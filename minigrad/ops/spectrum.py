"""Short-time Fourier transforms: of overlapping frames of a signal, and back."""


import warnings

from minigrad.kernels import fourier as kernels
from minigrad.op import Op
from minigrad.ops.complex import view_as_real_op
from minigrad.ops.define import require_tensor
from minigrad.ops.fourier import complex_to_complex, complex_to_real, real_to_complex
from minigrad.ops.pad import pad
from minigrad.precision import autocasting

frames = Op(kernels.frames, [lambda g, x_shape, hop: overlap_add(g, hop=hop, size=x_shape[-1])])
overlap_add = Op(kernels.overlap_add, [lambda g, x_shape, hop: frames(g, length=x_shape[-1], hop=hop)])


def _centred(window, win_length, n_fft, like, name):
    """Return the window of length win_length (None: ones) with zeros on both sides up to n_fft; None where all is 1."""
    if window is None:
        if win_length == n_fft:
            return None
        window = like.real.new_ones(win_length)
    elif window.array.shape != (win_length,):
        raise RuntimeError(
            f"{name}: expected a 1D window tensor of size equal to win_length={win_length}, but got window with size "
            f"{list(window.shape)}"
        )
    left = (n_fft - win_length) // 2
    return pad(window, (left, n_fft - win_length - left)) if win_length < n_fft else window


def _lengths(name, n_fft, hop_length, win_length):
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    if n_fft <= 0:
        raise RuntimeError(f"{name}: expected n_fft > 0, but got n_fft={n_fft}")
    if hop <= 0:
        raise RuntimeError(f"{name}: expected hop_length > 0, but got hop_length={hop}")
    if not 0 < length <= n_fft:
        raise RuntimeError(f"{name}: expected 0 < win_length <= n_fft, but got win_length={length}, n_fft={n_fft}")
    return hop, length


@autocasting
def stft(
    input, n_fft, hop_length=None, win_length=None, window=None, center=True, pad_mode="reflect", normalized=False,
    onesided=None, return_complex=None, align_to_window=None,
):  # fmt: skip
    """Return the Fourier transforms of overlapping, windowed frames of a signal. # (…, T) → (…, n_fft // 2 + 1, frames)

    Arguments: input (T,) or (B, T); n_fft (samples of a frame), hop_length (between frames; n_fft // 4), win_length
    (n_fft) of window (ones), center (frame t is around t * hop_length, the signal padded as pad_mode says), normalized
    (divide by sqrt(n_fft)), onesided (for real signals: the first half only), return_complex (False: pairs of real
    numbers), align_to_window (without center: the frames start where the window does).
    RuntimeError for lengths that do not fit or if return_complex is not given for a real signal.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.stft.html

    >>> import minigrad as mg
    >>> mg.stft(mg.ones(16), 8, 4, window=mg.hann_window(8), return_complex=True).shape
    minigrad.Size([5, 5])
    """
    require_tensor("stft", input)
    shape = input.array.shape
    if input.array.dtype.char not in "fdFD" or len(shape) not in (1, 2):
        raise RuntimeError(
            f"stft({input.dtype}{list(shape)}, n_fft={n_fft}): expected a 1D or 2D tensor of single or double precision"
        )
    hop, length = _lengths("stft", n_fft, hop_length, win_length)
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    is_complex = input.array.dtype.kind == "c" or window is not None and window.array.dtype.kind == "c"
    if return_complex is None:
        if not is_complex:
            raise RuntimeError("stft requires the return_complex parameter be given for real inputs: pass True")
        return_complex = True
    onesided = not is_complex if onesided is None else onesided
    if onesided and is_complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    window = _centred(window, length, n_fft, input, "stft")
    x = input if len(shape) == 2 else input.unsqueeze(0)
    if center:
        x = pad(x.unsqueeze(0), (n_fft // 2, n_fft // 2), pad_mode).squeeze(0)
    elif align_to_window:
        left = (n_fft - length) // 2
        x = pad(x, (-left, n_fft - length - left))
    if n_fft > x.array.shape[-1]:
        raise RuntimeError(f"stft: expected 0 < n_fft <= {x.shape[-1]}, the length of the signal, but got {n_fft}")
    pieces = frames(x, length=n_fft, hop=hop)  # (B, frames, n_fft)
    pieces = pieces if window is None else pieces * window
    norm = "ortho" if normalized else "backward"
    if onesided:
        out = real_to_complex(pieces, dim=2, norm=norm)
    else:
        pieces = pieces if pieces.array.dtype.kind == "c" else pieces.to(pieces.dtype.to_complex())
        out = complex_to_complex(pieces, dims=(2,), norm=norm, inverse=False)
    out = out.transpose(1, 2)
    out = out if len(shape) == 2 else out.squeeze(0)
    if return_complex:
        return out
    return view_as_real_op(out)


def istft(
    input, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False, onesided=None,
    length=None, return_complex=False,
):  # fmt: skip
    """Return the signal whose stft is nearest to input. # (…, n_fft // 2 + 1, frames) → (…, T)

    The frames are windowed again, added up, and divided by the sum of the squared windows.
    Arguments: as of stft; length (of the result; by default what the frames cover), return_complex (a complex signal).
    RuntimeError for what is not complex, sizes that do not fit, or windows that leave a gap.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.istft.html

    >>> import minigrad as mg
    >>> frames = mg.stft(mg.arange(8.0), 4, window=mg.hann_window(4), return_complex=True)
    >>> mg.istft(frames, 4, window=mg.hann_window(4))
    tensor([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    require_tensor("istft", input)
    if input.array.dtype.kind != "c":
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with return_complex=True."
        )
    shape = input.array.shape
    if not input.array.size or len(shape) not in (2, 3):
        raise RuntimeError(f"istft: expected a nonempty tensor of 2 or 3 dimensions, but got {list(shape)}")
    hop, win_length = _lengths("istft", n_fft, hop_length, win_length)
    if hop > win_length:
        raise RuntimeError(f"istft: expected 0 < hop_length <= win_length, but got {hop} and {win_length}")
    onesided = shape[-2] != n_fft if onesided is None else onesided
    if shape[-2] != (n_fft // 2 + 1 if onesided else n_fft):
        raise RuntimeError(
            f"istft: expected the frequency dimension (3rd to the last) of the input tensor to match n_fft={n_fft} "
            f"with onesided={onesided}, but got {shape[-2]}"
        )
    if onesided and return_complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    if not return_complex and window is not None and window.array.dtype.kind == "c":
        raise RuntimeError("Complex windows are incompatible with return_complex=False")
    window = _centred(window, win_length, n_fft, input, "istft")
    window = input.real.new_ones(n_fft) if window is None else window
    count, norm = shape[-1], "ortho" if normalized else "backward"
    pieces = (input if len(shape) == 3 else input.unsqueeze(0)).transpose(1, 2)  # (B, frames, frequencies)
    if return_complex:
        pieces = complex_to_complex(pieces, dims=(2,), norm=norm, inverse=True)
    else:
        if not onesided:
            pieces = pieces[..., : n_fft // 2 + 1]
        pieces = complex_to_real(pieces, dim=2, size=n_fft, norm=norm)
    size = n_fft + hop * (count - 1)
    signal = overlap_add(pieces * window, hop=hop, size=size)
    envelope = overlap_add((window * window).expand(1, count, n_fft), hop=hop, size=size)
    start = n_fft // 2 if center else 0
    stop = start + length if length is not None else size - start
    signal, envelope = signal[:, start:stop], envelope[:, start:stop]
    if not bool((envelope.detach().abs() > 1e-11).all()):
        raise RuntimeError("istft: window overlap add min: 0, the windows leave gaps in the signal")
    signal = signal / envelope
    if length is not None and signal.array.shape[1] < length:
        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded with zeros in the tail. "
            "Please check your center and hop_length settings",
            stacklevel=2,
        )
        signal = pad(signal, (0, length - signal.array.shape[1]))
    return signal if len(shape) == 3 else signal.squeeze(0)
