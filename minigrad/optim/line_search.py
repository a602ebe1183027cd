"""Line search for the strong Wolfe conditions, by bracketing and cubic interpolation."""

from collections import namedtuple

from minigrad.backend import np

# A point on the search line: step t, loss there, flat gradient there, and its slope (gradient · direction).
Trial = namedtuple("Trial", "t loss gradient slope")


def cubic_minimum(a, b, bounds=None):
    """Step of the minimum of the cubic through two trials' losses and slopes, clamped to bounds (default: the trials).

    Where the cubic has no minimum: the middle of the bounds.
    """
    low, high = bounds if bounds is not None else (min(a.t, b.t), max(a.t, b.t))
    with np.errstate(all="ignore"):  # coinciding trials divide by zero; the result then fails every comparison
        d1 = np.float64(a.slope + b.slope) - 3 * np.float64(a.loss - b.loss) / (a.t - b.t)
        square = d1**2 - a.slope * b.slope
        if not square >= 0:
            return (low + high) / 2.0
        d2 = square**0.5
        near, far = (a, b) if a.t <= b.t else (b, a)
        minimum = far.t - (far.t - near.t) * ((far.slope + d2 - d1) / (far.slope - near.slope + 2 * d2))
    return float(min(max(minimum, low), high))


class StrongWolfe:
    """Search along one direction for a step t that satisfies the strong Wolfe conditions
    f(t) ≤ f(0) + c1 · t · f'(0) and |f'(t)| ≤ -c2 · f'(0).

    Args:
        evaluate: function of t that returns a Trial.
        start: the Trial at t = 0; its slope is negative.
        longest: largest absolute entry of the direction.
        tolerance: a bracket shorter than this, in parameters, is not refined.
        max_iterations: of bracketing and refinement together.

    Source: Nocedal and Wright, Numerical Optimization, 2nd ed., algorithms 3.5 and 3.6, as in Schmidt's minFunc.
    """

    c1 = 1e-4
    c2 = 0.9

    def __init__(self, evaluate, start, longest, tolerance, max_iterations):
        self.evaluate = evaluate
        self.start = start
        self.longest = longest
        self.tolerance = tolerance
        self.max_iterations = max_iterations
        self.iterations = 0
        self.evaluations = 0

    def _try(self, t):
        self.evaluations += 1
        return self.evaluate(t)

    def _too_high(self, trial):
        return trial.loss > self.start.loss + self.c1 * trial.t * self.start.slope

    def _flat_enough(self, trial):
        return abs(trial.slope) <= -self.c2 * self.start.slope

    def search(self, t):
        """Return the Trial accepted, beginning with step t."""
        bracket = self._bracket(t)
        return bracket[0] if len(bracket) == 1 else self._zoom(bracket)

    def _bracket(self, t):
        """A list with an acceptable trial, or with two that have one between them."""
        previous, current = self.start, self._try(t)
        while self.iterations < self.max_iterations:
            if self._too_high(current) or (self.iterations > 1 and current.loss >= previous.loss):
                return [previous, current]
            if self._flat_enough(current):
                return [current]
            if current.slope >= 0:
                return [previous, current]
            bounds = current.t + 0.01 * (current.t - previous.t), current.t * 10
            t = cubic_minimum(previous, current, bounds)
            previous, current = current, self._try(t)
            self.iterations += 1
        return [self.start, current]

    def _zoom(self, bracket):
        """Refine a bracket of two trials until one is acceptable or the search is exhausted; return the best."""
        low = 0 if bracket[0].loss <= bracket[1].loss else 1
        stalled = False
        while self.iterations < self.max_iterations:
            left, right = sorted((bracket[0].t, bracket[1].t))
            if (right - left) * self.longest < self.tolerance:
                break
            t, stalled = _kept_inside(cubic_minimum(*bracket), left, right, stalled)
            trial = self._try(t)
            self.iterations += 1
            if self._too_high(trial) or trial.loss >= bracket[low].loss:
                bracket[1 - low] = trial
                low = 0 if bracket[0].loss <= bracket[1].loss else 1
                continue
            if self._flat_enough(trial):
                return trial
            if trial.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
                bracket[1 - low] = bracket[low]
            bracket[low] = trial
        return bracket[low]


def _kept_inside(t, left, right, stalled):
    """Move a step that is within a tenth of the bracket's ends, again or beyond them, to a tenth from the nearer end.

    Returns the step, and whether it was close to an end and left there this once.
    """
    margin = 0.1 * (right - left)
    if not min(right - t, t - left) < margin:
        return t, False
    if not (stalled or t >= right or t <= left):
        return t, True
    return (right - margin if abs(t - right) < abs(t - left) else left + margin), False
