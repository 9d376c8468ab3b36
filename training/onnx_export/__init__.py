"""A fitted scikit-learn estimator as an ONNX model that answers the same, proven row by row."""

from everloop.training.onnx_export.convert import export_onnx, used_inputs
from everloop.training.onnx_export.exceptions import ExportRefusedError, ParityError
from everloop.training.onnx_export.inputs import ModelInputs
from everloop.training.onnx_export.parity import Parity, check_parity, trained_scores

__all__ = [
    "ExportRefusedError",
    "ModelInputs",
    "Parity",
    "ParityError",
    "check_parity",
    "export_onnx",
    "trained_scores",
    "used_inputs",
]
