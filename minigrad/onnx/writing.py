"""Writing an ONNX file: the model without its tensors by the onnx package, the tensors straight from their memory.

The tensors are the last fields of the graph, and the graph the last field of the model, so that both lengths can be
told before and no copy of the weights is ever made.
"""

import os

from minigrad.backend import np
from minigrad.onnx.errors import OnnxExporterError
from minigrad.serialization.atomic import replaced

LARGEST = 2**31 - 1  # bytes of a file in protocol buffers
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9  # numbers of the fields of ModelProto, GraphProto, TensorProto


def _varint(number):
    """Return a number as protocol buffers write it: seven bits per byte, the lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _opening(field, length):
    """Return what stands before the bytes of a field of this length."""
    return _varint(field << 3 | 2) + _varint(length)


def _initializer(name, array, location=None):
    """Return (bytes, bytes-like): the head of an initializer and its data; with location all is in the head."""
    from onnx import TensorProto
    from onnx.helper import np_dtype_to_tensor_dtype

    tensor = TensorProto(name=name, dims=array.shape, data_type=np_dtype_to_tensor_dtype(array.dtype))
    if location is not None:
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in location.items():
            tensor.external_data.add(key=key, value=str(value))
        head = tensor.SerializeToString()
        return _opening(_INITIALIZER, len(head)) + head, b""
    head = tensor.SerializeToString()
    tail = _opening(_RAW_DATA, array.nbytes)
    return _opening(_INITIALIZER, len(head) + len(tail) + array.nbytes) + head + tail, _bytes(array)


def _bytes(array):
    """Return the little-endian bytes of an array, a view of its memory where that is possible."""
    array = np.ascontiguousarray(array)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return array.reshape(-1).view(np.uint8).data


def pieces(model, initializers, locations=None):
    """Yield the bytes of a file: a ModelProto whose graph has no initializers yet, and name -> array."""
    graph = model.graph.SerializeToString()
    tensors = [
        _initializer(name, array, None if locations is None else locations.get(name))
        for name, array in initializers.items()
    ]
    length = len(graph) + sum(len(head) + len(data) for head, data in tensors)
    shell = type(model)()
    shell.CopyFrom(model)
    shell.ClearField("graph")
    yield shell.SerializeToString() + _opening(_GRAPH, length) + graph
    for head, data in tensors:
        yield head
        yield data


def size(model, initializers):
    """Return about how many bytes the file will have."""
    return model.ByteSize() + sum(array.nbytes + len(name) + 100 for name, array in initializers.items())


def write(model, initializers, f, *, external=None, limit=LARGEST):
    """Write a model into f, a path or a file; ``external``: its weights into ``PATH.data`` (None: where it has to be).

    OnnxExporterError for more than 2 GB where f is no path, or external is False.
    """
    too_large = size(model, initializers) > limit
    is_path = isinstance(f, (str, os.PathLike))
    if too_large and (not is_path or external is False):
        raise OnnxExporterError(
            "onnx.export: the model is larger than 2 GB, which one file can't hold; give a path, and leave "
            "external_data=True, for its weights to be written beside it"
        )
    if not is_path:
        for piece in pieces(model, initializers):
            f.write(piece)
        return
    locations = None
    if too_large:
        locations = _write_beside(os.fspath(f), initializers)
    with replaced(f) as file:
        for piece in pieces(model, initializers, locations):
            file.write(piece)


def _write_beside(path, initializers):
    """Write the larger tensors into PATH.data and return where each is."""
    locations, name = {}, os.path.basename(path) + ".data"
    with replaced(path + ".data") as file:
        offset = 0
        for key, array in initializers.items():
            if array.nbytes < 1024:
                continue
            padding = -offset % 4096  # so that it can be mapped into memory
            file.write(bytes(padding))
            offset += padding
            file.write(_bytes(array))
            locations[key] = {"location": name, "offset": offset, "length": array.nbytes}
            offset += array.nbytes
    return locations


