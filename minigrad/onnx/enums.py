"""The enumerations of torch.onnx."""

import enum


class TrainingMode(enum.Enum):
    """In which mode a model is exported: evaluation, as it is, or training."""

    EVAL = 0
    PRESERVE = 1
    TRAINING = 2


class OperatorExportTypes(enum.Enum):
    """What operators a file may have; only ONNX's own are supported."""

    ONNX = 0
    ONNX_ATEN = 2
    ONNX_ATEN_FALLBACK = 3
    ONNX_FALLTHROUGH = 1
