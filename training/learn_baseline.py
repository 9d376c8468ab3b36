"""Learns the declared baseline, and runs the rule in force, which is the user's code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from everloop.evaluation.baseline import Baseline, fit_baseline
from everloop.model_file.schema import ModelDeclaration
from everloop.training.baseline import asked, rows_of
from everloop.training.channels import Split
from everloop.training.user_script import run_user_rule


def learn_baseline(declaration: ModelDeclaration, folder: Path, train: Split) -> Baseline:
    """The declared baseline, from the training rows; ``folder`` is the model's."""
    answers = answers_of_rule(declaration, folder, train.features)
    rows = rows_of(declaration, train, answers)
    return fit_baseline(declaration.problem.baseline.kind, asked(declaration), rows, train.labels)


def answers_of_rule(declaration: ModelDeclaration, folder: Path, features: pd.DataFrame) -> np.ndarray | None:
    """What the rule in force answers, float64 [rows]; None where none is declared."""
    script = declaration.problem.baseline.script
    return None if script is None else run_user_rule(folder / script, features)
