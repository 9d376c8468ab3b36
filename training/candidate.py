"""The trained candidate, as the evaluation receives it."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import ContractFormatError, ScorerError
from everloop.serving.manifest import sha256_hex
from everloop.serving.scorer import Scorer
from training.exceptions import CandidateError
from training.probes import counted

FILES = ("model.onnx", "contract.json", "profile.json", "parity.json", "training.json")


@dataclass(frozen=True)
class Candidate:
    """What the training job made.

    Attributes
    ----------
    files : dict of str to bytes
        Each of ``FILES``, as trained.
    parity, training : dict
        The parsed ``parity.json`` and ``training.json``.
    """

    files: dict[str, bytes]
    contract: ServingContract
    scorer: Scorer
    parity: dict[str, Any]
    training: dict[str, Any]


def read_candidate(folder: Path, test_rows: int) -> Candidate:
    """Unpack ``model.tar.gz`` in ``folder`` and check that its model is the one that parity was shown for.

    Raises
    ------
    CandidateError
        When a file is absent or unreadable, parity was shown for other bytes or other rows, labels flipped, or not
        all that the contract admits was probed.
    """
    files = _unpack(folder / "model.tar.gz")
    try:
        parity, training = json.loads(files["parity.json"]), json.loads(files["training.json"])
        contract = ServingContract.from_json(files["contract.json"])
        scorer = Scorer.from_bytes(files["model.onnx"], contract)
    except (ValueError, ContractFormatError, ScorerError) as error:
        raise CandidateError(f"the candidate cannot be read: {error}") from error
    found = sha256_hex(files["model.onnx"])
    if parity.get("model_sha256") != found:
        raise CandidateError(
            f"parity was shown for the model {parity.get('model_sha256')}, and the candidate is {found}"
        )
    if parity.get("rows") != test_rows:
        raise CandidateError(f"parity was shown on {parity.get('rows')} rows, and the test split has {test_rows}")
    if parity.get("label_flips") != 0:
        raise CandidateError(f"the exported model flips {parity.get('label_flips')} labels")
    if (parity.get("probes") or {}).get("possibilities") != counted(contract):
        raise CandidateError("the candidate was not probed with all that its contract admits: train it again")
    return Candidate(files, contract, scorer, parity, training)


def _unpack(archive: Path) -> dict[str, bytes]:
    files = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for name in FILES:
                files[name] = _member(tar, name)
    except (OSError, tarfile.TarError) as error:
        raise CandidateError(f"{archive} is no readable archive: {error}") from error
    return files


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    for member in tar:
        if member.isfile() and member.name.removeprefix("./") == name:
            stream = tar.extractfile(member)
            if stream is not None:
                return stream.read()
    raise CandidateError(f"the candidate's archive has no {name}")
