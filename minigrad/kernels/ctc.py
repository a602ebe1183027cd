"""Connectionist temporal classification: the forward-backward algorithm on raw arrays, in logarithms.

Each target is extended with blanks: blank, t1, blank, t2, …, blank. All samples are stepped through time together.
"""

from minigrad.backend import xp

_IMPOSSIBLE = -float("inf")


def extended(targets, target_lengths, blank):
    """Return (labels, skip), both (N, S): targets with blanks; whether a label may follow the one two before."""
    module = xp(targets)
    batch, longest = targets.shape
    labels = module.full((batch, 2 * longest + 1), blank, targets.dtype)
    labels[:, 1::2] = targets
    skip = module.zeros(labels.shape, bool)
    skip[:, 3::2] = labels[:, 3::2] != labels[:, 1:-2:2]
    return labels, skip


def _logsumexp(*terms):
    module = xp(terms[0])
    top = terms[0]
    for term in terms[1:]:
        top = module.maximum(top, term)
    safe = module.where(top == _IMPOSSIBLE, 0, top)
    total = sum(module.exp(term - safe) for term in terms)
    return module.log(total) + safe


def _shifted(x, steps):
    """Return x (N, S) moved to the right by steps (to the left if negative), -inf where nothing arrives."""
    out = xp(x).full(x.shape, _IMPOSSIBLE, x.dtype)
    if steps > 0:
        out[:, steps:] = x[:, :-steps]
    else:
        out[:, :steps] = x[:, -steps:]
    return out


def _emissions(log_p, labels):
    """Return the log probability of every label at every time. # (T, N, C), (N, S) → (T, N, S)"""
    return xp(log_p).take_along_axis(log_p, labels[None], axis=2)


def forward(log_p, labels, skip, input_lengths, target_lengths):
    """Return (losses (N,), alphas (T, N, S)): alphas are log probabilities of all paths to a label at a time."""
    module = xp(log_p)
    steps, batch = log_p.shape[:2]
    emitted = _emissions(log_p, labels)
    alphas = module.full(emitted.shape, _IMPOSSIBLE, log_p.dtype)
    states = labels.shape[1]
    skip_cost = module.where(skip, 0, _IMPOSSIBLE).astype(log_p.dtype)
    if steps:
        alphas[0, :, 0] = emitted[0, :, 0]
        if states > 1:
            alphas[0, :, 1] = module.where(target_lengths > 0, emitted[0, :, 1], _IMPOSSIBLE)
    for t in range(1, steps):
        last = alphas[t - 1]
        alphas[t] = emitted[t] + _logsumexp(last, _shifted(last, 1), _shifted(last, 2) + skip_cost)
    samples = module.arange(batch)
    final = module.maximum(input_lengths - 1, 0)
    end = alphas[final, samples, 2 * target_lengths]
    before = alphas[final, samples, module.maximum(2 * target_lengths - 1, 0)]
    before = module.where(target_lengths > 0, before, _IMPOSSIBLE)
    likelihood = _logsumexp(end, before)
    # Without a time step only the empty target is possible.
    nothing = module.where(target_lengths == 0, 0, _IMPOSSIBLE).astype(log_p.dtype)
    return -module.where(input_lengths == 0, nothing, likelihood), alphas


def gradient(g, log_p, alphas, losses, labels, skip, input_lengths, target_lengths, zero_infinity):
    """Return the gradient to log_p (T, N, C): p minus the probability that a path passes a label at a time, times g.

    The term p is what log_softmax's gradient would take off again: PyTorch's loss has it too.
    """
    module = xp(log_p)
    steps, batch, classes = log_p.shape
    emitted = _emissions(log_p, labels)
    states = labels.shape[1]
    skip_cost = module.where(skip, 0, _IMPOSSIBLE).astype(log_p.dtype)
    beta = module.full((batch, states), _IMPOSSIBLE, log_p.dtype)  # paths from a label on, without its own emission
    samples = module.arange(batch)
    start = module.full((batch, states), _IMPOSSIBLE, log_p.dtype)
    start[samples, 2 * target_lengths] = 0
    has_label = target_lengths > 0
    start[samples[has_label], 2 * target_lengths[has_label] - 1] = 0
    out = module.zeros(log_p.shape, log_p.dtype)
    one_hot = (labels[:, :, None] == module.arange(classes)).astype(log_p.dtype)  # (N, S, C)
    for t in reversed(range(steps)):
        if t + 1 < steps:
            following = beta + emitted[t + 1]
            stepped = _logsumexp(following, _shifted(following, -1), _shifted(following + skip_cost, -2))
            beta = stepped
        beta = module.where((input_lengths == t + 1)[:, None], start, beta)
        beta = module.where((input_lengths <= t)[:, None], _IMPOSSIBLE, beta)
        passing = module.exp(alphas[t] + beta + losses[:, None])  # (N, S)
        out[t] = module.exp(log_p[t]) - module.matmul(passing[:, None, :], one_hot)[:, 0]
        out[t][input_lengths <= t] = 0
    out *= g[None, :, None]
    if zero_infinity:
        out[:, losses == -_IMPOSSIBLE] = 0
    return out
