"""What probes and their weighing take in the registry, at the worst that can be declared."""

from __future__ import annotations

from datetime import timedelta

from everloop.documents.probe import DailyLosses, VersionLosses
from everloop.json_text import canonical_json
from everloop.model_file.sections.retraining import LONGEST_PROBE_DAYS
from everloop.model_file.sizes import INVESTMENT, MAX_ITEM_BYTES
from everloop.registry.items import item_bytes
from everloop.registry.records import Probe
from everloop.retraining.probe.plan import MOST_OLDER_VERSIONS
from everloop.retraining.probe.serving import Serving
from everloop.retraining.probe.weigh import MOST_WEIGHED, weigh
from everloop.typed_json import as_json
from tests.helpers.declarations import binary_document, declare
from tests.helpers.fresh_probes import EVERY_DAYS, FIRST, probe_document

MOST_KEPT = 20
LONG = 1234.5678901234567
"""As many digits as a double has."""


def test_the_longest_window_with_all_probes_has_room_in_a_record() -> None:
    daily: DailyLosses = {"loss": [LONG] * LONGEST_PROBE_DAYS, "money": [LONG] * LONGEST_PROBE_DAYS}
    document = probe_document(0, champion=0.5, money=True)
    end = document["window_end"]
    champion = document["champion"]
    assert champion is not None
    versions: list[VersionLosses] = [{"version": 100 + v, "losses": daily} for v in range(MOST_OLDER_VERSIONS)]
    document = {
        **document,
        "days": ["2013-03-01"] * LONGEST_PROBE_DAYS,
        "rows": [10**6] * LONGEST_PROBE_DAYS,
        "fresh": daily,
        "past": [{"window_end": document["window_end"], "age": 1.0, "losses": daily}] * MOST_KEPT,
        # Four spans and one for the table of remedies, or all rows in place of the one that was chosen.
        "spans": [{"days": 30, "trained_rows": 10**6, "labelled_rows": 10**8, "losses": daily}] * 5,
        "champion": {
            **champion,
            "rows": [10**6] * LONGEST_PROBE_DAYS,
            "losses": daily,
            "fresh": daily,
            "best_threshold_money": daily["money"],
            "versions": versions,
        },
        "left_out": {f"probe of 2013-03-{n:02}T00:00:00Z": "x" * 1000 for n in range(1, MOST_KEPT + 1)},
    }
    item = Probe("m" * 31, end, "s3://" + "b" * 100, end, document).to_item()
    assert item_bytes(item) < MAX_ITEM_BYTES / 2


def test_what_a_window_records_of_it_is_within_what_check_counts() -> None:
    retraining = {
        "investment": {"every_days": EVERY_DAYS, "cost_share": 0.1},
        "cooldown_days": 14,
        "quota": {"runs": 4, "days": 60},
    }
    documents = [
        probe_document(
            w,
            fresh=LONG,
            past={age: LONG + age / 3 for age in range(1, min(w, MOST_KEPT) + 1)},
            champion=LONG + w / 3,
            versions=dict.fromkeys((100, 101, 102), LONG),
        )
        for w in range(MOST_WEIGHED)
    ]
    pairs = [(document, "f" * 64) for document in documents]
    as_of = FIRST + MOST_WEIGHED * timedelta(days=EVERY_DAYS)
    found = weigh(declare(binary_document(retraining=retraining)), pairs, Serving(1, 1, FIRST), as_of=as_of)
    assert found is not None
    reasons = [reason.as_dict() for reason in found.investment.reasons]
    assert len(canonical_json(as_json(found.document))) + len(canonical_json(reasons)) < INVESTMENT
