"""Outputs of a network's inner layers, by their names.

Source: https://docs.pytorch.org/vision/stable/feature_extraction.html
"""

from minigrad import nn

__all__ = ["create_feature_extractor", "get_graph_node_names"]


class _AllFound(Exception):
    """Everything that was asked for is computed: the rest of the network need not run."""


class FeatureExtractor(nn.Module):
    """A network that returns a dictionary of its inner layers' outputs; the layers and parameters are the network's."""

    def __init__(self, model, train_nodes, eval_nodes):
        super().__init__()
        self.__dict__.update(model=model, nodes={True: train_nodes, False: eval_nodes})  # not children
        for name, child in model.named_children():
            self.add_module(name, child)
        for name, parameter in model.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, buffer in model.named_buffers(recurse=False):
            self.register_buffer(name, buffer, persistent=name not in model._non_persistent_buffers_set)
        self.training = model.training

    def train(self, mode=True):
        """Set the mode of the network too, whose layers these are."""
        self.model.training = mode
        return super().train(mode)

    def forward(self, *args, **kwargs):
        nodes = self.nodes[self.training]
        found, calls, handles = {}, {}, []

        def keep(path):
            def hook(module, inputs, output):
                count = calls[path] = calls.get(path, -1) + 1
                for node, (wanted, number) in nodes["paths"].items():
                    if (wanted, number) == (path, count):
                        found[nodes["names"][node]] = output
                if len(found) == len(nodes["paths"]):
                    raise _AllFound

            return hook

        try:
            for path in {path for path, _ in nodes["paths"].values()}:
                handles.append(self.model.get_submodule(path).register_forward_hook(keep(path)))
            self.model(*args, **kwargs)
        except _AllFound:
            return {name: found[name] for name in nodes["names"].values()}
        finally:
            for handle in handles:
                handle.remove()
        missing = [node for node in nodes["names"] if nodes["names"][node] not in found]
        raise RuntimeError(f"the network did not run the layers {missing} (as often as their names say)")


def _path_of(model, node):
    """Return (path of a submodule, which of its calls) for the name of a node; ValueError where there is none."""
    modules = dict(model.named_modules())
    path, _, number = node.rpartition("_")
    if node and node in modules:
        return node, 0
    if path in modules and path and number.isdigit():
        return path, int(number)
    raise ValueError(
        f"node: '{node}' is not present in model. Nodes are the layers of named_modules() here, with _1, _2 and so on "
        "for a layer's second and third call; outputs of functions have no names"
    )


def _nodes(model, given):
    names = dict(given) if isinstance(given, dict) else {name: name for name in given}
    names = {str(node): str(name) for node, name in names.items()}
    if not names:
        raise ValueError("return_nodes: at least one layer must be named")
    return {"names": names, "paths": {node: _path_of(model, node) for node in names}}


def create_feature_extractor(model, return_nodes=None, train_return_nodes=None, eval_return_nodes=None):
    """Return a network that gives the outputs of some layers of another as a dictionary.

    Args:
        model: the network; its layers are shared, not copied, and those after the last one asked for do not run.
        return_nodes: names of layers as ``named_modules`` has them, a list, or a dict of them to names in the result;
            "relu_1" is the second call of the layer "relu".
        train_return_nodes, eval_return_nodes: both instead, for what differs between the modes.

    Raises:
        ValueError: for names of no layer, and unless either return_nodes or both others are given.

    >>> import minigrad as mg
    >>> layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    >>> features = create_feature_extractor(layers, {"1": "maps", "3": "scores"})
    >>> {name: tuple(x.shape) for name, x in features(mg.ones(5, 3, 4, 4)).items()}
    {'maps': (5, 4, 2, 2), 'scores': (5, 2)}
    """
    modes = (train_return_nodes, eval_return_nodes)
    if return_nodes is None and None in modes:
        raise ValueError("Either return_nodes or both train_return_nodes and eval_return_nodes must be given")
    if return_nodes is not None and modes != (None, None):
        raise ValueError("If return_nodes is given, neither train_return_nodes nor eval_return_nodes may be")
    chosen = modes if return_nodes is None else (return_nodes, return_nodes)
    return FeatureExtractor(model, *(_nodes(model, nodes) for nodes in chosen))


def get_graph_node_names(model, tracer_kwargs=None, suppress_diff_warning=False, concrete_args=None):
    """Return the names that create_feature_extractor takes, in training and in evaluation: of the innermost layers.

    They are in the order in which the layers were defined, as nothing is traced, and the same in both modes, so that
    there is no difference to warn of, whatever suppress_diff_warning says.

    Raises:
        NotImplementedError: for settings of a tracer.

    >>> get_graph_node_names(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU())))
    (['0', '1.0'], ['0', '1.0'])
    """
    if tracer_kwargs or concrete_args:
        raise NotImplementedError(
            "get_graph_node_names: there is no tracer here: tracer_kwargs and concrete_args must be None; the names of "
            "all layers are those of model.named_modules()"
        )
    layers = [name for name, layer in model.named_modules() if name and next(layer.children(), None) is None]
    return layers, [*layers]
