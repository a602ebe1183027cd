"""The names under which networks are built."""

_BUILDERS = {}


def register(builder):
    """Make a function that builds a network known under its own name; used as a decorator.

    Raises:
        ValueError: if the name is taken.
    """
    name = builder.__name__
    if name in _BUILDERS:
        raise ValueError(f"a model named {name!r} is registered already, by {_BUILDERS[name].__module__}")
    _BUILDERS[name] = builder
    return builder


def names():
    """The names of all networks, sorted."""
    return sorted(_BUILDERS)


def build(name, **kw):
    """Build the network called name; kw are its builder's arguments.

    Raises:
        ValueError: if no network has that name.
    """
    if name not in _BUILDERS:
        raise ValueError(f"unknown model {name!r}; there are: {', '.join(names())}")
    return _BUILDERS[name](**kw)
