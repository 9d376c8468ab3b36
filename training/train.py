"""The training job: rows in; a checked ONNX model with its contract, profile and record out.

Written to ``$SM_MODEL_DIR``: ``model.onnx``, ``contract.json``, ``profile.json``, ``parity.json``,
``training.json``; with ``training.warm_start`` also ``estimator.zip``. The same rows, code and declaration give the
same bytes.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from everloop.documents.training import (
    PARENT_CHANNEL,
    PARENT_SHA256,
    PARENT_VERSION,
    TUNED_CHANNEL,
    ParityDocument,
)
from everloop.evaluation.exceptions import EvaluationError
from everloop.instants import format_instant
from everloop.limits import largest_file
from everloop.manifest import CONTRACT, ESTIMATOR, MODEL, PROFILE, sha256_hex
from everloop.model_file.schema import ModelDeclaration
from everloop.training.baseline import ANSWERS, write_answers
from everloop.training.channels import Split, read_split
from everloop.training.checkpoints import Checkpoints
from everloop.training.contract import build_contract
from everloop.training.declaration import read_declaration
from everloop.training.environment import Environment
from everloop.training.exceptions import JobError, ParentError
from everloop.training.held_data import hold_channel
from everloop.training.held_groups import require_unlearned, to_refit_on
from everloop.training.kept_estimator import About, KeptEstimator, making_of, pack, read_kept
from everloop.training.learn_baseline import answers_of_rule, learn_baseline
from everloop.training.learning import learn
from everloop.training.learning_curve import learning_curve
from everloop.training.onnx_export import (
    ExportRefusedError,
    ModelInputs,
    ParityError,
    check_parity,
    trained_scores,
)
from everloop.training.own_export import exported, loaded
from everloop.training.probing import check_probes
from everloop.training.record import code_hash, training_record
from everloop.training.reference import feature_reference
from everloop.training.standing import require_held_out
from everloop.training.warm_start import trees_of
from everloop.typed_json import as_json

logger = logging.getLogger("everloop.training")


@dataclass(frozen=True)
class Asked:
    """The version that a job is asked to continue: where its kept estimator is, and what the registry says of it."""

    folder: Path
    version: int
    sha256: str

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Asked | None:
        """From the channel and the variables that the pipeline sets; None where the job has no such channel."""
        folder = environment.get(f"SM_CHANNEL_{PARENT_CHANNEL.upper()}")
        if folder is None:
            return None
        return cls(Path(folder), int(environment[PARENT_VERSION]), environment[PARENT_SHA256])

    def kept(self, model: str) -> KeptEstimator:
        """The estimator, not yet unpickled.

        Raises
        ------
        ParentError
            When it is absent, or not what the registry says.
        """
        try:
            data = (self.folder / ESTIMATOR).read_bytes()
        except OSError as error:
            raise ParentError(f"the kept estimator of version {self.version} can't be read: {error}") from error
        return read_kept(data, version=self.version, sha256=self.sha256, model=model)


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
    environment : mapping
        The job's variables: those of the snapshot's hashes are read.
    parent : Asked or None
        The version to continue.
    tuned : Path or None
        What an earlier training made, whose parameters this one takes.
    """

    code: Path
    train: Path
    test_features: Path
    model: Path
    test: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    parent: Asked | None = None
    tuned: Path | None = None

    @classmethod
    def read(cls, code: Path, environment: Mapping[str, str]) -> Job:
        """From SageMaker's variables; its fixed paths where they are not set."""
        channels, tuned = Path("/opt/ml/input/data"), environment.get(f"SM_CHANNEL_{TUNED_CHANNEL.upper()}")
        return cls(
            code=code,
            train=Path(environment.get("SM_CHANNEL_TRAIN", channels / "train")),
            test_features=Path(environment.get("SM_CHANNEL_TEST_FEATURES", channels / "test_features")),
            model=Path(environment.get("SM_MODEL_DIR", "/opt/ml/model")),
            test=Path(environment["SM_CHANNEL_TEST"]) if "SM_CHANNEL_TEST" in environment else None,
            environment=environment,
            parent=Asked.read(environment),
            tuned=None if tuned is None else Path(tuned),
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
    except (JobError, EvaluationError, ExportRefusedError, ParityError) as error:
        return _fail(output, str(error))
    except Exception as error:
        logger.exception("the job failed because of a bug in its code")
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
    code_sha256, environment = code_hash(job.code), Environment.of(job.code)
    for pin in environment.lock["unmet"]:
        logger.warning("the lock asks for %s, which is not what is installed", pin)
    data_sha256 = hold_rows(job)
    part, test = read_rows(job, declaration)
    refit = job.test is not None
    later = to_refit_on(declaration, test) if refit else None
    train = part if later is None else part.with_later(later)
    held_out = require_held_out(train, job.environment)
    held_groups = require_unlearned(declaration, train)
    first, last = format_instant(train.first), format_instant(train.last)
    logger.info("training on %d rows of %s to %s", len(train), first, last)
    parent = None if job.parent is None else job.parent.kept(declaration.model)
    folder = job.code / "user_model"
    learned = learn(
        declaration,
        folder,
        part,
        later or test,
        refit=later is not None,
        parent=parent,
        tuned=job.tuned,
        checkpoints=Checkpoints.read(job.environment, code_sha256=code_sha256, data_sha256=data_sha256),
    )
    estimator = learned.estimator
    problem_type = declaration.problem.type
    model, inputs = exported(estimator, ModelInputs.of(declaration), problem_type)
    unused = [name for name in inputs.columns if name not in (*inputs.numbers, *inputs.categories)]
    if unused:
        logger.warning("the model does not use %s: requests may leave it out", ", ".join(unused))
    contract = build_contract(declaration, train.features, inputs)
    scorer = loaded(estimator, model, contract)
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
    logger.info("it answers everything that the declaration allows: %d probes, %s", probed.rows, probed.possibilities)
    if probed.outside_target:
        logger.warning("%d of these answers are beyond target_min or target_max", probed.outside_target)
    baseline = learn_baseline(declaration, folder, train)
    answers = answers_of_rule(declaration, folder, test.features)
    record = training_record(
        declaration,
        train,
        len(test),
        baseline=baseline,
        code_sha256=code_sha256,
        environment=environment,
        curve=None if refit else learning_curve(declaration, folder, train),
        refit=refit,
        data_sha256=data_sha256,
        update=learned.update,
        chosen=learned.chosen,
        held_out=held_out,
        held_groups=held_groups,
    )
    job.model.mkdir(parents=True, exist_ok=True)
    (job.model / MODEL).write_bytes(model)
    (job.model / CONTRACT).write_bytes(contract.to_json())
    (job.model / PROFILE).write_bytes(feature_reference(declaration, train))
    proof: ParityDocument = {**parity.as_dict(), "model_sha256": sha256_hex(model), "probes": probed.as_dict()}
    write_json(job.model / "parity.json", proof)
    write_json(job.model / "training.json", record)
    if answers is not None:
        write_answers(job.model / ANSWERS, answers)
    if declaration.training.warm_start is not None:
        keep(learned.estimator, declaration, train.last, job)


def keep(estimator: Any, declaration: ModelDeclaration, learned_until: datetime, job: Job) -> None:
    """Write the estimator beside the model for a later warm start; one that is too large is left out, and said so."""
    about: About = {
        "model": declaration.model,
        "learned_until": learned_until,
        "trees": trees_of(estimator),
        "making": making_of(declaration, job.code / "user_model"),
    }
    packed, most = pack(estimator, about), largest_file(ESTIMATOR)
    if len(packed) > most:
        logger.warning(
            "the estimator is not kept, and no warm start can continue it: packed it has %d bytes, and %d are accepted",
            *(len(packed), most),
        )
        return
    (job.model / ESTIMATOR).write_bytes(packed)
    logger.info("the estimator is kept for a warm start: %d bytes", len(packed))


def hold_rows(job: Job) -> dict[str, str]:
    """Hold the channels' files against the snapshot's, before a row is read; by channel, their SHA-256."""
    beside = {"test_features": job.test_features} if job.test is None else {"test": job.test}
    return {
        name: hold_channel(folder, name, job.environment) for name, folder in {"train": job.train, **beside}.items()
    }


def read_rows(job: Job, declaration: ModelDeclaration) -> tuple[Split, Split]:
    """The rows to learn from, and the test rows to compare the export on; of a refit those have labels too."""
    train = read_split(job.train, declaration, labelled=True)
    if job.test is None:
        return train, read_split(job.test_features, declaration, labelled=False)
    return train, read_split(job.test, declaration, labelled=True)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document; the same document gives the same bytes."""
    path.write_text(json.dumps(as_json(document), indent=1, sort_keys=True, allow_nan=False), encoding="utf-8")


def _fail(output: Path, message: str) -> int:
    logger.error("%s", message)
    output.mkdir(parents=True, exist_ok=True)
    (output / "failure").write_text(message, encoding="utf-8")
    return 1
