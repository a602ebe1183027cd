"""The share of a dataset that one of several processes takes."""

import math

from minigrad.backend import Generator
from minigrad.distributed import get_rank, get_world_size
from minigrad.utils.data.sampler import Sampler


class DistributedSampler(Sampler):
    """Every ``num_replicas``-th index, starting at ``rank``: the shares of all ranks cover the dataset.

    The shares are equally long: indices are repeated, or left out with ``drop_last``. ``set_epoch(epoch)`` gives each
    epoch its own order, the same on every rank. ``num_replicas`` and ``rank`` left out are
    those of the process group. Raises ValueError for a rank out of range, and where there is no group to ask.
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.distributed.DistributedSampler

    >>> import minigrad as mg
    >>> list(mg.utils.data.DistributedSampler("abcde", num_replicas=2, rank=1, shuffle=False))
    [1, 3, 0]
    """

    def __init__(self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False):
        num_replicas = get_world_size() if num_replicas is None else num_replicas
        rank = get_rank() if rank is None else rank
        if not 0 <= rank < num_replicas:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.epoch = 0
        share = len(dataset) / num_replicas
        self.num_samples = math.floor(share) if drop_last else math.ceil(share)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self):
        order = list(range(len(self.dataset)))
        if self.shuffle:
            order = Generator().manual_seed(self.seed + self.epoch).numpy.permutation(len(order)).tolist()
        if order and len(order) < self.total_size:
            order = (order * math.ceil(self.total_size / len(order)))[: self.total_size]
        return iter(order[self.rank : self.total_size : self.num_replicas])

    def __len__(self):
        return self.num_samples

    def set_epoch(self, epoch):
        """Set the epoch, which together with the seed decides the order."""
        self.epoch = epoch
