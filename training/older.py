"""An older registered version in a candidate's place: its own files, on test rows that it has not learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from everloop.documents.training import ParityDocument, TrainingDocument
from everloop.evaluation.report import OlderFacts
from everloop.json_text import read_json
from everloop.manifest import EVALUATED
from everloop.model_file.schema import ModelDeclaration
from everloop.serving.contract import ServingContract
from everloop.training.candidate import Candidate
from everloop.training.champion import Champion, fetch_registered
from everloop.training.channels import Split
from everloop.training.exceptions import OlderVersionError
from everloop.typed_json import read_as

_REGISTERED = "it was registered so: bring another version back, or train a new one"


@dataclass(frozen=True)
class Older:
    """The version: as a candidate, and as what has learned up to some row."""

    candidate: Candidate
    registered: Champion
    facts: OlderFacts


def fetch_older(uri: str, s3_client: Any, declaration: ModelDeclaration) -> Older:
    """Download a registered version, each file held against its manifest.

    Raises
    ------
    ChampionError
        When a file is absent, or is not what the manifest says.
    OlderVersionError
        When it answers what the declaration does not ask any more.
    """
    registered, manifest, files = fetch_registered(uri, s3_client, model=declaration.model, names=EVALUATED)
    _require_fitting(declaration, registered.contract, registered.version)
    try:
        parity = read_as(ParityDocument, read_json(files["parity.json"]), "parity.json", _REGISTERED)
        training = read_as(TrainingDocument, read_json(files["training.json"]), "training.json", _REGISTERED)
    except ValueError as error:
        raise OlderVersionError(f"{uri} cannot be judged again: {error}") from error
    candidate = Candidate(files, registered.contract, registered.scorer, parity, training)
    return Older(candidate, registered, OlderFacts(manifest.version, manifest.sha256, registered.learned_until))


def unlearned_rows(older: Older, test: Split) -> Split:
    """The test rows after those that the version has learned from.

    Raises
    ------
    OlderVersionError
        When there is none.
    """
    unlearned = older.registered.has_not_learned(test.times)
    if not unlearned.any():
        raise OlderVersionError(
            f"version {older.facts.version} has learned from all {len(test):,} test rows, so they say nothing about "
            "how it answers new ones: wait until later labels have come"
        )
    return test.only(unlearned)


def _require_fitting(declaration: ModelDeclaration, contract: ServingContract, version: int) -> None:
    """Refuse a version whose callers would have to send what is not declared any more."""
    declared = {f.name: f.type for f in declaration.data.features}
    used = {f.name: "number" for f in contract.numbers} | {f.name: "category" for f in contract.categories}
    wrong = [f"the feature {name!r} as a {kind}" for name, kind in used.items() if declared.get(name) != kind]
    for what, now, then in (
        ("key", declaration.data.key, contract.key),
        ("target", declaration.data.target, contract.target),
        ("problem type", declaration.problem.type, contract.problem_type),
        ("classes", list(declaration.problem.classes or ()), list(contract.classes)),
    ):
        if now != then:
            wrong.append(f"the {what} {then!r}")
    if wrong:
        raise OlderVersionError(
            f"version {version} takes {', '.join(wrong)}, which is not what is declared now: callers would be refused; "
            "declare that again, or train a new version"
        )
