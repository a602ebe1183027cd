"""Softmax over many classes that looks at the frequent ones first."""

import collections

from minigrad.nn.container import ModuleList, Sequential
from minigrad.nn.functional import log_softmax
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.registry import FUNCTIONS

__all__ = ["AdaptiveLogSoftmaxWithLoss"]

_ASMoutput = collections.namedtuple("_ASMoutput", ("output", "loss"))


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of targets and their mean negative: rare classes sit in clusters with smaller layers.

    Classes are sorted by falling frequency. The first ``cutoffs[0]`` are scored with one output for each cluster of
    the others; cluster i, classes cutoffs[i] … cutoffs[i + 1], has in_features / div_value^(i + 1) features.
    Arguments: in_features, n_classes, cutoffs (increasing ints between 1 and n_classes - 1: ValueError), div_value,
    head_bias, device, dtype. Called with input (N, in_features) or (in_features,) and target (N,) or ().
    Source: Grave et al. 2017; https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveLogSoftmaxWithLoss.html

    >>> import minigrad as mg
    >>> layer = mg.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [4, 10])
    >>> layer(mg.randn(3, 16), mg.tensor([0, 5, 19])).output.shape, layer.predict(mg.randn(2, 16)).shape
    (minigrad.Size([3]), minigrad.Size([2]))
    """

    def __init__(self, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, device=None, dtype=None):
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (
            cutoffs != sorted(set(cutoffs))
            or any(int(cutoff) != cutoff for cutoff in cutoffs)
            or cutoffs[0] <= 0
            or cutoffs[-1] > n_classes - 1
        ):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each "
                f"value is between 1 and n_classes-1, but got {cutoffs} for {n_classes} classes"
            )
        factory = {"device": device, "dtype": dtype}
        self.in_features, self.n_classes, self.div_value, self.head_bias = in_features, n_classes, div_value, head_bias
        self.cutoffs = [*cutoffs, n_classes]
        self.shortlist_size = cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, **factory)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(self._clusters()):
            hidden = int(in_features // div_value ** (i + 1))
            inner = Linear(in_features, hidden, bias=False, **factory)
            self.tail.append(Sequential(inner, Linear(hidden, high - low, bias=False, **factory)))

    def _clusters(self):
        """Return the (first, last + 1) class of each cluster."""
        return list(zip(self.cutoffs[:-1], self.cutoffs[1:], strict=True))

    def reset_parameters(self):
        """Initialise the layers anew."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_, target_):
        """Return the log-probabilities of the targets and the loss, as (output, loss).

        RuntimeError for shapes that do not fit and a target that is no class.
        """
        if target_.dim() not in (0, 1):
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if input_.dim() != target_.dim() + 1:
            raise RuntimeError(
                f"{target_.dim()}D target tensor expects {target_.dim() + 1}D input tensors, but found inputs with "
                f"size {input_.size()}"
            )
        if target_.dim() and input_.size(0) != target_.size(0):
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        batched = target_.dim() > 0
        x, target = (input_, target_) if batched else (input_.unsqueeze(0), target_.unsqueeze(0))
        if ((target < 0) | (target >= self.n_classes)).any():
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{target.min().item()}, {target.max().item()}] were found. "
            )
        places, parts = target, []
        for i, (low, high) in enumerate(self._clusters()):
            rows = ((target >= low) & (target < high)).nonzero().squeeze(1)
            if rows.numel():
                places = places.index_fill(0, rows, self.shortlist_size + i)
                inside = log_softmax(self.tail[i](x.index_select(0, rows)), 1)
                parts.append((rows, inside.gather(1, (target.index_select(0, rows) - low).unsqueeze(1)).squeeze(1)))
        output = log_softmax(self.head(x), 1).gather(1, places.unsqueeze(1)).squeeze(1)
        for rows, values in parts:
            output = output.index_add(0, rows, values)
        loss = (-output).mean()
        return _ASMoutput(output if batched else output.squeeze(0), loss)

    def _full_log_prob(self, x, head_output):
        """Return the log-probabilities of all classes. # (N, in_features), (N, head_size) → (N, n_classes)"""
        head = log_softmax(head_output, 1)
        parts = [head[:, : self.shortlist_size]]
        for i, tail in enumerate(self.tail):
            parts.append(log_softmax(tail(x), 1) + head[:, self.shortlist_size + i].unsqueeze(1))
        return FUNCTIONS["cat"](parts, 1)

    def log_prob(self, input):
        """Return the log-probabilities of all classes. # (N, in_features) → (N, n_classes)"""
        return self._full_log_prob(input, self.head(input))

    def predict(self, input):
        """Return the likeliest classes: argmax of log_prob, computed in full only where a cluster wins. # (N,)"""
        head_output = self.head(input)
        output = head_output.argmax(1)
        rows = (output >= self.shortlist_size).nonzero().squeeze(1)
        if not rows.numel():
            return output
        full = self._full_log_prob(input.index_select(0, rows), head_output.index_select(0, rows))
        return output.index_copy(0, rows, full.argmax(1))
