"""The declaration of a model: ``models/<name>/model.yaml``, read and checked."""

from everloop.model_file.exceptions import Mistake, ModelFileError
from everloop.model_file.reader import parse_model_file, read_model_file
from everloop.model_file.schema import Feature, ModelDeclaration
from everloop.model_file.worst_case import training_run_usd

__all__ = [
    "Feature",
    "Mistake",
    "ModelDeclaration",
    "ModelFileError",
    "parse_model_file",
    "read_model_file",
    "training_run_usd",
]
