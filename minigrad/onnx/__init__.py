"""Exporting models as ONNX files, under the names of torch.onnx: docs/onnx.md says what can be exported."""

from minigrad.absent import getter
from minigrad.onnx import elementwise, errors, layers, shapes  # noqa: F401  (they fill the table of ops)
from minigrad.onnx.enums import OperatorExportTypes, TrainingMode
from minigrad.onnx.errors import OnnxExporterError
from minigrad.onnx.exporting import ONNXProgram, export, is_in_onnx_export

__all__ = [
    "ONNXProgram", "OnnxExporterError", "OperatorExportTypes", "TrainingMode", "errors", "export", "is_in_onnx_export",
]  # fmt: skip


__getattr__ = getter(__name__)
