"""What a training job keeps while it works, so that one that was interrupted goes on where it was.

SageMaker takes a spot instance back with two minutes' notice, and starts the job again when it has another. It copies
the job's checkpoint folder to S3 as it changes, and back before the next start. Kept are the trials of a search that
came to an end, and what a script keeps of its own; both are of the same code and rows, or they are not taken up.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from everloop.documents.training import CHECKPOINTS, TrialDocument
from everloop.json_text import canonical_json, read_json
from everloop.manifest import sha256_hex
from everloop.training.exceptions import TuningError
from everloop.typed_json import as_json, read_as

logger = logging.getLogger("everloop.training")

TRIALS = "trials.json"


class TrialsDocument(TypedDict):
    """The finished trials of a search; ``making`` says what code and rows they are of."""

    making: str
    trials: list[TrialDocument]


@dataclass(frozen=True)
class Checkpoints:
    """The folder that outlives an interruption.

    Attributes
    ----------
    making : str
        SHA-256 over the code and the rows: what is kept of others is not taken up.
    """

    folder: Path
    making: str

    @classmethod
    def read(
        cls, environment: Mapping[str, str], *, code_sha256: str, data_sha256: Mapping[str, str]
    ) -> Checkpoints | None:
        """From the variable that the pipeline sets; None where the job keeps nothing."""
        folder = environment.get(CHECKPOINTS)
        if folder is None:
            return None
        made_of = canonical_json({"code": code_sha256, "data": dict(data_sha256)})
        return cls(Path(folder), sha256_hex(made_of.encode()))

    def trials(self) -> list[TrialDocument]:
        """Those that came to an end before the job was interrupted; none where what is kept can't be used."""
        try:
            content = (self.folder / TRIALS).read_bytes()
        except FileNotFoundError:
            return []
        try:
            kept = read_as(TrialsDocument, read_json(content), TRIALS, "search anew", refusal=TuningError)
        except (TuningError, ValueError) as error:
            logger.warning("the kept trials can't be read, and the search begins anew: %s", error)
            return []
        if kept["making"] != self.making:
            logger.warning("the kept trials are of other code or other rows, and the search begins anew")
            return []
        return kept["trials"]

    def keep_trials(self, trials: Sequence[TrialDocument]) -> None:
        """Write them whole: what is copied meanwhile is the file before, or this one."""
        document = as_json({"making": self.making, "trials": list(trials)})
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.folder / f".{TRIALS}"
        beside.write_text(json.dumps(document, allow_nan=False), encoding="utf-8")
        os.replace(beside, self.folder / TRIALS)

    def of_script(self, parameters: Mapping[str, str | float | int | bool]) -> Path:
        """A folder for what the script keeps of a fit with ``parameters``; empty unless this fit was interrupted."""
        fit = sha256_hex(canonical_json({"making": self.making, "parameters": dict(parameters)}).encode())
        folder = self.folder / f"fit-{fit[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder
