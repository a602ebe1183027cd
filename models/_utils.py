"""What networks that stand on the features of others share."""
import functools
import inspect

from minigrad import nn
from models import published
from models.sizes import make_divisible as _make_divisible

__all__ = ["IntermediateLayerGetter", "_make_divisible", "handle_legacy_interface"]


class IntermediateLayerGetter(nn.ModuleDict):
    """The first layers of a network, run one after the other; some of their outputs are returned by name.

    Args:
        model: a network whose children are run in their order.
        return_layers: dict of names of children to names in the result; children after the last are left out.

    Raises:
        ValueError: for a name that is no child's.

    >>> import minigrad as mg
    >>> layers = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))
    >>> {name: tuple(x.shape) for name, x in IntermediateLayerGetter(layers, {"1": "out"})(mg.ones(3, 2, 2)).items()}
    {'out': (3, 4)}
    """

    def __init__(self, model, return_layers):
        children = dict(model.named_children())
        wanted = {str(name): str(output) for name, output in return_layers.items()}
        if not set(wanted) <= set(children):
            raise ValueError("return_layers are not present in model")
        last = max(index for index, name in enumerate(children) if name in wanted)
        super().__init__(dict(list(children.items())[: last + 1]))
        self.return_layers = wanted

    def forward(self, x):
        found = {}
        for name, layer in self.items():
            x = layer(x)
            if name in self.return_layers:
                found[self.return_layers[name]] = x
        return found


def handle_legacy_interface(**weights):
    """torchvision's decorator of builders: the argument pretrained, and weights by position, as before 0.13.

    Args:
        weights: for each argument of weights, (the old argument's name, the weights that True of it means, or a
            function that gives them of the dict of arguments).

    Raises:
        ValueError: by what is decorated, if weights are asked for and there are none.
    """

    def decorate(builder):
        parameters = inspect.signature(builder).parameters.values()
        by_position = sum(parameter.kind == parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)
        rest = [parameter.name for parameter in parameters if parameter.kind == parameter.KEYWORD_ONLY]

        @functools.wraps(builder)
        def call(*args, **kw):
            kw.update(zip(rest, args[by_position:]))
            for new, (old, default) in weights.items():
                named = old in kw
                if not named and not isinstance(kw.get(new), bool):
                    continue
                asked = kw.setdefault(old, kw.pop(new, None))
                meant = (default(kw) if callable(default) else default) if asked else None
                if asked and not isinstance(meant, published.WeightsEnum):
                    raise ValueError(f"No weights available for model {builder.__name__}")
                del kw[old]
                kw[new] = meant
                published.warn_of_pretrained(meant, (new, old), named, stacklevel=3)
            return builder(*args[:by_position], **kw)

        return call

    return decorate


def _ovewrite_named_param(kwargs, param, new_value):
    """torchvision's: put an argument that goes with published weights into kwargs, where it may be already.

    Raises:
        ValueError: if it is there with another value.
    """
    if kwargs.setdefault(param, new_value) != new_value:
        raise ValueError(f"The parameter '{param}' expected value {new_value} but got {kwargs[param]} instead.")


def stages_of_mobilenet(features):
    """The positions of the layers in front of which MobileNetV3's maps shrink, with the first and the last."""
    inner = [index for index, layer in enumerate(features) if getattr(layer, "shrinks", False)]
    return [0, *inner, len(features) - 1]


def backbone_weights(builder, weights_backbone, kw, former=None):
    """The weights of a backbone, the old argument pretrained_backbone taken out of kw; former: see published.chosen."""
    pretrained = kw.pop("pretrained_backbone", None)
    called = ("weights_backbone", "pretrained_backbone")
    return published.chosen(builder, weights_backbone, pretrained, called, former)
