"""The trained candidate, as the evaluation receives it."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from everloop.documents.training import ParityDocument, TrainingDocument
from everloop.json_text import read_json
from everloop.limits import largest_file
from everloop.manifest import CONTRACT, ESTIMATOR, EVALUATED, MODEL, sha256_hex
from everloop.numbers_of import number_of
from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import ContractFormatError, ScorerError
from everloop.serving.scorer import Scorer
from everloop.shown import shortened, shown
from everloop.training.baseline import ANSWERS, read_answers
from everloop.training.exceptions import CandidateError
from everloop.training.probes import counted
from everloop.typed_json import read_as

MOST_MEMBERS = 10_000
MOST_BYTES = 1024**3
"""Of an archive as a whole, with whatever else the training job left beside the candidate."""

_MADE_BY = "it is what the training job wrote to its model folder (SM_MODEL_DIR)"

_AGAIN = "train it again"

FILES = EVALUATED


@dataclass(frozen=True)
class Candidate:
    """What the training job made.

    Attributes
    ----------
    files : dict of str to bytes
        Each of ``FILES``, as trained; a kept estimator as well, which is bytes here and nothing else.
    parity, training
        ``parity.json`` and ``training.json``.
    answers : ndarray of float64, shape (test rows,), or None
        What the rule in force answered, where it is the baseline. It is part of no version.
    """

    files: dict[str, bytes]
    contract: ServingContract
    scorer: Scorer
    parity: ParityDocument
    training: TrainingDocument
    answers: np.ndarray | None = None


def read_candidate(folder: Path, test_rows: int) -> Candidate:
    """Unpack ``model.tar.gz`` in ``folder`` and check that its model is the one that parity was shown for.

    Raises
    ------
    CandidateError
        When a file is absent or unreadable, parity was shown for other bytes or other rows, labels flipped, or not
        all that the contract admits was probed.
    """
    files = unpacked(folder / "model.tar.gz")
    told = files.pop(ANSWERS, None)
    candidate = candidate_of(files)
    if told is not None:
        candidate = replace(candidate, answers=read_answers(told))
    parity, contract = candidate.parity, candidate.contract
    found = sha256_hex(candidate.files[MODEL])
    if parity["model_sha256"] != found:
        raise CandidateError(
            f"parity was shown for the model {shown(parity['model_sha256'])}, but the candidate is {found}"
        )
    if parity["rows"] != test_rows:
        raise CandidateError(
            f"parity was shown on {number_of(parity['rows'], 'row')}, but the test split has {test_rows}"
        )
    if parity["label_flips"] != 0:
        raise CandidateError(f"the exported model changes {number_of(parity['label_flips'], 'decision')}")
    if parity["probes"]["possibilities"] != counted(contract):
        raise CandidateError("the candidate was not probed with everything that its contract allows: train it again")
    return candidate


def candidate_of(files: dict[str, bytes]) -> Candidate:
    """The candidate whose files these are; raises :class:`CandidateError` when one is unreadable."""
    try:
        parity = read_as(ParityDocument, read_json(files["parity.json"]), "parity.json", _AGAIN)
        training = read_as(TrainingDocument, read_json(files["training.json"]), "training.json", _AGAIN)
        contract = ServingContract.from_json(files[CONTRACT])
        scorer = Scorer.from_bytes(files[MODEL], contract)
    except (ValueError, ContractFormatError, ScorerError) as error:
        raise CandidateError(f"the candidate cannot be read: {error}") from error
    return Candidate(files, contract, scorer, parity, training)


def unpacked(archive: Path) -> dict[str, bytes]:
    """The candidate's files in a training job's ``model.tar.gz``, by name.

    Raises
    ------
    CandidateError
        When it is no archive that a training job writes, or lacks a file.
    """
    files: dict[str, bytes] = {}
    try:
        # As a stream: what is not read is not kept either, and an archive of a few bytes may unpack to any number.
        with (
            gzip.open(archive) as packed,
            _streamed(stream := _Limited(packed, archive)) as tar,
        ):
            for count, member in enumerate(tar, start=1):
                if count > MOST_MEMBERS:
                    raise CandidateError(f"{archive} has more than {MOST_MEMBERS:,} members; {_MADE_BY}")
                name = member.name.removeprefix("./")
                if member.isfile() and name in (*FILES, ESTIMATOR, ANSWERS):
                    if name in files:
                        raise CandidateError(f"{archive} has {name} twice; {_MADE_BY}")
                    files[name] = _content(tar, member, name)
            stream.read_to_end()  # where gzip checks the sum against what came
    except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError) as error:
        raise CandidateError(f"{archive} is not a readable archive: {shortened(str(error), 200)}") from error
    missing = next((name for name in FILES if name not in files), None)
    if missing is not None:
        raise CandidateError(f"the candidate's archive has no {missing}")
    return files


def _streamed(archive: _Limited) -> tarfile.TarFile:
    return tarfile.open(fileobj=archive, mode="r|")  # type: ignore[call-overload,no-any-return]  # it asks read alone


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> bytes:
    most = largest_file(name)
    if member.size > most:
        raise CandidateError(f"{name} has {member.size:,} bytes; at most {most:,} are accepted: train a smaller model")
    stream = tar.extractfile(member)
    if stream is None:
        raise CandidateError(f"{name} is not a file in the candidate's archive")
    return stream.read()


class _Limited:
    """Gives no more of an unpacked archive than it may have."""

    def __init__(self, stream: gzip.GzipFile, archive: Path) -> None:
        self._stream, self._archive, self._left = stream, archive, MOST_BYTES

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise CandidateError(f"{self._archive} unpacks to more than {MOST_BYTES:,} bytes; {_MADE_BY}")
        return content

    def read_to_end(self) -> None:
        while self.read(tarfile.RECORDSIZE):
            pass
