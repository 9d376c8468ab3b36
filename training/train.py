"""The training job: rows in; a checked ONNX model with its contract, profile and record out.

Written to ``$SM_MODEL_DIR``: ``model.onnx``, ``contract.json``, ``profile.json``, ``parity.json``,
``training.json``. The same rows, code and declaration give the same bytes.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from everloop.documents.training import ParityDocument
from everloop.evaluation.baseline import Baseline, fit_baseline
from everloop.instants import format_instant
from everloop.manifest import CONTRACT, MODEL, PROFILE, sha256_hex
from everloop.model_file import ModelDeclaration
from everloop.serving.scorer import Scorer
from everloop.training.channels import Split, read_split
from everloop.training.contract import build_contract
from everloop.training.declaration import read_declaration
from everloop.training.exceptions import JobError
from everloop.training.onnx_export import (
    ExportRefusedError,
    ModelInputs,
    ParityError,
    check_parity,
    export_onnx,
    trained_scores,
    used_inputs,
)
from everloop.training.probing import check_probes
from everloop.training.record import code_hash, training_record
from everloop.training.reference import feature_reference
from everloop.training.user_script import run_user_script
from everloop.typed_json import as_json

logger = logging.getLogger("everloop.training")


@dataclass(frozen=True)
class Job:
    """Where the job's files are.

    Attributes
    ----------
    code : Path
        The unpacked code archive.
    train, test_features : Path
        The channels: labelled rows to learn from; the test split's features, without labels.
    test : Path or None
        The test split with its labels, in place of ``test_features``: then this is a refit, which learns from it too.
        The role of the job decides which of the two it may read.
    model : Path
        What is written here becomes ``model.tar.gz``.
    """

    code: Path
    train: Path
    test_features: Path
    model: Path
    test: Path | None = None

    @classmethod
    def read(cls, code: Path, environment: Mapping[str, str]) -> Job:
        """From SageMaker's variables; its fixed paths where they are not set."""
        channels = Path("/opt/ml/input/data")
        return cls(
            code=code,
            train=Path(environment.get("SM_CHANNEL_TRAIN", channels / "train")),
            test_features=Path(environment.get("SM_CHANNEL_TEST_FEATURES", channels / "test_features")),
            model=Path(environment.get("SM_MODEL_DIR", "/opt/ml/model")),
            test=Path(environment["SM_CHANNEL_TEST"]) if "SM_CHANNEL_TEST" in environment else None,
        )


def main(code: Path, environment: Mapping[str, str]) -> int:
    """Run the job; the process's exit status.

    On failure ``$SM_OUTPUT_DIR/failure`` says why: SageMaker shows its first 1,024 characters as the failure's
    reason.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    output = Path(environment.get("SM_OUTPUT_DIR", "/opt/ml/output"))
    try:
        run(Job.read(code, environment))
    except (JobError, ExportRefusedError, ParityError) as error:
        return _fail(output, str(error))
    except Exception as error:
        logger.exception("the job failed in its own code")
        trace = "".join(traceback.format_exception(error)).rstrip().splitlines()[-8:]
        return _fail(output, f"{type(error).__name__}: {error}\n" + "\n".join(trace))
    return 0


def run(job: Job) -> None:
    """Train, export, check and write.

    Raises
    ------
    JobError, ExportRefusedError, ParityError
        When the rows, the script or the model are refused.
    """
    declaration = read_declaration(job.code)
    code_sha256 = code_hash(job.code)
    train, test = read_rows(job, declaration)
    first, last = format_instant(train.first), format_instant(train.last)
    logger.info("training on %d rows of %s to %s", len(train), first, last)
    estimator = run_user_script(job.code / "user_model", declaration, train)
    problem_type = declaration.problem.type
    inputs = used_inputs(estimator, ModelInputs.of(declaration), problem_type)
    model = export_onnx(estimator, inputs, problem_type).SerializeToString()
    unused = [name for name in inputs.columns if name not in (*inputs.numbers, *inputs.categories)]
    if unused:
        logger.warning("the model does not use %s: requests may leave it out", ", ".join(unused))
    contract = build_contract(declaration, train.features, inputs)
    scorer = Scorer.from_bytes(model, contract)
    parity = check_parity(
        estimator,
        scorer,
        test.features,
        inputs=inputs,
        problem_type=problem_type,
        threshold=contract.threshold,
    )
    logger.info("the exported model agrees on %d rows to %.2g", parity.rows, parity.max_abs_difference)
    probed = check_probes(
        lambda frame: trained_scores(estimator, frame, problem_type),
        scorer,
        contract,
        train.features,
        seed=declaration.training.seed,
        target_range=(declaration.data.target_min, declaration.data.target_max),
    )
    logger.info("it answers all that the declaration allows: %d probes, %s", probed.rows, probed.possibilities)
    if probed.outside_target:
        logger.warning("%d of these answers lie beyond target_min or target_max", probed.outside_target)
    baseline = learn_baseline(declaration, train)
    record = training_record(
        declaration, train, len(test), baseline=baseline, code_sha256=code_sha256, refit=job.test is not None
    )
    job.model.mkdir(parents=True, exist_ok=True)
    (job.model / MODEL).write_bytes(model)
    (job.model / CONTRACT).write_bytes(contract.to_json())
    (job.model / PROFILE).write_bytes(feature_reference(declaration, train))
    proof: ParityDocument = {**parity.as_dict(), "model_sha256": sha256_hex(model), "probes": probed.as_dict()}
    write_json(job.model / "parity.json", proof)
    write_json(job.model / "training.json", record)


def read_rows(job: Job, declaration: ModelDeclaration) -> tuple[Split, Split]:
    """The rows to learn from, and the test rows to compare the export on; of a refit the first hold the second."""
    train = read_split(job.train, declaration, labelled=True)
    if job.test is None:
        return train, read_split(job.test_features, declaration, labelled=False)
    test = read_split(job.test, declaration, labelled=True)
    return train.with_later(test), test


def learn_baseline(declaration: ModelDeclaration, train: Split) -> Baseline:
    """The declared baseline, from the training rows."""
    declared = declaration.problem.baseline
    groups = None if declared.by is None else train.features[declared.by].tolist()
    return fit_baseline(declared.kind, train.labels, by=declared.by, groups=groups)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document; the same document gives the same bytes."""
    path.write_text(json.dumps(as_json(document), indent=1, sort_keys=True, allow_nan=False), encoding="utf-8")


def _fail(output: Path, message: str) -> int:
    logger.error("%s", message)
    output.mkdir(parents=True, exist_ok=True)
    (output / "failure").write_text(message, encoding="utf-8")
    return 1
