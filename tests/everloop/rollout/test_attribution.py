"""Which call explains a difference: the newest about its subject that left what was found, and never our own."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.rollout import differences, elsewhere
from everloop.rollout.attribution import PATIENCE, SLACK, Call, Heard, explained, leads_of
from everloop.rollout.differences import TRAFFIC_MOVED, Difference

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
OWN = "arn:aws:sts::1:assumed-role/rollout/everloop-flights-rollout"
ADA = "arn:aws:sts::1:assumed-role/admin/ada"
FUNCTION = "everloop-flights-predict"
MOVED = leads_of(Difference("traffic_moved", "moved", about="7"), "flights")
assert isinstance(MOVED, list)
LEADS = MOVED
LIVE = {"functionName": FUNCTION, "name": "live", "functionVersion": "7"}


def call(minute: float, who: str = ADA, name: str = "UpdateAlias20150331", **more: Any) -> Call:
    at = BEGIN + timedelta(minutes=minute)
    return Call(f"e{minute}", name, at, who, "203.0.113.9", {**LIVE, **more.pop("asked", {})}, **more)


def asked(*calls: Call, found: float = 10, now: float = 11, **heard: Any) -> Any:
    found_at, at = BEGIN + timedelta(minutes=found), BEGIN + timedelta(minutes=now)
    return explained(LEADS, found_at, Heard(calls, **heard), own=OWN, now=at)


def test_the_newest_call_that_left_what_was_found_made_it() -> None:
    by = asked(call(1, who="arn:bea"), call(5), call(3, who=OWN))
    assert (by["known"], by["who"], by["event"], by["event_id"]) == ("yes", ADA, "UpdateAlias20150331", "e5")
    assert by["sentence"] == f"by {ADA} from 203.0.113.9 on 2026-03-01T00:05:00Z: UpdateAlias20150331"


@pytest.mark.parametrize(
    "function",
    [f"arn:aws:lambda:eu-west-1:1:function:{FUNCTION}", f"{FUNCTION}:live", f"1:function:{FUNCTION}", FUNCTION],
)
def test_a_function_is_known_by_each_form_of_its_name(function: str) -> None:
    assert asked(call(5, asked={"functionName": function}))["who"] == ADA


@pytest.mark.parametrize(
    "other",
    [
        call(6, who=OWN),
        call(6, asked={"functionVersion": "8"}),
        replace(call(5), failed=True),
        call(5, asked={"name": "mine"}),
        call(5, asked={"functionName": f"{FUNCTION}-copy"}),
        call(5, name="PublishVersion20150331"),
        call(10 + SLACK.total_seconds() / 60 + 0.1),
    ],
)
def test_another_call_explains_nothing(other: Call) -> None:
    assert asked(other)["known"] == "not_yet"


def test_an_older_call_does_not_stand_for_one_that_is_not_shown_yet() -> None:
    # Ada moved it long ago, it was put right since, and whoever moved it now is not shown yet.
    assert asked(call(1), call(2, who=OWN))["known"] == "not_yet"
    assert asked(call(1), call(2, who="arn:bea", asked={"functionVersion": "3"}))["known"] == "not_yet"


def test_after_the_look_only_a_call_that_fits_counts_and_the_mending_does_not() -> None:
    assert asked(call(10.2), call(10.4, who=OWN))["who"] == ADA
    assert asked(call(9), call(12, who="arn:bea", asked={"functionVersion": "3"}))["who"] == ADA


def test_what_is_not_shown_in_an_hour_is_not_known_and_it_is_said_why() -> None:
    late = 10 + PATIENCE.total_seconds() / 60
    assert asked(now=late - 1)["leads"] == LEADS
    by = asked(now=late)
    assert by["known"] == "no"
    assert "no UpdateAlias20150331 or CreateAlias20150331 that explains it in 90 days" in by["sentence"]
    assert "leads" not in by
    assert "among the newest 200 calls of each kind" in asked(now=late, most=200)["sentence"]


def test_where_the_newest_call_is_our_own_it_is_said() -> None:
    by = asked(call(5), call(6, who=OWN), now=200)
    assert by["known"] == "no"
    assert "the newest UpdateAlias20150331 is the rollout function's own, on 2026-03-01T00:06:00Z" in by["sentence"]


def test_a_history_that_does_not_answer_is_asked_again_however_late() -> None:
    by = asked(now=10_000, problem="AccessDeniedException: no")
    assert by["known"] == "not_yet"
    assert "can't be asked (AccessDeniedException: no)" in by["sentence"]
    # What was heard before it failed may not be the newest.
    assert asked(call(5), problem="ThrottlingException: x")["known"] == "not_yet"


@pytest.mark.parametrize("code", ["artifact_changed", "artifact_gone"])
def test_who_wrote_an_object_can_not_be_known(code: str) -> None:
    assert "does not hold writes of objects" in str(leads_of(Difference(code, "x", about="artifacts/x"), "flights"))


@pytest.mark.parametrize(
    ("code", "about", "event"),
    [
        ("traffic_moved", "v2-a", "UpdateEndpointWeightsAndCapacities"),
        ("traffic_moved", "$LATEST", "UpdateAlias20150331"),
        ("champion_gone", "4", "DeleteFunction20150331"),
        ("champion_gone", "v2-a", "DeleteEndpoint"),
        ("other_artifact", "v2-a", "UpdateEndpoint"),
        ("unknown_alias", "mine", "CreateAlias20150331"),
        ("unknown_variant", "everloop-flights", "UpdateEndpoint"),
        ("idle_endpoint", "everloop-flights", "CreateEndpoint"),
    ],
)
def test_each_difference_leads_to_the_calls_that_make_it(code: str, about: str, event: str) -> None:
    leads = leads_of(Difference(code, "x", about=about), "flights")
    assert isinstance(leads, list)
    assert event in {name for lead in leads for name in lead["events"]}
    assert all(lead["subject"] for lead in leads)


def test_no_kind_of_difference_is_forgotten() -> None:
    """A new one would end a look: each that is found has its place in :func:`leads_of`."""
    sources = [inspect.getsource(differences), inspect.getsource(elsewhere)]
    codes = {code for text in sources for code in re.findall(r'Difference\(\s*"(\w+)"', text)} | {TRAFFIC_MOVED}
    assert len(codes) == 10
    for code in codes:
        assert leads_of(Difference(code, "x", about="7"), "flights")
    with pytest.raises(ValueError, match=r"attribution\.py"):
        leads_of(Difference("new", "x"), "flights")


CALLS = st.builds(
    call,
    st.integers(0, 20),
    who=st.sampled_from([OWN, ADA, "arn:bea"]),
    name=st.sampled_from(["UpdateAlias20150331", "CreateAlias20150331", "UpdateFunctionCode20150331v2"]),
    failed=st.booleans(),
    asked=st.sampled_from([{}, {"functionVersion": "8"}, {"name": "mine"}, {"functionName": "éé"}]),
)


@settings(max_examples=40)
@given(st.lists(CALLS, max_size=8), st.randoms())
def test_whoever_is_named_changed_the_subject_and_the_order_is_no_matter(calls: list[Call], random: Any) -> None:
    calls = [replace(one, event_id=f"e{number}") for number, one in enumerate(calls)]
    by = asked(*calls)
    shuffled = [*calls]
    random.shuffle(shuffled)
    assert asked(*shuffled) == by
    if by["known"] == "yes":
        (named,) = [one for one in calls if one.event_id == by["event_id"]]
        assert named.who != OWN
        assert not named.failed
        assert named.parameters == LIVE
        assert named.at <= BEGIN + timedelta(minutes=10) + SLACK
        # Nothing that changed the subject lies between it and the look.
        between = [
            one
            for one in calls
            if not one.failed
            and one.name in LEADS[0]["events"]
            and one.parameters.get("name") == "live"
            and one.parameters["functionName"] == FUNCTION
            and named.at < one.at <= BEGIN + timedelta(minutes=10)
        ]
        assert not between
