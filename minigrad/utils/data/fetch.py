"""Fetchers: how one batch is made, in the main process and in workers alike."""

from minigrad.utils.data.collate import stacks_tensors
from minigrad.utils.data.dataset import examples_of


class MapFetcher:
    """Makes batches of a dataset by index.

    ``batched``: whether fetch gets a list of indices whose examples make one batch, or one index.
    """

    def __init__(self, dataset, batched, collate_fn, drop_last):
        self.dataset = dataset
        self.batched = batched
        self.collate_fn = collate_fn
        self.drop_last = drop_last  # the batch sampler has seen to it
        self.gather = getattr(dataset, "_gather", None) if batched and stacks_tensors(collate_fn) else None

    def fetch(self, index):
        """Return the collated batch of a list of indices, or of one index."""
        try:
            if not self.batched:
                return self.collate_fn(self.dataset[index])
            if self.gather is not None:
                columns = self.gather(index)
                if columns is not None:
                    return list(columns)
            return self.collate_fn(examples_of(self.dataset, index))
        except StopIteration as error:
            # Let through, it would end the epoch as if there were no more batches.
            raise RuntimeError(f"{type(self.dataset).__name__} raised StopIteration for index {index}") from error


class IterableFetcher:
    """Makes batches of what iterating over a dataset yields; StopIteration when there is no more."""

    def __init__(self, dataset, batched, collate_fn, drop_last):
        self.iterator = iter(dataset)
        self.batched = batched
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.ended = False

    def fetch(self, index):
        """Return the next batch: of ``len(index)`` examples, or the next example where not batched."""
        if not self.batched:
            return self.collate_fn(next(self.iterator))
        examples = []
        if not self.ended:
            for _ in index:
                try:
                    examples.append(next(self.iterator))
                except StopIteration:
                    self.ended = True
                    break
        if not examples or (self.drop_last and len(examples) < len(index)):
            raise StopIteration
        return self.collate_fn(examples)
