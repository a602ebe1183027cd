"""Tensors: making them, NumPy interop, conversions, devices, randomness, and the errors of each."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg

NUMPY_DTYPES = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool", "complex64"]


# ---------------------------------------------------------------------- from data
@pytest.mark.parametrize(
    "data, dtype",
    [
        (1, mg.int64),
        (True, mg.bool),
        (1.5, mg.float32),
        (1j, mg.complex64),
        ([], mg.float32),
        ([[1, 2], [3, 4]], mg.int64),
        ([1, 2.5], mg.float32),
        ([True, 2], mg.int64),
        ((1.0, 2.0), mg.float32),
        (range(3), mg.int64),
        (np.float64(2), mg.float64),
        (np.arange(3, dtype="int16"), mg.int16),
        ([np.float32(1), np.float32(2)], mg.float32),
        ([np.arange(2.0), np.arange(2.0)], mg.float64),
    ],
)
def test_inferred_dtype(data, dtype):
    tensor = mg.tensor(data)
    assert tensor.dtype is dtype
    np.testing.assert_array_equal(tensor.numpy(), np.array(data))


def test_tensors_inside_lists():
    assert mg.tensor([mg.tensor(1.5), mg.tensor(2.5)]).tolist() == [1.5, 2.5]
    assert mg.tensor([[mg.tensor(1)], [2]]).dtype is mg.int64


@pytest.mark.parametrize(
    "data, error",
    [
        ("text", TypeError),
        ([1, "a"], TypeError),
        ([[1], [1, 2]], ValueError),
        (None, RuntimeError),
        (["a"], ValueError),
        ([2**70], ValueError),
    ],
)
def test_data_that_is_none(data, error):
    with pytest.raises(error):
        mg.tensor(data)


@pytest.mark.parametrize(
    "data, error, message",
    [
        ([[1, 2], [3]], ValueError, r"expected sequence of length 2 at dim 1 \(got 1\)"),
        ([[[1], [2]], [[3], [4, 5]]], ValueError, r"expected sequence of length 1 at dim 2 \(got 2\)"),
        ([np.ones((2, 3)), np.ones((1, 3))], ValueError, r"expected sequence of length 2 at dim 1 \(got 1\)"),
        ([[1, 2], 3], TypeError, "int is not a sequence, as other items at dim 1 are"),
    ],
)
def test_ragged_data(data, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        mg.tensor(data)


@pytest.mark.parametrize(
    "call",
    [
        mg.exp,
        mg.nn.Linear(2, 2),
        lambda other: mg.zeros(2).copy_(other),
        lambda other: mg.cat([mg.zeros(2), other]),
        lambda other: mg.where(mg.ones(2) > 0, mg.ones(2), other),
        lambda other: mg.nn.functional.mse_loss(mg.ones(2), other),
        lambda other: mg.optim.SGD([other], lr=0.1),
    ],
)
def test_tensors_of_another_library_are_told_apart(call):
    other = type("Tensor", (), {"__module__": "torch"})()
    with pytest.raises(TypeError, match=r"torch\.Tensor \(as_tensor\(\) makes one of it\)$"):
        call(other)


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("index", [4, -3, (0, 4), ([4],), ..., (slice(None), [-5, 1])])
def test_an_index_out_of_bounds(index, tracked):
    x = mg.ones(2, 4, requires_grad=tracked) * 1
    index = (1, -5) if index is ... else index
    actions = [lambda: x[index], lambda: x.__setitem__(index, 1.0)]
    for action in actions:
        with pytest.raises(IndexError, match=r"^index -?\d is out of bounds for dimension [01] with size [24](\n|$)"):
            action()


def test_copying_a_tensor_warns():
    with pytest.warns(UserWarning, match="detach"):
        mg.tensor(mg.ones(2))


@given(hnp.arrays(dtype=st.sampled_from(NUMPY_DTYPES), shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0)))
def test_from_numpy_shares_memory(array):
    tensor = mg.from_numpy(array)
    assert tensor.shape == array.shape and str(tensor.dtype) == f"minigrad.{array.dtype}"
    assert tensor.numpy() is array or np.shares_memory(tensor.numpy(), array) or not array.size
    if array.size:
        tensor.zero_()
        assert not array.any()
        array[...] = 1
        assert (tensor == 1).all()


def test_from_numpy_errors():
    array = np.arange(4.0)
    with pytest.raises(ValueError, match="negative"):
        mg.from_numpy(array[::-1])
    with pytest.raises(TypeError, match="expected np.ndarray"):
        mg.from_numpy([1.0])
    with pytest.raises(TypeError, match="supported types"):
        mg.from_numpy(np.array(["a"]))
    with pytest.raises(ValueError, match="byte order"):
        mg.from_numpy(array.astype(">f8"))
    array.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable"):
        tensor = mg.from_numpy(array)
    with pytest.raises(RuntimeError, match="read-only"):
        tensor.zero_()
    with pytest.raises(RuntimeError, match="read-only"):
        tensor[0] = 1


def test_as_tensor_and_asarray_share_where_they_can():
    array = np.arange(3, dtype="float32")
    assert np.shares_memory(mg.as_tensor(array).numpy(), array)
    assert not np.shares_memory(mg.as_tensor(array, dtype=mg.float64).numpy(), array)
    tensor = mg.ones(2)
    assert mg.as_tensor(tensor) is tensor
    assert mg.asarray(tensor, copy=True).data_ptr() != tensor.data_ptr()
    with pytest.raises(ValueError, match="without a copy"):
        mg.asarray([1, 2], copy=False)
    with pytest.raises(ValueError, match="without a copy"):
        mg.asarray(array, dtype=mg.int64, copy=False)


def test_frombuffer_and_dlpack():
    memory = bytearray(np.arange(4, dtype="int32").tobytes())
    tensor = mg.frombuffer(memory, dtype=mg.int32, offset=4)
    assert tensor.tolist() == [1, 2, 3]
    memory[4] = 9
    assert tensor[0] == 9
    for arguments in ({"offset": 16}, {"count": 5}, {"offset": 3}, {"count": 0}):
        with pytest.raises(ValueError):
            mg.frombuffer(memory, dtype=mg.int32, **arguments)
    source = np.arange(3.0)
    assert np.shares_memory(mg.from_dlpack(source).numpy(), source)
    assert np.shares_memory(np.from_dlpack(mg.from_numpy(source)), source)
    with pytest.raises(BufferError):
        np.from_dlpack(mg.ones(2, requires_grad=True))


# ---------------------------------------------------------------------- filled and counted
@pytest.mark.parametrize("name", ["zeros", "ones", "empty", "rand", "randn"])
def test_sizes(name):
    make = getattr(mg, name)
    for shape in (
        make(2, 3),
        make((2, 3)),
        make([2, 3]),
        make(size=(2, 3)),
        make(mg.Size([2, 3])),
        make(np.int64(2), 3),
    ):
        assert shape.shape == (2, 3)
    assert make(()).shape == () and make(0, 2).shape == (0, 2)
    with pytest.raises(RuntimeError, match="negative"):
        make(2, -1)
    with pytest.raises(TypeError):
        make(2.5)
    with pytest.raises(TypeError, match="unexpected keyword"):
        make(2, shape=3)
    assert make(2, dtype=mg.float64).dtype is mg.float64
    assert make(2, requires_grad=True).requires_grad
    out = mg.zeros(2, 2)
    assert make(2, 2, out=out) is out
    if name in ("rand", "randn"):
        with pytest.raises(RuntimeError):
            make(2, dtype=mg.int64)
    else:
        with pytest.raises(RuntimeError, match="floating point"):
            make(2, dtype=mg.int64, requires_grad=True)


@pytest.mark.parametrize("name", ["zeros", "ones", "empty", "rand", "randn"])
def test_like_and_new(name):
    source = mg.zeros(4, 3, dtype=mg.float64).t()
    like = getattr(mg, f"{name}_like")(source)
    assert like.shape == (3, 4) and like.dtype is mg.float64 and like.stride() == source.stride()
    assert getattr(mg, f"{name}_like")(source, memory_format=mg.contiguous_format).is_contiguous()
    assert getattr(mg, f"{name}_like")(source, dtype=mg.float32).dtype is mg.float32
    if hasattr(source, f"new_{name}"):
        assert getattr(source, f"new_{name}")(2, 2).dtype is mg.float64


def test_full_infers_and_checks():
    assert mg.full((2,), 1).dtype is mg.int64 and mg.full((2,), True).dtype is mg.bool
    assert mg.full((2,), 1.0).dtype is mg.float32 and mg.full((), 2j).dtype is mg.complex64
    assert mg.full_like(mg.zeros(2), 3).tolist() == [3.0, 3.0]
    with pytest.raises(RuntimeError, match="overflow"):
        mg.full((2,), 300, dtype=mg.uint8)
    with pytest.raises(TypeError):
        mg.full((2,), "a")


def test_arange_family():
    assert mg.arange(5).tolist() == [0, 1, 2, 3, 4] and mg.arange(5).dtype is mg.int64
    assert mg.arange(1, 2, 0.25).tolist() == [1.0, 1.25, 1.5, 1.75]
    assert mg.arange(3, 0, -1).tolist() == [3, 2, 1] and mg.arange(2.0).dtype is mg.float32
    assert mg.linspace(0, 1, 3).tolist() == [0, 0.5, 1] and mg.linspace(2, 3, 1).tolist() == [2]
    assert mg.logspace(0, 2, 3).tolist() == [1, 10, 100]
    assert mg.eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert mg.tril_indices(2, 2).tolist() == [[0, 1, 1], [0, 0, 1]]
    for wrong in (
        lambda: mg.arange(0, 3, 0),
        lambda: mg.arange(0, 3, -1),
        lambda: mg.linspace(0, 1, -1),
        lambda: mg.eye(-1),
    ):
        with pytest.raises(RuntimeError):
            wrong()


def test_memory_formats():
    image = mg.rand(2, 3, 4, 5)
    last = image.contiguous(memory_format=mg.channels_last)
    assert last.stride() == (60, 1, 15, 3) and (last == image).all()
    assert last.is_contiguous(memory_format=mg.channels_last) and not last.is_contiguous()
    assert last.contiguous(memory_format=mg.channels_last) is last
    assert mg.empty(2, 3, 4, 5, memory_format=mg.channels_last).stride() == last.stride()
    assert mg.zeros_like(last).stride() == last.stride() and last.clone().stride() == last.stride()
    with pytest.raises(RuntimeError, match="rank 4"):
        mg.zeros(2).to(memory_format=mg.channels_last)
    with pytest.raises(TypeError):
        mg.zeros(2).contiguous(memory_format="channels_last")


# ---------------------------------------------------------------------- conversions
def test_to_in_every_form():
    tensor = mg.ones(2)
    assert tensor.to("cpu") is tensor and tensor.to(mg.float32) is tensor and tensor.to(mg.device("cpu")) is tensor
    assert tensor.to(mg.float64).dtype is mg.float64 and tensor.to("cpu", mg.int32).dtype is mg.int32
    assert tensor.to(mg.zeros(1, dtype=mg.int8)).dtype is mg.int8
    assert tensor.to(device="cpu", dtype=mg.float16, non_blocking=True).dtype is mg.float16
    assert tensor.to(mg.float32, copy=True) is not tensor
    with pytest.raises(TypeError):
        tensor.to(mg.float32, mg.float64, mg.int8)
    with pytest.raises(RuntimeError, match="Expected one of cpu, cuda"):
        tensor.to("tpu")


def test_conversion_has_a_gradient():
    x = mg.ones(3, requires_grad=True)
    (x.double() * 2).sum().backward()
    assert x.grad.dtype is mg.float32 and x.grad.tolist() == [2, 2, 2]
    assert not x.long().requires_grad


def test_legacy_types():
    assert mg.FloatTensor([1, 2]).dtype is mg.float32 and mg.LongTensor(2, 3).shape == (2, 3)
    assert isinstance(mg.zeros(1), mg.FloatTensor) and not isinstance(mg.zeros(1), mg.LongTensor)
    assert not isinstance(mg.zeros(1), mg.cuda.FloatTensor)
    assert mg.zeros(1).type() == "torch.FloatTensor" and mg.zeros(1).type("torch.LongTensor").dtype is mg.int64
    assert mg.zeros(1).type(mg.ByteTensor).dtype is mg.uint8 and mg.zeros(1).type(mg.int8).dtype is mg.int8
    assert mg.arange(2).type_as(mg.zeros(1)).dtype is mg.float32
    with pytest.raises(ValueError, match="invalid type"):
        mg.zeros(1).type("FloatTensor2")


def test_bytes_as_another_dtype():
    tensor = mg.tensor([1.0, -2.0])
    assert tensor.view(mg.int32).view(mg.float32).tolist() == [1, -2]
    tensor.view(mg.int32).zero_()
    assert tensor.tolist() == [0, 0]
    assert mg.zeros(2, 4, dtype=mg.uint8).view(mg.float32).shape == (2, 1)
    with pytest.raises(RuntimeError, match="divisible"):
        mg.zeros(3, dtype=mg.uint8).view(mg.int32)


def test_python_and_numpy_protocols():
    tensor = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert np.asarray(tensor).dtype == np.float32 and np.array(tensor, dtype=float).dtype == np.float64
    assert isinstance(np.sqrt(tensor), mg.Tensor)
    assert [row.tolist() for row in tensor] == [[1, 2], [3, 4]] and len(tensor) == 2
    assert 3.0 in tensor and f"{mg.tensor(2.5):.2f}" == "2.50" and [0, 1, 2][mg.tensor(1)] == 1
    for again in (copy.deepcopy(tensor), pickle.loads(pickle.dumps(tensor))):
        assert (again == tensor).all() and again.data_ptr() != tensor.data_ptr()
    for wrong, error in (
        (lambda: tensor.item(), RuntimeError),
        (lambda: bool(tensor), RuntimeError),
        (lambda: len(mg.tensor(1)), TypeError),
        (lambda: list(mg.tensor(1)), TypeError),
        (lambda: mg.ones(1, requires_grad=True).numpy(), RuntimeError),
    ):
        with pytest.raises(error):
            wrong()


def test_gpu_asked_for_on_a_machine_without():
    if mg.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert mg.cuda.device_count() == 0 and mg.cuda.memory_allocated() == 0
    assert mg.accelerator.current_accelerator() is None
    mg.cuda.empty_cache()
    mg.cuda.manual_seed_all(1)
    for wrong in (
        lambda: mg.zeros(2, device="cuda"),
        lambda: mg.zeros(2).cuda(),
        lambda: mg.zeros(2).to("cuda:1"),
        lambda: mg.cuda.FloatTensor(2),
        lambda: mg.cuda.synchronize(),
        lambda: mg.cuda.get_device_name(),
        lambda: mg.zeros(2).pin_memory(),
    ):
        with pytest.raises(RuntimeError, match="CuPy|GPU"):
            wrong()


def test_numerical_limits():
    assert mg.finfo(mg.float16).max == 65504 and mg.finfo("float64").bits == 64
    assert mg.iinfo(mg.int8).min == -128
    for wrong in (lambda: mg.finfo(mg.int8), lambda: mg.iinfo(mg.float32)):
        with pytest.raises(TypeError):
            wrong()


# ---------------------------------------------------------------------- randomness
def test_seeds_and_states():
    mg.manual_seed(3)
    first = mg.rand(4)
    state = mg.get_rng_state()
    second = mg.randn(3)
    mg.set_rng_state(state)
    assert (mg.randn(3) == second).all()
    mg.manual_seed(3)
    assert (mg.rand(4) == first).all()
    with mg.random.fork_rng():
        mg.rand(10)
    assert (mg.randn(3) == second).all()
    generator = mg.Generator().manual_seed(5)
    a = mg.randperm(10, generator=generator)
    assert (mg.randperm(10, generator=mg.Generator().manual_seed(5)) == a).all()


@pytest.mark.parametrize(
    "draw, mean, deviation",
    [
        (lambda n: mg.rand(n), 0.5, 12**-0.5),
        (lambda n: mg.randn(n), 0, 1),
        (lambda n: mg.normal(2.0, 3.0, (n,)), 2, 3),
        (lambda n: mg.normal(mg.full((n,), 2.0), 3.0), 2, 3),
        (lambda n: mg.empty(n).uniform_(-1, 3), 1, 4 * 12**-0.5),
        (lambda n: mg.empty(n).normal_(1, 2), 1, 2),
        (lambda n: mg.empty(n).exponential_(2), 0.5, 0.5),
        (lambda n: mg.empty(n).log_normal_(0, 0.25), np.exp(1 / 32), 0.2586),
        (lambda n: mg.empty(n).geometric_(0.25), 4, 12**0.5),
        (lambda n: mg.empty(n).bernoulli_(0.3), 0.3, 0.21**0.5),
        (lambda n: mg.bernoulli(mg.full((n,), 0.3)), 0.3, 0.21**0.5),
        (lambda n: mg.poisson(mg.full((n,), 4.0)), 4, 2),
        (lambda n: mg.randint(0, 10, (n,)), 4.5, 8.25**0.5),
        (lambda n: mg.empty(n, dtype=mg.int64).random_(10), 4.5, 8.25**0.5),
        (lambda n: mg.multinomial(mg.tensor([1.0, 0.0, 3.0]), n, replacement=True), 1.5, 0.75**0.5),
        (lambda n: mg.rand(n, dtype=mg.float16), 0.5, 12**-0.5),
    ],
)
def test_distributions(draw, mean, deviation):
    """Mean within five standard errors, standard deviation within 5 %."""
    count = 20_000
    values = draw(count).numpy().astype("float64")
    assert abs(values.mean() - mean) < 5 * deviation / count**0.5 + 1e-3
    assert abs(values.std() - deviation) < 0.05 * deviation


def test_multinomial_without_replacement():
    weights = mg.tensor([[0.0, 1.0, 2.0, 3.0]] * 500)
    picks = mg.multinomial(weights, 3)
    assert picks.shape == (500, 3) and (picks.sort(1).values == mg.tensor([1, 2, 3])).all()
    first = (picks[:, 0] == 3).float().mean()
    assert 0.4 < first < 0.6
    for wrong in ([-1.0, 2.0], [0.0, 0.0], [float("nan"), 1.0]):
        with pytest.raises(RuntimeError):
            mg.multinomial(mg.tensor(wrong), 1)
    with pytest.raises(RuntimeError, match="without replacement"):
        mg.multinomial(mg.ones(2), 3)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: mg.randint(3, 3, (2,)),
        lambda: mg.randint(0, 300, (2,), dtype=mg.uint8),
        lambda: mg.normal(0.0, -1.0, (2,)),
        lambda: mg.empty(2).uniform_(2, 1),
        lambda: mg.empty(2).exponential_(0),
        lambda: mg.empty(2).geometric_(1.5),
        lambda: mg.empty(2).bernoulli_(2.0),
        lambda: mg.bernoulli(mg.tensor([2.0])),
        lambda: mg.poisson(mg.tensor([-1.0])),
        lambda: mg.randperm(-1),
        lambda: mg.rand(2, generator=mg.Generator("cuda")),
        lambda: mg.set_rng_state(mg.zeros(3, dtype=mg.uint8)),
    ],
)
def test_random_errors(wrong):
    with pytest.raises(RuntimeError):
        wrong()


def test_random_fill_of_a_tracked_tensor_cuts_its_graph():
    x = mg.ones(3, requires_grad=True)
    y = x * 2
    y.normal_()
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 0]
    with pytest.raises(RuntimeError, match="leaf"):
        x.uniform_()
    with mg.no_grad():
        x.uniform_()


def test_nothing_warns_without_reason():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mg.eye(2).T.mT.shape == (2, 2)
        mg.zeros(3)[mg.tensor([True, False, True])]
        mg.cat([mg.zeros(0), mg.zeros(2)])


@pytest.mark.parametrize(
    "write",
    [
        lambda: mg.tensor([1, 300], dtype=mg.uint8),
        lambda: mg.tensor(-129, dtype=mg.int8),
        lambda: mg.tensor([1e10], dtype=mg.int32),
        lambda: mg.tensor([float("nan")], dtype=mg.int64),
        lambda: mg.full((2,), 300, dtype=mg.uint8),
        lambda: mg.zeros(2, dtype=mg.uint8).fill_(300),
        lambda: mg.zeros(2, dtype=mg.int8).fill_(float("inf")),
        lambda: mg.zeros(2, dtype=mg.uint8).masked_fill_(mg.tensor([True, False]), 300),
        lambda: mg.zeros(2, dtype=mg.uint8).index_fill_(0, mg.tensor([0]), 300),
        lambda: mg.zeros(2, dtype=mg.uint8).scatter_(0, mg.tensor([0]), 300),
        lambda: mg.zeros(2, dtype=mg.uint8).__setitem__(0, 300),
        lambda: mg.zeros(2).fill_(1j),
    ],
)
def test_a_number_that_the_dtype_does_not_hold_is_refused(write):
    with pytest.raises(RuntimeError, match="without overflow"):
        write()


def test_negative_numbers_wrap_around_in_unsigned_dtypes():
    x = mg.zeros(5, dtype=mg.uint8)
    x[0] = -1
    x[1:2].fill_(-2)
    x.masked_fill_(mg.tensor([False, False, True, False, False]), -3)
    x.index_fill_(0, mg.tensor([3]), -4)
    x[4] = 2.9
    assert x.tolist() == [255, 254, 253, 252, 2]
    assert mg.tensor([-1], dtype=mg.uint8).tolist() == [255]


def test_conversions_to_python_numbers_want_one_element():
    for convert in (float, int, complex):
        assert convert(mg.tensor([2.0])) == 2
        with pytest.raises(ValueError, match="one element"):
            convert(mg.ones(2))


@pytest.mark.parametrize(
    ("shape", "expected"), [((0, 3), (3, 1)), ((3, 0), (1, 1)), ((2, 0, 4), (4, 4, 1)), ((0,), (1,)), ((2, 3), (3, 1))]
)
def test_strides_of_empty_tensors_are_those_of_pytorch(shape, expected):
    assert mg.zeros(shape).stride() == expected
