"""The reference profile: the training rows' features, and the test rows' scores and losses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from everloop.dataset.held_groups import HeldGroups
from everloop.evaluation.exceptions import EvaluationError
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.build import build_reference, complete_reference
from everloop.monitoring.reference import Reference
from everloop.training.channels import Split


def feature_reference(declaration: ModelDeclaration, train: Split) -> bytes:
    """``profile.json`` of the training rows: what drift of the features is measured against.

    Groups that are held out are among the callers' rows and not among these. So the feature that names them is counted,
    and the reference does not say how days differ in it: then its drift is not judged.
    """
    reference = build_reference(
        {f.name: train.features[f.name].to_numpy(np.float64) for f in declaration.data.numbers},
        {f.name: train.features[f.name].tolist() for f in declaration.data.categories},
        train.days,
        declaration,
    )
    held = HeldGroups.of(declaration)
    if held is not None:
        apart = replace(reference.features[held.column], natural=())
        reference = replace(reference, features={**reference.features, held.column: apart})
    return reference.to_json().encode()


def full_reference(
    profile: bytes, test: Split, scores: np.ndarray, declaration: ModelDeclaration, *, score_unjudged: str = ""
) -> bytes:
    """``profile.json`` with the scores and outcomes of rows the model has not seen.

    What a model answers on its own training rows is too confident and too good to watch production by. Where the
    scores are not of the model that serves, ``score_unjudged`` says so.
    """
    if test.target is None:
        raise EvaluationError("the test rows have no labels")
    target = test.target.astype(np.float64)
    complete = complete_reference(Reference.from_json(profile), scores, target, test.days, declaration)
    return replace(complete, score_unjudged=score_unjudged).to_json().encode()
