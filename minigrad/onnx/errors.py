"""The errors and warnings of exporting, under PyTorch's names."""

__all__ = ["OnnxExporterError", "OnnxExporterWarning", "SymbolicValueError", "UnsupportedOperatorError"]


class OnnxExporterWarning(UserWarning):
    """What an exported file does otherwise than the program may do."""


class OnnxExporterError(RuntimeError):
    """A program that can't be exported; the message says what stands in the way."""


class UnsupportedOperatorError(OnnxExporterError):
    """An operation for which ONNX, or the version asked for, has no counterpart here."""


class SymbolicValueError(OnnxExporterError):
    """An operation that is supported, but not with these shapes, dtypes or settings."""
