"""Losses as layers: each keeps the settings of the function of the same name in nn.functional."""

import math

from minigrad.nn.distance import PairwiseDistance
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.ops import cross_entropy as classes
from minigrad.ops import ctc
from minigrad.ops import loss as functions

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CTCLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LinearCrossEntropyLoss",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "NLLLoss2d",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]


class _Loss(Module):
    """A loss with a reduction ("mean", "sum", "none"; size_average and reduce are its deprecated form)."""

    __constants__ = ["reduction"]

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__()
        if size_average is not None or reduce is not None:
            reduction = classes.reduction_name(reduction, size_average, reduce)
        self.reduction = reduction


class _WeightedLoss(_Loss):
    """A loss with a weight per class or element, which is a buffer."""

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class L1Loss(_Loss):
    """Absolute error |x - y|.

    Argument: reduction ("mean", "sum" or "none"). Shapes: input and target alike.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.L1Loss.html

    >>> import minigrad as mg
    >>> mg.nn.L1Loss()(mg.tensor([1.0, 2.0]), mg.tensor([1.0, 4.0]))
    tensor(1.)
    """

    def forward(self, input, target):
        """Return the loss."""
        return functions.l1_loss(input, target, reduction=self.reduction)


class MSELoss(_Loss):
    """Squared error (x - y)².

    Argument: reduction ("mean", "sum" or "none"). Shapes: input and target alike.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html

    >>> import minigrad as mg
    >>> mg.nn.MSELoss()(mg.tensor([1.0, 2.0]), mg.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def forward(self, input, target):
        """Return the loss."""
        return functions.mse_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """Squared error / (2 beta) below beta, absolute error - beta / 2 above.

    Arguments: beta (at least 0), reduction ("mean", "sum" or "none"). Shapes: input and target alike.
    Source: Girshick 2015; https://docs.pytorch.org/docs/stable/generated/torch.nn.SmoothL1Loss.html

    >>> import minigrad as mg
    >>> mg.nn.SmoothL1Loss()(mg.tensor([0.5, 3.0]), mg.zeros(2))
    tensor(1.3125)
    """

    def __init__(self, size_average=None, reduce=None, reduction="mean", beta=1.0):
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input, target):
        """Return the loss."""
        return functions.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """Squared error / 2 below delta, delta (absolute error - delta / 2) above.

    Arguments: delta (above 0), reduction ("mean", "sum" or "none"). Shapes: input and target alike.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.HuberLoss.html

    >>> import minigrad as mg
    >>> mg.nn.HuberLoss("none", delta=2.0)(mg.tensor([1.0, 3.0]), mg.zeros(2))
    tensor([0.5000, 4.0000])
    """

    def __init__(self, reduction="mean", delta=1.0):
        super().__init__(reduction=reduction)
        if isinstance(delta, bool) or not isinstance(delta, (int, float)):
            raise TypeError(f"delta must be a float or int, got: {type(delta)}")
        if delta <= 0:
            raise ValueError(f"delta must be positive, got: {delta}")
        self.delta = delta

    def forward(self, input, target):
        """Return the loss."""
        return functions.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class NLLLoss(_WeightedLoss):
    """Negative log likelihood of class indices under log probabilities.

    Arguments: weight (C,), ignore_index, reduction. Shapes: input (N, C, …), target (N, …).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html

    >>> import minigrad as mg
    >>> mg.nn.NLLLoss()(mg.tensor([[-1.0, -2.0]]), mg.tensor([1]))
    tensor(2.)
    """

    __constants__ = ["ignore_index", "reduction"]

    def __init__(self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input, target):
        """Return the loss."""
        return classes.nll_loss(
            input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )


class NLLLoss2d(NLLLoss):
    """Deprecated name of NLLLoss.

    Arguments: as for NLLLoss. Shapes: input (N, C, H, W), target (N, H, W).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
    """

    def __init__(self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
        import warnings

        warnings.warn(
            "NLLLoss2d has been deprecated. Please use NLLLoss instead as a drop-in replacement.",
            FutureWarning,
            stacklevel=2,
        )
        super().__init__(weight, size_average, ignore_index, reduce, reduction)


class CrossEntropyLoss(_WeightedLoss):
    """Cross-entropy of unnormalised scores and class indices or probabilities.

    Arguments: weight (C,), ignore_index, reduction, label_smoothing in [0, 1]. Shapes: input (N, C, …), target (N, …).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html

    >>> import minigrad as mg
    >>> mg.nn.CrossEntropyLoss()(mg.zeros(1, 2), mg.tensor([1]))
    tensor(0.6931)
    """

    __constants__ = ["ignore_index", "reduction", "label_smoothing"]

    def __init__(
        self,
        weight=None,
        size_average=None,
        ignore_index=-100,
        reduce=None,
        reduction="mean",
        label_smoothing=0.0,
    ):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input, target):
        """Return the loss."""
        return classes.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class LinearCrossEntropyLoss(_WeightedLoss):
    """Cross-entropy of a linear layer's scores: input (N, in_features), target (N, *out_features) class indices.

    Arguments: in_features, num_classes, out_features (further dimensions of the scores), bias, device, dtype (of the
    linear layer), the others as for CrossEntropyLoss; options (PyTorch's way to save memory; the values are the same).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LinearCrossEntropyLoss.html

    >>> import minigrad as mg
    >>> mg.nn.LinearCrossEntropyLoss(3, 2)(mg.zeros(1, 3), mg.tensor([1]))
    tensor(0.6931, grad_fn=<NllLossBackward0>)
    """

    __constants__ = ["num_classes", "out_features", "reduction", "ignore_index", "label_smoothing"]

    def __init__(
        self, in_features, num_classes, *, out_features=(), bias=False, device=None, dtype=None, reduction="mean",
        weight=None, ignore_index=None, label_smoothing=0.0, options=None,
    ):  # fmt: skip
        super().__init__(weight, None, None, reduction)
        classes.check_class_options(num_classes, weight, label_smoothing)
        self.num_classes = num_classes
        self.out_features = tuple(out_features)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.options = options
        self.linear = Linear(in_features, num_classes * math.prod(self.out_features), bias, device, dtype)

    def forward(self, input, target):
        """Return the loss."""
        shape, bias = (self.num_classes, *self.out_features), self.linear.bias
        return classes.linear_cross_entropy(
            input,
            self.linear.weight.reshape(*shape, self.linear.in_features),
            target,
            linear_bias=None if bias is None else bias.reshape(shape),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self):
        """Return the settings."""
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
            f"out_features={self.out_features}, bias={self.linear.bias is not None}, reduction={self.reduction}, "
            f"ignore_index={self.ignore_index}, label_smoothing={self.label_smoothing}, options={self.options}"
        )


class BCELoss(_WeightedLoss):
    """Binary cross-entropy of probabilities.

    Arguments: weight (broadcast to the input), reduction ("mean", "sum" or "none").
    Shapes: input and target alike, both in 0 … 1.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html

    >>> import minigrad as mg
    >>> mg.nn.BCELoss()(mg.tensor([0.5]), mg.tensor([1.0]))
    tensor(0.6931)
    """

    def forward(self, input, target):
        """Return the loss."""
        return functions.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy of logits, computed without overflow.

    Arguments: weight (broadcasts), reduction, pos_weight (factor of the positive term).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html

    >>> import minigrad as mg
    >>> mg.nn.BCEWithLogitsLoss()(mg.tensor([0.0]), mg.tensor([1.0]))
    tensor(0.6931)
    """

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input, target):
        """Return the loss."""
        return functions.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )


class KLDivLoss(_Loss):
    """Kullback-Leibler divergence of log probabilities.

    Arguments: reduction (also "batchmean"), log_target.
    Shapes: input and target alike, (N, …) for "batchmean".
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html

    >>> import minigrad as mg
    >>> mg.nn.KLDivLoss(reduction="batchmean")(mg.tensor([[0.25, 0.75]]).log(), mg.tensor([[0.5, 0.5]]))
    tensor(0.1438)
    """

    __constants__ = ["reduction"]

    def __init__(self, size_average=None, reduce=None, reduction="mean", log_target=False):
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input, target):
        """Return the loss."""
        return functions.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(_Loss):
    """Negative log likelihood of counts.

    Arguments: log_input, full (Stirling's term), eps, reduction.
    Shapes: input (log rates, or rates) and target alike.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html

    >>> import minigrad as mg
    >>> mg.nn.PoissonNLLLoss()(mg.tensor([0.0, 1.0]), mg.tensor([2.0, 3.0]))
    tensor(0.3591)
    """

    __constants__ = ["log_input", "full", "eps", "reduction"]

    def __init__(self, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input, target):
        """Return the loss."""
        return functions.poisson_nll_loss(
            log_input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    """Negative log likelihood of normal distributions.

    Arguments: full (the constant term), eps (smallest variance), reduction.
    Shapes: input and target alike, var the same or broadcast.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GaussianNLLLoss.html

    >>> import minigrad as mg
    >>> mg.nn.GaussianNLLLoss()(mg.tensor([1.0, 2.0]), mg.tensor([3.0, 2.0]), mg.ones(2))
    tensor(1.)
    """

    __constants__ = ["full", "eps", "reduction"]

    def __init__(self, *, full=False, eps=1e-6, reduction="mean"):
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps

    def forward(self, input, target, var):
        """Return the loss."""
        return functions.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class HingeEmbeddingLoss(_Loss):
    """x for targets of 1, max(0, margin - x) for targets of -1.

    Arguments: margin, reduction ("mean", "sum" or "none"). Shapes: input and target alike.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.HingeEmbeddingLoss.html

    >>> import minigrad as mg
    >>> mg.nn.HingeEmbeddingLoss()(mg.tensor([0.5, 0.25]), mg.tensor([1, -1]))
    tensor(0.6250)
    """

    __constants__ = ["margin", "reduction"]

    def __init__(self, margin=1.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input, target):
        """Return the loss."""
        return functions.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class SoftMarginLoss(_Loss):
    """log(1 + exp(-y x)) for targets y of 1 and -1.

    Arguments: reduction ("mean", "sum" or "none"). Shapes: input and target alike.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SoftMarginLoss.html

    >>> import minigrad as mg
    >>> mg.nn.SoftMarginLoss()(mg.tensor([1.0, -1.0]), mg.tensor([1.0, -1.0]))
    tensor(0.3133)
    """

    def forward(self, input, target):
        """Return the loss."""
        return functions.soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelMarginLoss(_Loss):
    """Margin between a sample's target classes and its other classes.

    Arguments: reduction ("mean", "sum" or "none"). Shapes: input and target (N, C) or (C,), the target's class indices
    ended by -1.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiLabelMarginLoss.html

    >>> import minigrad as mg
    >>> mg.nn.MultiLabelMarginLoss()(mg.tensor([0.1, 0.2, 0.4, 0.8]), mg.tensor([3, 0, -1, 1]))
    tensor(0.8500)
    """

    def forward(self, input, target):
        """Return the loss."""
        return functions.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """Mean over classes of binary cross-entropy with logits.

    Arguments: weight (C,), reduction ("mean", "sum" or "none"). Shapes: input and target (N, C), target of 0 and 1.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiLabelSoftMarginLoss.html

    >>> import minigrad as mg
    >>> mg.nn.MultiLabelSoftMarginLoss()(mg.zeros(1, 3), mg.tensor([[0.0, 1.0, 1.0]]))
    tensor(0.6931)
    """

    def forward(self, input, target):
        """Return the loss."""
        return functions.multilabel_soft_margin_loss(input, target, weight=self.weight, reduction=self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """Margin between the target class and the other classes.

    Arguments: p (1 or 2), margin, weight (C,), reduction. ValueError for another p.
    Shapes: input (N, C) or (C,), target (N,) or ().
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiMarginLoss.html

    >>> import minigrad as mg
    >>> mg.nn.MultiMarginLoss()(mg.tensor([[0.1, 0.2, 0.4, 0.8]]), mg.tensor([3]))
    tensor(0.3250)
    """

    __constants__ = ["p", "margin", "reduction"]

    def __init__(self, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if weight is not None and weight.dim() != 1:
            raise ValueError(f"MultiMarginLoss: expected weight to be None or 1D tensor, got {weight.dim()}D instead")
        self.p = p
        self.margin = margin

    def forward(self, input, target):
        """Return the loss."""
        return functions.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction
        )


class CosineEmbeddingLoss(_Loss):
    """1 - cos for targets of 1, max(0, cos - margin) for targets of -1.

    Arguments: margin, reduction ("mean", "sum" or "none"). Shapes: inputs (N, D) or (D,), target (N,) or ().
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CosineEmbeddingLoss.html

    >>> import minigrad as mg
    >>> mg.nn.CosineEmbeddingLoss()(mg.tensor([[1.0, 0.0]]), mg.tensor([[0.0, 1.0]]), mg.tensor([1]))
    tensor(1.)
    """

    __constants__ = ["margin", "reduction"]

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        """Return the loss."""
        return functions.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(_Loss):
    """max(0, -y (x₁ - x₂) + margin).

    Arguments: margin, reduction ("mean", "sum" or "none"). Shapes: inputs and target (1 or -1) alike.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MarginRankingLoss.html

    >>> import minigrad as mg
    >>> mg.nn.MarginRankingLoss(0.5)(mg.tensor([1.0, 2.0]), mg.tensor([3.0, 1.0]), mg.tensor([1.0, 1.0]))
    tensor(1.2500)
    """

    __constants__ = ["margin", "reduction"]

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        """Return the loss."""
        return functions.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d the p-norm of the difference.

    Arguments: margin > 0, p, eps, swap, reduction.
    Shapes: (N, D) or (D,).
    Source: Balntas et al. 2016; https://docs.pytorch.org/docs/stable/generated/torch.nn.TripletMarginLoss.html

    >>> import minigrad as mg
    >>> mg.nn.TripletMarginLoss()(mg.tensor([[0.0, 0.0]]), mg.tensor([[3.0, 0.0]]), mg.tensor([[0.0, 2.0]]))
    tensor(2.)
    """

    __constants__ = ["margin", "p", "eps", "swap", "reduction"]

    def __init__(self, margin=1.0, p=2.0, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        _check_margin("TripletMarginLoss", margin)
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor, positive, negative):
        """Return the loss."""
        return functions.triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )


def _check_margin(name, margin):
    if margin <= 0:
        raise ValueError(f"{name}: expected margin to be greater than 0, got {margin} instead")


class TripletMarginWithDistanceLoss(_Loss):
    """TripletMarginLoss with any distance function (default: the pairwise 2-norm).

    Arguments: distance_function (of two tensors), margin, swap, reduction. Shapes: as the function takes them.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TripletMarginWithDistanceLoss.html

    >>> import minigrad as mg
    >>> loss = mg.nn.TripletMarginWithDistanceLoss(distance_function=lambda x, y: (x - y).abs().sum(-1))
    >>> loss(mg.tensor([[0.0, 0.0]]), mg.tensor([[3.0, 0.0]]), mg.tensor([[0.0, 2.0]]))
    tensor(2.)
    """

    __constants__ = ["margin", "swap", "reduction"]

    def __init__(self, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
        super().__init__(reduction=reduction)
        _check_margin("TripletMarginWithDistanceLoss", margin)
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin = margin
        self.swap = swap

    def forward(self, anchor, positive, negative):
        """Return the loss."""
        return functions.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


class CTCLoss(_Loss):
    """Loss of connectionist temporal classification: sequences of labels without an alignment.

    Arguments: blank, reduction, zero_infinity. Shapes: log_probs (T, N, C), targets (N, S) or all in one row.
    Source: Graves et al. 2006; https://docs.pytorch.org/docs/stable/generated/torch.nn.CTCLoss.html

    >>> import minigrad as mg
    >>> log_probs = mg.full((2, 1, 2), 0.5).log()
    >>> mg.nn.CTCLoss()(log_probs, mg.tensor([[1]]), mg.tensor([2]), mg.tensor([1]))
    tensor(0.2877)
    """

    __constants__ = ["blank", "reduction"]

    def __init__(self, blank=0, reduction="mean", zero_infinity=False):
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, log_probs, targets, input_lengths, target_lengths):
        """Return the loss."""
        return ctc.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )
