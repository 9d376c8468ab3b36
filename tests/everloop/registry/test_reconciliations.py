"""What a look adds to what is on record: never less than is known, each change once, and nothing owed is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.documents.deployment import ChangedBy, DifferenceDocument
from everloop.registry.reconciliations import AGREES, DIFFERS, EXPLAINED, MOST_OWED, PUT_RIGHT, Reconciliation, noted

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
EMPTY = Reconciliation("flights", BEGIN)
NOT_YET, YES, NO = "not_yet", "yes", "no"


def difference(sentence: str, known: str = "", found_at: str = "t0") -> DifferenceDocument:
    document: DifferenceDocument = {"code": "traffic_moved", "sentence": sentence}
    if not known:
        return document
    state: Literal["yes", "not_yet", "no"] = known  # type: ignore[assignment]  # one of the three
    by: ChangedBy = {"known": state, "sentence": f"{known} of {sentence}", "found_at": found_at}
    return {**document, "by": by}


def look(before: Reconciliation, *reasons: DifferenceDocument, minute: int = 1, **more: Any) -> Any:
    explained = more.pop("explained", [])
    how = {"putting_right": False, **more}
    return noted(before, reasons, explained, at=BEGIN + timedelta(minutes=minute), **how)


def test_a_difference_then_who_made_it_then_agreement() -> None:
    first = look(EMPTY, difference("a", NOT_YET))
    assert (first.action, first.found.owed) == (DIFFERS, None)
    assert look(first.found, difference("a", NOT_YET), minute=2) is None
    second = look(first.found, difference("a", YES), minute=3)
    assert (second.action, second.found.since) == (EXPLAINED, first.found.since)
    entry = second.entry(BEGIN, "reconciliation", 1)
    assert (entry.reason, entry.details["since"]) == ("a (yes of a)", "2026-03-01T00:01:00Z")
    assert look(second.found, difference("a", NOT_YET), minute=4) is None
    third = look(second.found, minute=5)
    assert (third.action, third.found.reasons, third.found.owed) == (AGREES, [], None)


def test_what_was_put_right_before_it_was_known_is_owed_until_it_is() -> None:
    found = look(EMPTY, difference("a", NOT_YET), putting_right=True)
    assert found.action == PUT_RIGHT
    mended = look(found.found)
    assert (mended.action, mended.found.owed) == (AGREES, [difference("a", NOT_YET)])
    assert look(mended.found, explained=[difference("a", NOT_YET)]) is None
    told = look(mended.found, explained=[difference("a", YES)], minute=9)
    assert (told.action, told.found.reasons, told.found.owed) == (EXPLAINED, [], None)
    assert told.explained == [difference("a", YES)]
    assert told.entry(BEGIN, "x", 1).reason == "a (yes of a)"


def test_the_same_difference_made_again_is_another_one() -> None:
    mended = look(look(EMPTY, difference("a", NOT_YET, "t0")).found).found
    again = look(mended, difference("a", NOT_YET, "t1")).found
    assert again.owed == [difference("a", NOT_YET, "t0")]
    told = look(again, difference("a", NOT_YET, "t1"), explained=[difference("a", NO, "t0")])
    assert (told.found.owed, told.found.reasons) == (None, [difference("a", NOT_YET, "t1")])


def test_what_an_earlier_release_recorded_gets_its_who() -> None:
    before = Reconciliation("flights", BEGIN, [difference("a")])
    assert look(before, difference("a", NOT_YET)).action == EXPLAINED
    assert look(before, difference("a")) is None


def test_what_is_explained_that_nobody_owes_is_no_news() -> None:
    assert look(EMPTY, explained=[difference("a", YES)]) is None


SEEN = st.tuples(st.sampled_from("abé"), st.sampled_from([NOT_YET, YES, NO]))
LOOKS = st.lists(
    st.tuples(st.lists(SEEN, max_size=3, unique_by=lambda seen: seen[0]), st.booleans()),
    max_size=8,
)


@settings(max_examples=30)
@given(LOOKS)
def test_whatever_is_looked_at_a_repetition_adds_nothing_and_knowledge_stays(looks: Any) -> None:
    record = EMPTY
    for minute, (seen, mending) in enumerate(looks):
        reasons = [difference(sentence, known, f"t{minute}") for sentence, known in seen]
        best = {one["sentence"]: one["by"]["known"] for one in record.reasons if one["by"]["known"] != NOT_YET}
        result = look(record, *reasons, minute=minute, putting_right=mending)
        if result is not None:
            record = result.found
        assert [one["sentence"] for one in record.reasons] == [sentence for sentence, _ in seen]
        kept = {one["sentence"]: one["by"]["known"] for one in record.reasons}
        assert all(kept[sentence] != NOT_YET for sentence in best if sentence in kept)
        assert len(record.owed or []) <= MOST_OWED
        assert look(record, *record.reasons, minute=minute + 1) is None
