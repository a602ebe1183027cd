"""torch.onnx.export: a program as an ONNX file."""

import inspect
import io
import os
import warnings

from minigrad.autograd.grad_mode import no_grad
from minigrad.backend import np
from minigrad.nn.module import Module
from minigrad.onnx import writing
from minigrad.onnx.enums import OperatorExportTypes, TrainingMode
from minigrad.onnx.errors import OnnxExporterError, OnnxExporterWarning
from minigrad.onnx.graph import NEWEST, OLDEST, USUAL, Graph
from minigrad.onnx.recording import leaves, random_like, record
from minigrad.onnx.sizes import Size, Varying, merged, same_calls
from minigrad.tensor import Tensor
from minigrad.utils._pytree import tree_map_only
from minigrad.variable import touch
from minigrad.version import __version__

_RUNNING = []  # an entry per export that is running


def is_in_onnx_export():
    """Return whether a program is being exported, for models that do something simpler then.

    Source: https://docs.pytorch.org/docs/stable/onnx.html

    >>> import minigrad as mg
    >>> mg.onnx.is_in_onnx_export()
    False
    """
    return bool(_RUNNING)


def _library():
    """Return the package onnx; ImportError naming the extra where it is missing."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
    except ImportError as error:
        raise ImportError(
            f"minigrad.onnx.export needs onnx, which is not installed (pip install 'minigrad-cnn[onnx]'): {error}"
        ) from None
    return onnx


class ONNXProgram:
    """An exported program: what `export` returns.

    ``save(destination)`` writes it into a path or file, ``model_proto`` is the onnx.ModelProto with its weights.
    Source: https://docs.pytorch.org/docs/stable/onnx_export.html
    """

    def __init__(self, model, initializers):
        self._model, self._initializers = model, initializers

    def save(self, destination, *, external_data=None):
        """Write the file; weights of more than 2 GB go into a second one beside it, DESTINATION.data."""
        writing.write(self._model, self._initializers, destination, external=external_data)

    @property
    def model_proto(self):
        """The model as a message of the package onnx, which copies the weights."""
        return _library().ModelProto.FromString(b"".join(writing.pieces(self._model, self._initializers)))

    def __repr__(self):
        names = [", ".join(one.name for one in side) for side in (self._model.graph.input, self._model.graph.output)]
        return f"ONNXProgram({names[0]} -> {names[1]}, {len(self._model.graph.node)} nodes)"


def export(
    model,
    args=(),
    f=None,
    *,
    kwargs=None,
    verbose=None,
    input_names=None,
    output_names=None,
    opset_version=None,
    dynamo=True,
    external_data=True,
    dynamic_shapes=None,
    custom_translation_table=None,
    report=False,
    optimize=True,
    verify=False,
    profile=False,
    dump_exported_program=False,
    artifacts_dir=".",
    export_params=True,
    keep_initializers_as_inputs=False,
    dynamic_axes=None,
    training=TrainingMode.EVAL,
    operator_export_type=OperatorExportTypes.ONNX,
    do_constant_folding=True,
    custom_opsets=None,
    export_modules_as_functions=False,
    autograd_inlining=True,
):
    """Write a model as an ONNX file and return it as an ONNXProgram.

    The model is run on the example, and the operations it calls are recorded: a Python ``if`` goes the way it went.

    Arguments: model (Module or function), args (its arguments, a tensor or a tuple; a dict at its end: keywords), f
    (path, file such as io.BytesIO, or None), kwargs, input_names, output_names (lists of str), opset_version (13 to 23,
    default 18), dynamic_axes ({name of an input: {axis: name} or [axes]}) or dynamic_shapes ({parameter: {axis: name or
    Dim}}, or a tuple of them): axes that may have any length; training, export_params (False: the parameters are
    inputs), do_constant_folding, keep_initializers_as_inputs, external_data, verify (compare with onnxruntime), verbose
    (print the nodes). optimize, dynamo, profile and autograd_inlining choose between exporters of PyTorch, of which
    there is one here. OnnxExporterError says what can't be exported and where; ImportError without the package onnx.
    Source: https://docs.pytorch.org/docs/stable/onnx_export.html

    >>> import io
    >>> import minigrad as mg
    >>> mg.onnx.export(mg.nn.Linear(3, 2), (mg.ones(4, 3),), io.BytesIO(), input_names=["x"], output_names=["y"])
    ONNXProgram(x -> y, 1 nodes)
    """
    refused = {
        "custom_translation_table": custom_translation_table, "report": report, "custom_opsets": custom_opsets,
        "dump_exported_program": dump_exported_program, "export_modules_as_functions": export_modules_as_functions,
    }  # fmt: skip
    for name, value in refused.items():
        if value:
            raise NotImplementedError(f"onnx.export: {name}={value!r} is not supported; leave it out")
    if operator_export_type is not OperatorExportTypes.ONNX:
        raise NotImplementedError(f"onnx.export: {operator_export_type} is not supported, only ONNX is")
    opset = USUAL if opset_version is None else opset_version
    if not OLDEST <= opset <= NEWEST:
        raise ValueError(f"onnx.export: opset_version must be from {OLDEST} to {NEWEST}, but got {opset}")
    onnx = _library()
    example = _Example(model, args, kwargs, input_names)
    sizes = example.sizes(dynamic_axes, dynamic_shapes)
    with _Mode(model, TrainingMode(training)):
        trace = _trace(model, example, sizes, folding=do_constant_folding and export_params)
    graph = Graph(trace, sizes, opset)
    program = _program(onnx, graph, example, sizes, output_names, export_params, keep_initializers_as_inputs)
    if verbose:
        for kind, inputs, outputs, attributes in graph.nodes:
            print(f"{', '.join(outputs)} = {kind}({', '.join(inputs)}){attributes or ''}")
    if verify:
        _verify(model, example, program, TrainingMode(training))
    if f is not None:
        program.save(f, external_data=external_data)
    return program


# ---------------------------------------------------------------------- the example and its sizes
class _Example:
    """The arguments that a model is recorded with, the tensors among them and their names."""

    def __init__(self, model, args, kwargs, input_names):
        if not callable(model):
            raise TypeError(f"onnx.export: model must be a Module or a function, but got {type(model).__name__}")
        if isinstance(args, (str, os.PathLike)):
            raise TypeError(f"onnx.export: args must be the model's arguments (a tensor, or a tuple), but got {args!r}")
        self.forward = model.forward if isinstance(model, Module) else model
        args = tuple(args) if isinstance(args, (tuple, list)) else (args,)
        if kwargs is None and args and isinstance(args[-1], dict) and self._binds(args[:-1], args[-1]):
            args, kwargs = args[:-1], args[-1]
        self.args, self.kwargs = args, dict(kwargs or {})
        self.tensors = leaves((self.args, self.kwargs), Tensor)
        self.by_parameter = self._by_parameter()
        self.names = self._names(list(input_names or ()))

    def _binds(self, args, kwargs):
        try:
            inspect.signature(self.forward).bind(*args, **kwargs)
        except (TypeError, ValueError):
            return False
        return True

    def _by_parameter(self):
        """Return (name of a parameter of forward, argument) pairs."""
        try:
            signature = inspect.signature(self.forward)
            bound = signature.bind(*self.args, **self.kwargs).arguments
        except (TypeError, ValueError):  # the call itself will say what is wrong
            return [(f"input_{i}", value) for i, value in enumerate((*self.args, *self.kwargs.values()))]
        found = []
        for name, value in bound.items():
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                found += [(f"{name}_{i}", one) for i, one in enumerate(value)]
            else:
                found += value.items() if kind is inspect.Parameter.VAR_KEYWORD else [(name, value)]
        return found

    def _names(self, given):
        """Return the names of the tensors: those given, in order, then the parameters'."""
        if len(given) > len(self.tensors):
            raise ValueError(
                f"onnx.export: number of input names provided ({len(given)}) exceeded number of inputs "
                f"({len(self.tensors)})"
            )
        own = {}
        for name, value in self.by_parameter:
            inside = leaves(value, Tensor)
            for i, tensor in enumerate(inside):
                own[id(tensor)] = name if value is tensor else f"{name}_{i}"
        names = given + [own[id(tensor)] for tensor in self.tensors[len(given) :]]
        for i, name in enumerate(names):
            if name in names[:i]:
                names[i] = f"{name}_{i}"
        return names

    def sizes(self, dynamic_axes, dynamic_shapes):
        """Return the Sizes that may be any, from either way of naming them."""
        named = {}  # name -> [(position of the tensor, axis)]
        self.output_axes = {}  # name of an output -> {axis: name}
        for key, axes in (dynamic_axes or {}).items():
            if not isinstance(axes, dict):
                axes = {axis: f"{key}_dynamic_axes_{i + 1}" for i, axis in enumerate(axes)}
            if key not in self.names:
                self.output_axes[key] = axes
                continue
            self._add_axes(named, self.names.index(key), axes)
        if dynamic_shapes is not None:
            self._add_shapes(named, dynamic_shapes)
        sizes = []
        for name, places in named.items():
            lengths = {self.tensors[position].shape[axis] for position, axis in places}
            if len(lengths) > 1:
                raise ValueError(f"onnx.export: axes named {name!r} have different lengths in the example: {lengths}")
            sizes.append(Size(name, *places[0], [lengths.pop()]))
            sizes[-1].places = places
        return sizes

    def _add_axes(self, named, position, axes):
        ndim = self.tensors[position].ndim
        for axis, name in axes.items():
            if name is None:
                continue
            if not -ndim <= axis < ndim:
                raise ValueError(f"onnx.export: {self.names[position]} has no axis {axis}: it has {ndim} dimensions")
            name = name if isinstance(name, str) else getattr(name, "__name__", None) or str(name)
            named.setdefault(name, []).append((position, axis % ndim))

    def _add_shapes(self, named, shapes):
        """Take dynamic_shapes: nested as the arguments are, with an {axis: name} or a list of names per tensor."""
        if not isinstance(shapes, dict):
            shapes = dict(zip((name for name, _ in self.by_parameter), shapes, strict=False))
        positions = {id(tensor): i for i, tensor in enumerate(self.tensors)}

        def walk(spec, value):
            if spec is None:
                return
            if isinstance(value, Tensor):
                axes = spec if isinstance(spec, dict) else dict(enumerate(spec))
                self._add_axes(named, positions[id(value)], axes)
                return
            for key in value if isinstance(value, dict) else range(len(value)):
                walk(spec[key], value[key])

        known = dict(self.by_parameter)
        for name, spec in shapes.items():
            if name not in known:
                raise ValueError(f"onnx.export: dynamic_shapes names {name!r}, which is none of {list(known)}")
            walk(spec, known[name])

    def resized(self, sizes, run, generator):
        """Return (args, kwargs) with other values, and the lengths that the sizes have in a run."""
        axes = {}
        for size in sizes:
            for position, axis in size.places:
                axes.setdefault(position, {})[axis] = size.values[run]
        others = iter(
            [random_like(tensor, axes.get(position, {}), generator) for position, tensor in enumerate(self.tensors)]
        )
        return tree_map_only(Tensor, lambda tensor: next(others), (self.args, self.kwargs))


class _Mode:
    """Let a model be in a mode, and be as it was afterwards: its modes and its buffers."""

    def __init__(self, model, training):
        self.modules = list(model.modules()) if isinstance(model, Module) else []
        self.buffers = [tensor for module in self.modules for tensor in module._buffers.values() if tensor is not None]
        self.training = training

    def __enter__(self):
        self.before = [module.training for module in self.modules]
        self.saved = [tensor.array.copy() for tensor in self.buffers]
        if self.training is not TrainingMode.PRESERVE and self.modules:
            self.modules[0].train(self.training is TrainingMode.TRAINING)
        _RUNNING.append(self)

    def __exit__(self, *exception):
        _RUNNING.remove(self)
        for module, training in zip(self.modules, self.before, strict=True):
            module.training = training
        for tensor, saved in zip(self.buffers, self.saved, strict=True):
            if not (tensor.array == saved).all():
                tensor.array[...] = saved
                touch(tensor.array)


def _trace(model, example, sizes, *, folding):
    """Return the Trace of the example, compared with runs on other values and of other sizes."""
    named = {}
    if isinstance(model, Module):
        named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for size in sizes:
        start = max(2, size.values[0])  # what has one row may run otherwise than what has several
        longer = [start + 1, start + 2] if size.axis == 0 else [2 * start, 3 * start]
        size.values = [start] + [longer[0] if other is size else start for other in sizes] + [longer[1]]
    runs = len(sizes) + 2 if sizes else 2
    generator = np.random.default_rng(0)
    traces = []
    for run in range(runs):
        asked = {size.name: size.values[run] for size in sizes}
        first = run == 0 and all(
            example.tensors[size.source].shape[size.axis] == size.values[0] for size in sizes
        )
        args, kwargs = (example.args, example.kwargs) if first else example.resized(sizes, run, generator)
        try:
            traces.append(record(model, args, kwargs, named=named, folding=folding))
        except OnnxExporterError:
            raise
        except Exception as error:
            if first:
                raise
            if not sizes:
                _warn(f"it does not run on other values ({error})")
                return traces[0]
            raise OnnxExporterError(
                f"onnx.export: the model does not run with {asked}, which dynamic_axes allows: {error}"
            ) from error
        difference = same_calls(traces)
        if difference and sizes:
            raise OnnxExporterError(
                f"onnx.export: the model does other things with {asked} than with the example: {difference}; leave "
                "out that axis of dynamic_axes"
            )
        if difference:
            _warn(difference)
            return traces[0]
    return merged(traces)


def _warn(what):
    warnings.warn(
        "onnx.export: what the model does depends on the values of its inputs, and the file does what it did for the "
        f"example: {what}",
        OnnxExporterWarning,
        stacklevel=4,
    )


# ---------------------------------------------------------------------- the file
def _program(onnx, graph, example, sizes, output_names, export_params, keep_initializers_as_inputs):
    """Return the ONNXProgram of a graph that isn't built yet."""
    trace, helper = graph.trace, onnx.helper
    given = list(output_names or ())
    if len(given) > len(trace.outputs):
        raise ValueError(
            f"onnx.export: number of output names provided ({len(given)}) exceeded number of outputs "
            f"({len(trace.outputs)})"
        )
    usual = ["output"] if len(trace.outputs) == 1 else [f"output_{i}" for i in range(len(trace.outputs))]
    outputs = given + usual[len(given) :]
    graph.taken.update((*example.names, *outputs))
    if len(graph.taken) != len(example.names) + len(outputs):
        raise ValueError(f"onnx.export: names of inputs and outputs must differ: {example.names} and {outputs}")
    for key in example.output_axes:
        if key not in outputs:
            raise ValueError(f"onnx.export: dynamic_axes names {key!r}, which is neither an input nor an output")
    for name, value in zip(example.names, trace.inputs, strict=True):
        graph.names[value.index] = name
    graph.build()
    _name_outputs(graph, outputs, set(example.names))
    inputs = [
        _info(helper, name, value, sizes, {}) for name, value in zip(example.names, trace.inputs, strict=True)
    ]
    parameters = {graph.names[value.index]: value for value in trace.values if value.kind == "parameter"
                  and value.index in graph.names}  # fmt: skip
    if not export_params or keep_initializers_as_inputs:
        inputs += [_info(helper, name, value, (), {}) for name, value in parameters.items()]
    if not export_params:
        for name in parameters:
            del graph.initializers[name]
    results = [
        _info(helper, name, value, sizes, example.output_axes.get(name, {}))
        for name, value in zip(outputs, trace.outputs, strict=True)
    ]
    nodes = [
        helper.make_node(kind, ins, outs, name=f"{kind}_{i}", **attributes)
        for i, (kind, ins, outs, attributes) in enumerate(graph.nodes)
    ]
    proto = helper.make_graph(nodes, "main_graph", inputs, results)
    opset = [helper.make_opsetid("", graph.opset)]
    model = helper.make_model(
        proto, producer_name="minigrad", producer_version=__version__, opset_imports=opset,
        ir_version=max(8, helper.find_min_ir_version_for(opset)),
    )  # fmt: skip
    return ONNXProgram(model, graph.initializers)


def _name_outputs(graph, outputs, inputs):
    """Let the results have their names."""
    renamed = {}
    made = {name for _, _, names, _ in graph.nodes for name in names}
    for output, value in zip(outputs, graph.trace.outputs, strict=True):
        name = graph.name(value)
        made |= set(graph.nodes[-1][2]) if graph.nodes else set()
        if name in renamed or name not in made:
            graph.add("Identity", renamed.get(name, name), outputs=[output])
        else:
            renamed[name] = output
    graph.nodes = [
        (kind, [renamed.get(one, one) for one in ins], [renamed.get(one, one) for one in outs], attributes)
        for kind, ins, outs, attributes in graph.nodes
    ]


def _info(helper, name, value, sizes, axes):
    """Return the declaration of an input or output: its type and shape, with names for the lengths that vary."""
    shape = []
    for axis, length in enumerate(value.shape):
        if isinstance(length, Varying):
            own = next((size.name for size in sizes if tuple(size.values) == length.values), f"{name}_dim_{axis}")
            length = axes.get(axis) or axes.get(axis - len(value.shape)) or own
        shape.append(length)
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), shape)


def _verify(model, example, program, training):
    """OnnxExporterError unless onnxruntime computes from the file what the model computes."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"onnx.export: verify=True needs onnxruntime, which is not installed (pip install onnxruntime): {error}"
        ) from None
    file = io.BytesIO()
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    needed = {one.name for one in session.get_inputs()}
    feeds = {name: tensor.numpy(force=True) for name, tensor in zip(example.names, example.tensors, strict=True)}
    found = session.run(None, {name: array for name, array in feeds.items() if name in needed})
    with _Mode(model, training), no_grad():
        wanted = leaves(model(*example.args, **example.kwargs), Tensor)
    for info, one, tensor in zip(session.get_outputs(), found, wanted, strict=True):
        array = tensor.numpy(force=True)
        largest = float(np.abs(array).max(initial=0)) if array.dtype.kind == "f" else 0.0
        if one.shape != array.shape or not np.allclose(one, array, rtol=0, atol=1e-4 * largest, equal_nan=True):
            raise OnnxExporterError(f"onnx.export: verify: onnxruntime gives another result for {info.name}")
