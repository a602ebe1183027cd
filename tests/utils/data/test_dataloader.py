"""The DataLoader without workers: batches, orders, options and their errors."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, TensorDataset, random_split


class Rows(Dataset):
    def __init__(self, count):
        self.count = count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        return np.full(3, index, np.float32), index

    def __len__(self):
        return self.count


class Stream(IterableDataset):
    def __init__(self, count, claimed=None):
        self.count = count
        self.claimed = count if claimed is None else claimed

    def __iter__(self):
        return iter(range(self.count))

    def __len__(self):
        return self.claimed


def labels(loader):
    return [y.tolist() for _, y in loader]


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize(("count", "size"), [(7, 3), (6, 3), (2, 3), (0, 3), (1, 1)])
def test_batches(count, size, drop):
    loader = DataLoader(Rows(count), batch_size=size, drop_last=drop)
    found = labels(loader)
    assert sum(found, []) == list(range(count - count % size if drop else count))
    assert all(len(batch) == size for batch in found[:-1])
    assert len(loader) == len(found)
    for x, y in loader:
        assert x.dtype == mg.float32
        assert x.tolist() == [[label] * 3 for label in y.tolist()]


def test_batch_is_a_list_as_in_pytorch():
    assert type(next(iter(DataLoader(Rows(2))))) is list
    assert type(next(iter(DataLoader(TensorDataset(mg.zeros(2, 3)))))) is list


@pytest.mark.parametrize("indices", [[2, 0, 1], [1, 1, -1]])
def test_tensor_dataset_takes_whole_batches_and_gives_what_single_examples_give(indices):
    data = TensorDataset(mg.arange(6, dtype=mg.float32).reshape(3, 2), mg.tensor([True, False, True]))
    fast = next(iter(DataLoader(data, batch_sampler=[indices])))
    one_by_one = {"collate_fn": lambda batch: mg.utils.data.default_collate(batch)}
    slow = next(iter(DataLoader(data, batch_sampler=[indices], **one_by_one)))
    for a, b in zip(fast, slow, strict=True):
        assert a.dtype == b.dtype
        assert a.tolist() == b.tolist()


def test_a_subclass_that_changes_the_examples_is_respected():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            return super().__getitem__(index)[0] * 2

    class Negative(mg.utils.data.Subset):
        def __getitem__(self, index):
            return -super().__getitem__(index)[0]

        def __getitems__(self, indices):
            return [self[index] for index in indices]

    assert next(iter(DataLoader(Doubled(mg.arange(4)), batch_size=4))).tolist() == [0, 2, 4, 6]
    data = Negative(TensorDataset(mg.arange(4)), [3, 1])
    assert next(iter(DataLoader(data, batch_size=4))).tolist() == [-3, -1]


def test_batches_are_copies_of_the_data():
    data = mg.zeros(4, 2)
    (batch,) = next(iter(DataLoader(TensorDataset(data), batch_size=4)))
    batch += 1
    assert data.sum().item() == 0


def test_random_split_and_loader():
    train, test = random_split(TensorDataset(mg.arange(10)), [8, 2])
    seen = [x for part in (train, test) for (batch,) in DataLoader(part, batch_size=3) for x in batch.tolist()]
    assert sorted(seen) == list(range(10))


def test_shuffle_follows_the_generator():
    def epochs(seed):
        loader = DataLoader(Rows(20), 4, shuffle=True, generator=mg.Generator().manual_seed(seed))
        return [labels(loader) for _ in range(2)]

    first = epochs(1)
    assert first == epochs(1) != epochs(2)
    assert first[0] != first[1]
    assert sorted(sum(first[0], [])) == list(range(20))


def test_shuffle_follows_manual_seed():
    loader = DataLoader(Rows(20), 4, shuffle=True)
    mg.manual_seed(4)
    first = labels(loader)
    mg.manual_seed(4)
    assert labels(loader) == first


def test_samplers():
    assert labels(DataLoader(Rows(5), 2, sampler=[4, 2, 0])) == [[4, 2], [0]]
    assert labels(DataLoader(Rows(5), batch_sampler=BatchSampler([4, 2, 0], 2, True))) == [[4, 2]]
    assert labels(DataLoader(Rows(5), batch_sampler=[[1], [2, 3]])) == [[1], [2, 3]]


def test_no_batching():
    loader = DataLoader(Rows(3), batch_size=None)
    assert [y for _, y in loader] == [0, 1, 2]
    assert all(isinstance(x, mg.Tensor) and x.shape == (3,) for x, _ in loader)
    assert len(loader) == 3
    assert list(DataLoader(Rows(3), batch_size=None, sampler=[2, 1], collate_fn=lambda example: example[1])) == [2, 1]


def test_collate_fn():
    assert list(DataLoader(Rows(3), 2, collate_fn=lambda batch: [y for _, y in batch])) == [[0, 1], [2]]


def test_getitems_is_used():
    class Many(Rows):
        def __getitems__(self, indices):
            return [(np.zeros(1), -index) for index in indices]

    assert labels(DataLoader(Many(3), 2)) == [[0, -1], [-2]]


@pytest.mark.parametrize(("size", "drop", "batches"), [(2, False, [[0, 1], [2, 3], [4]]), (2, True, [[0, 1], [2, 3]])])
def test_iterable(size, drop, batches):
    loader = DataLoader(Stream(5), size, drop_last=drop)
    assert len(loader) == len(batches)
    assert [batch.tolist() for batch in loader] == batches
    assert list(DataLoader(Stream(3), batch_size=None)) == [0, 1, 2]


def test_iterable_that_claims_a_wrong_length():
    loader = DataLoader(Stream(6, claimed=3), batch_size=2)
    assert len(list(loader)) == 3  # nobody asked for the length: no warning
    assert len(loader) == 2
    with pytest.warns(UserWarning, match="was reported to be 3"):
        assert len(list(loader)) == 3


def test_two_passes_at_once_are_independent():
    loader = DataLoader(Rows(4), 2)
    pairs = [(a[1].tolist(), b[1].tolist()) for a, b in zip(loader, loader)]
    assert pairs == [([0, 1], [0, 1]), ([2, 3], [2, 3])]
    assert len(iter(loader)) == 2


def test_error_of_the_dataset_comes_through():
    with pytest.raises(IndexError):
        list(DataLoader(Rows(3), 2, sampler=[1, 7]))


def test_stop_iteration_of_a_dataset_does_not_end_the_epoch_silently():
    class Broken(Rows):
        def __getitem__(self, index):
            return next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        list(DataLoader(Broken(3)))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"num_workers": -1}, ValueError, "non-negative"),
        ({"timeout": -1}, ValueError, "non-negative"),
        ({"prefetch_factor": 2}, ValueError, "multiprocessing"),
        ({"num_workers": 1, "prefetch_factor": 0}, ValueError, "prefetch_factor"),
        ({"persistent_workers": True}, ValueError, "num_workers > 0"),
        ({"sampler": [0], "shuffle": True}, ValueError, "mutually exclusive"),
        ({"batch_sampler": [[0]], "batch_size": 2}, ValueError, "mutually exclusive"),
        ({"batch_sampler": [[0]], "shuffle": True}, ValueError, "mutually exclusive"),
        ({"batch_sampler": [[0]], "drop_last": True}, ValueError, "mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, ValueError, "auto-batching"),
        ({"batch_size": 0}, ValueError, "positive"),
        ({"batch_size": 2.0}, ValueError, "positive"),
        ({"multiprocessing_context": "fork"}, ValueError, "num_workers > 0"),
        ({"num_workers": 1, "multiprocessing_context": "spoon"}, ValueError, "valid start method"),
        ({"num_workers": 1, "multiprocessing_context": 3}, TypeError, "valid context object"),
        ({"pin_memory": True, "pin_memory_device": "cpu"}, ValueError, "CUDA"),
    ],
)
def test_options_that_are_refused(options, error, text):
    with pytest.raises(error, match=text):
        DataLoader(Rows(3), **options)


@pytest.mark.parametrize("options", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}])
def test_options_an_iterable_dataset_refuses(options):
    with pytest.raises(ValueError, match=f"unspecified {next(iter(options))} option"):
        DataLoader(Stream(3), **options)


@pytest.mark.parametrize(
    "name", ["batch_size", "sampler", "batch_sampler", "drop_last", "dataset", "persistent_workers"]
)
def test_what_is_fixed(name):
    loader = DataLoader(Rows(3))
    before = getattr(loader, name)
    with pytest.raises(ValueError, match="should not be set after DataLoader is initialized"):
        setattr(loader, name, 1)
    assert getattr(loader, name) is before


def test_pin_memory_without_a_gpu_warns():
    if mg.utils.data.dataloader.cuda_is_available():
        pytest.skip("this machine has a GPU")
    with pytest.warns(UserWarning, match="pin_memory"):
        assert labels(DataLoader(Rows(2), 2, pin_memory=True)) == [[0, 1]]


@pytest.mark.gpu
def test_pin_memory():
    if not mg.utils.data.dataloader.cuda_is_available():
        pytest.skip("no GPU")
    data = TensorDataset(mg.arange(6.0).reshape(3, 2), mg.arange(3))
    x, y = next(iter(DataLoader(data, 3, pin_memory=True)))
    assert x.device.type == "cpu"
    assert x.to("cuda").cpu().tolist() == [[0, 1], [2, 3], [4, 5]]
    assert y.to("cuda", non_blocking=True).tolist() == [0, 1, 2]


def test_names_programs_import():
    assert mg.utils.data.dataloader.DataLoader is DataLoader
    assert mg.utils.data.dataloader.default_collate is mg.utils.data.default_collate
    assert mg.utils.data.sampler.RandomSampler is mg.utils.data.RandomSampler
    assert mg.utils.data.dataset.TensorDataset is TensorDataset
    assert mg.utils.data.distributed.DistributedSampler is mg.utils.data.DistributedSampler
