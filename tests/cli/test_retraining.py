"""What a person reads of the last decision about retraining."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from moto import mock_aws

from everloop.cli.commands.retraining import _show
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.retraining import retraining_of
from everloop.cli.output import Output
from everloop.documents.window import WindowRecord
from everloop.reasons import Reason
from everloop.registry.records import Probe, Window
from everloop.registry.store import RegistryStore
from everloop.retraining.probe.serving import Serving
from everloop.retraining.probe.weigh import weigh
from everloop.typed_json import as_json
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.declarations import binary_document, declare
from tests.helpers.fresh_probes import EVERY_DAYS, FIRST, probe_document
from tests.helpers.window_records import window_record

RECORD = window_record(decision="retrain", trigger="drift", reasons=(Reason("drift", "It moved."),))
RETRAINING = {
    "investment": {"every_days": EVERY_DAYS, "cost_share": 0.1},
    "cooldown_days": 14,
    "quota": {"runs": 4, "days": 60},
}
DECLARATION = declare(binary_document(retraining=RETRAINING))
DOCUMENTS = [
    probe_document(w, past={age: 0.5 + 0.05 * age for age in range(1, w + 1)}, champion=0.5 + 0.05 * w)
    for w in range(4)
]
AS_OF = FIRST + timedelta(days=4 * EVERY_DAYS, hours=30)


@pytest.fixture
def store() -> Iterator[RegistryStore]:
    with mock_aws():
        yield RegistryStore(dynamodb(), TABLE, "late_train", pause=lambda _: None)


def watched(store: RegistryStore, record: WindowRecord) -> None:
    store.windows.put(Window("late_train", record.end, record.to_document()))


def test_before_anything_was_watched_it_says_what_to_type(store: RegistryStore) -> None:
    with pytest.raises(CommandError, match="nothing was decided yet") as refused:
        retraining_of(store)
    assert "everloop train late_train" in str(refused.value.remedy)


def test_without_probes_the_decision_is_told_and_how_to_have_it_weighed(
    store: RegistryStore, capsys: pytest.CaptureFixture[str]
) -> None:
    watched(store, RECORD)
    found = retraining_of(store)
    assert found.to_json()["investment"] is None
    _show(Output(as_json=False), found)
    told = capsys.readouterr().out
    assert "It moved." in told
    assert "declare retraining.investment" in told


def test_the_figures_and_every_remedy_are_told(
    store: RegistryStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    pairs = [(document, "sha") for document in DOCUMENTS]
    weighed = weigh(DECLARATION, pairs, Serving(1, 1, FIRST + timedelta(days=1)), as_of=AS_OF)
    assert weighed is not None
    for document in DOCUMENTS:
        end = document["window_end"]
        store.probes.put(Probe("late_train", end, "s3://lake/probes/", end, document))
    record = replace(
        RECORD,
        decision="held_back",
        trigger="investment",
        held_back_by="cooldown",
        reasons=(*weighed.investment.reasons, Reason("cooldown", "It cools down.")),
        investment=weighed.document,
    )
    watched(store, record)
    found = retraining_of(store)
    told = json.loads(json.dumps(found.to_json()))
    assert told["investment"] == as_json(weighed.document)
    assert [p["window_end"] for p in told["probes"]] == as_json([d["window_end"] for d in reversed(DOCUMENTS)])
    _show(Output(as_json=False), found)
    out = " ".join(capsys.readouterr().out.split())
    for part in (
        "held_back, held back by cooldown",
        "It cools down.",
        "0.3 (standard error",
        "weighed in log_loss of a window, by windows of 7 days",
        "older version",
        "warm start",
        "1,000 of 4,000",
        "0.65 (version 1)",
    ):
        assert part in out, part
    # WHEN a later window had nothing to weigh, THEN the last figures are still told
    watched(store, replace(RECORD, end=record.end + timedelta(days=1)))
    later = retraining_of(store)
    assert later.window.investment is None
    assert later.investment == weighed.document
