"""Special functions under PyTorch's names: minigrad.special.erf, gammaln, i0e, xlog1py, …

Source: https://docs.pytorch.org/docs/stable/special.html

>>> import minigrad as mg
>>> mg.special.expit(mg.tensor([0.0]))
tensor([0.5000])
"""

from minigrad.ops.special_functions import SPECIAL
from minigrad.registry import FUNCTIONS

_ALIASES = {
    "digamma": "digamma", "erf": "erf", "erfc": "erfc", "erfinv": "erfinv", "exp2": "exp2", "expit": "sigmoid",
    "expm1": "expm1", "gammainc": "igamma",
    "gammaincc": "igammac",
    "gammaln": "lgamma", "i0": "i0", "log1p": "log1p", "logit": "logit", "logsumexp": "logsumexp",
    "multigammaln": "mvlgamma", "polygamma": "polygamma", "psi": "digamma", "round": "round", "sinc": "sinc",
    "xlogy": "xlogy", "softmax": "softmax", "log_softmax": "log_softmax",
}  # fmt: skip
globals().update({name: FUNCTIONS[original] for name, original in _ALIASES.items()})
globals().update(SPECIAL)

__all__ = [*_ALIASES, *SPECIAL]  # noqa: PLE0604 - names of functions made in ops/
