"""A small model version, as the registry would have stored it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from everloop.documents.records import Files
from everloop.instants import parse_instant
from everloop.manifest import Manifest, file_entries, sha256_hex
from everloop.serving.contract import CategoryField, NumberField, ServingContract
from tests.helpers.onnx_models import linear_model

MODEL, VERSION, PREFIX = "late_train", 7, "artifacts/late_train/000007/"


def small_contract(**changes: Any) -> ServingContract:
    """Two numbers, three categories: every rule is used by one of them."""
    facts: dict[str, Any] = {
        "model": MODEL,
        "problem_type": "binary_classification",
        "key": "train_id",
        "target": "late",
        "threshold": 0.5,
        "max_rows": 100,
        "numbers": (NumberField("distance", min=0, max=5000), NumberField("wind", missing="allow")),
        "categories": (
            CategoryField("line", unseen="refuse", values=("north", "south")),
            CategoryField("operator", missing="allow", max_length=8, values=("a", "b")),
            CategoryField("day", missing="allow", values=("mon",)),
        ),
    }
    return ServingContract(**{**facts, **changes})


def small_model(**changes: Any) -> bytes:
    """The model of :func:`small_contract`."""
    effects = [{"north": 1.0, "south": -1.0}, {"a": 0.5}, {}]
    return linear_model([0.001, 0.01], effects, **changes)


def row(key: object = "t1", **changes: object) -> dict[str, object]:
    """A valid instance."""
    return {"train_id": key, "distance": 120, "wind": 3.5, "line": "north", "operator": "a", "day": None, **changes}


@dataclass
class StoredArtifact:
    """The files of a version under their keys, and the hash that a function is bound to."""

    contract: ServingContract = field(default_factory=small_contract)
    model: bytes = field(default_factory=small_model)
    learned_until: str = "2012-12-31T00:00:00.000Z"
    record: bytes | None = None
    recorded: bool = True

    def __post_init__(self) -> None:
        files = {"model.onnx": self.model, "contract.json": self.contract.to_json(), "report.json": b"{}"}
        learned = {"time_range": ["2012-12-01T00:00:00.000Z", self.learned_until]}
        if self.recorded:
            files["training.json"] = json.dumps(learned).encode() if self.record is None else self.record
        entries: Files = {name: {"sha256": sha256_hex(data), "bytes": len(data)} for name, data in files.items()}
        manifest = Manifest(
            model=self.contract.model,
            version=VERSION,
            run_id="train-1",
            snapshot_hash="5" * 64,
            code_sha256="c" * 64,
            created_at=parse_instant("2013-03-01T05:00:00Z"),
            files=file_entries(entries),
        )
        self.manifest_sha256 = manifest.sha256
        self.objects = {PREFIX + name: data for name, data in files.items()}
        self.objects[PREFIX + "manifest.json"] = manifest.content

    def sign(self, name: str = "platform") -> str:
        """Have the key of that name sign the manifest; the key's fingerprint."""
        from tests.fakes.signing_key import signing_key  # now: most versions here are served by their hash alone

        key = signing_key(name)
        self.objects[PREFIX + "signature.json"] = key.sign(self.objects[PREFIX + "manifest.json"]).to_bytes()
        return key.signer
