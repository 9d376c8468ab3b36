"""The registry function's work: who may send what, how it is read, and what comes back."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from everloop.busy_services import ServiceBusyError
from everloop.registry import commands
from everloop.registry.calibration_records import CalibrationRecord
from everloop.registry.calibrations import Calibrations
from everloop.registry.commands import COMMANDS, MAY_SEND, Command, OpenRun, StartRollout, decoded, encoded
from everloop.registry.drills import Drills
from everloop.registry.exceptions import CommandRefusedError
from everloop.registry.kept_requests import KeptRequests
from everloop.registry.locked_audit import LockedAudit
from everloop.registry.reconciliations import Reconciliations
from everloop.registry.records import Rollout
from everloop.registry.removals import Removals
from everloop.registry.reproductions import Reproductions
from everloop.registry.restorations import Restorations
from everloop.registry.rollouts import Rollouts
from everloop.registry.runs import Runs
from everloop.registry.store import RegistryStore
from everloop.registry.trace import verify_audit
from everloop.registry.versions import Versions
from everloop.registry.waivers import Waivers
from everloop.registry.writer import answer, caller_of
from tests.fakes.registry_function import ARN, FakeRegistryFunction, remote_registry
from tests.fakes.registry_table import TABLE, UnreliableClient
from tests.helpers.registry_scenes import TRIGGER, at, crown, open_run, text_at

OPEN = OpenRun("train-1", "train", TRIGGER, at(0), "test", 10, 7)
BY_NAME: dict[str, Any] = {
    "at": text_at(0),
    "started_at": text_at(0),
    "gate": {"verdict": "pass", "reasons": []},
    "check": {"phase": "canary"},
    "window_end": text_at(0),
    "learned_until": text_at(0),
    "to": text_at(0),
    "begun_at": text_at(0),
}
EXAMPLES: dict[str, Any] = {
    "str": "x",
    "datetime": text_at(0),
    "int": 1,
    "dict": {},
    "list": [],
    "bool": False,
    "float": 0.5,
}
DOCUMENTS = (
    "Trigger",
    "TrainingSpan",
    "Files",
    "GateVerdict",
    "RefitChoice",
    "GuardrailCheck",
    "AliasFound",
    "TrainingUpdate",
    "GroupsLearned",
    "IntervalLearned",
    "EnvironmentRecord",
)
EXAMPLES |= {name: {} for name in DOCUMENTS}


def an_example(kind: type[Command]) -> dict[str, Any]:
    """A command of that kind that can be read."""
    values = {}
    for name, field in kind.__dataclass_fields__.items():
        values[name] = BY_NAME.get(name, EXAMPLES[str(field.type).split("[")[0].split(" ")[0]])
    return {"command": kind.__name__, **values}


class TestCallers:
    @pytest.mark.parametrize(
        ("arn", "caller"),
        [
            (f"{ARN}everloop-flights-registry:run", "run"),
            (f"{ARN}everloop-flights-registry:$LATEST", "$LATEST"),
            (f"{ARN}everloop-flights-registry", None),
        ],
    )
    def test_a_caller_is_the_alias(self, arn: str, caller: str | None) -> None:
        assert caller_of(arn) == caller

    @pytest.mark.parametrize("name", sorted(COMMANDS))
    @pytest.mark.parametrize("caller", [*MAY_SEND, "monitor", "snapshot", "$LATEST", "", None])
    def test_each_command_has_its_one_caller(self, name: str, caller: str | None) -> None:
        kind = COMMANDS[name]
        if kind in MAY_SEND.get(caller or "", ()):
            assert type(decoded(an_example(kind), caller)) is kind
        else:
            with pytest.raises(CommandRefusedError):
                decoded(an_example(kind), caller)

    def test_no_two_callers_share_a_command(self) -> None:
        assert sum(len(kinds) for kinds in MAY_SEND.values()) == len(COMMANDS)

    def test_the_refusal_says_what_the_caller_may_send(self) -> None:
        with pytest.raises(
            CommandRefusedError, match="the caller run may send CloseRun, KeepRefused, OpenRun; not 'Promote'"
        ):
            decoded({"command": "Promote", "rollout_id": "r", "at": text_at(0), "actor": "a"}, "run")


class TestReading:
    def test_what_is_sent_is_what_is_read(self) -> None:
        assert decoded(encoded(OPEN), "run") == OPEN

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"run_id": 1}, "run_id is int, not str"),
            ({"quota_runs": True}, "quota_runs is bool, not int"),
            ({"trigger": "drift"}, "trigger is str, not dict"),
            ({"status": "canary"}, "status is not known"),
            ({"at": None}, "at is NoneType, not str"),
            ({"trigger": {"window_end": "soon"}}, "trigger.window_end: 'soon' is not an ISO 8601 instant"),
        ],
    )
    def test_a_command_that_is_not_what_its_name_promises(self, change: dict[str, Any], said: str) -> None:
        with pytest.raises(CommandRefusedError, match=said):
            decoded({**encoded(OPEN), **change}, "run")

    @pytest.mark.parametrize(
        ("name", "change", "said"),
        [
            ("OpenRun", {"at": "yesterday"}, "at is not an instant"),
            ("OpenRun", {"at": "2013-03-12T00:00:00"}, "at is not an instant"),
            ("OpenRun", {"at": "9999-12-31T23:59:59Z"}, "the registry accepts the years 1970 to 2199"),
            ("OpenRun", {"at": "2016-12-31T23:59:60Z"}, "at is not an instant"),
            ("OpenRun", {"run_id": "r" * 257}, "run_id has 257 characters"),
            ("OpenRun", {"run_id": ""}, "run_id has 0 characters"),
            ("OpenRun", {"run_id": "r\n"}, "all of them visible"),
            ("OpenRun", {"run_id": "r\u3164"}, "all of them visible"),
            ("OpenRun", {"quota_days": 10**12}, "quota_days is 1000000000000: allowed are 0 to 1,000,000,000"),
            ("OpenRun", {"quota_runs": -1}, "quota_runs is -1"),
            ("OpenRun", {"trigger": {"a": float("nan")}}, "trigger is or contains nan"),
            ("OpenRun", {"trigger": {"a": 10**5000}}, "trigger has a number of more than 38 digits"),
            ("OpenRun", {"trigger": {"a": "\ud800"}}, "trigger has a lone surrogate"),
            ("StepRollout", {"percent": 101}, "percent is 101: allowed are 0 to 100"),
            ("StepRollout", {"percent": float("inf")}, "percent is or contains inf"),
            ("RecordCheck", {"check": {}}, "check has no phase"),
            ("RollBack", {"reasons": [1]}, "reasons has a reason without a sentence"),
            ("RegisterVersion", {"gate": {"verdict": "excellent", "reasons": []}}, "gate has the verdict 'excellent'"),
            ("RegisterVersion", {"gate": {"verdict": "pass"}}, "gate has no list of reasons"),
            (
                "RegisterVersion",
                {"gate": {"verdict": "pass", "reasons": [{"code": "parity", "passed": False, "sentence": "No."}]}},
                "gate passes, but has the failed reason 'parity'",
            ),
            (
                "RegisterVersion",
                {
                    "gate": {"verdict": "pass", "reasons": [], "report_sha256": "a1"},
                    "files": {"report.json": {"sha256": "b2", "bytes": 3}},
                },
                "gate judged the report 'a1', but files has report.json with 'b2'",
            ),
            ("RegisterVersion", {"files": {"m.onnx": {"sha256": "x"}}}, "files has no sha256 or no bytes for 'm.onnx'"),
        ],
    )
    def test_values_that_could_not_be_kept_or_read_back(self, name: str, change: dict[str, Any], said: str) -> None:
        kind = COMMANDS[name]
        caller = next(caller for caller, kinds in MAY_SEND.items() if kind in kinds)
        decoded(an_example(kind), caller)
        with pytest.raises(CommandRefusedError, match=re.escape(said)):
            decoded(an_example(kind) | change, caller)

    def test_a_document_that_is_nested_for_ever(self) -> None:
        nested: dict[str, Any] = {}
        for _ in range(100_000):
            nested = {"a": nested}
        with pytest.raises(CommandRefusedError, match="trigger is nested deeper than 32 levels"):
            decoded({**encoded(OPEN), "trigger": nested}, "run")

    def test_a_field_that_is_missing(self) -> None:
        with pytest.raises(CommandRefusedError, match="run_id is missing"):
            decoded({"command": "OpenRun"}, "run")

    @pytest.mark.parametrize("document", [None, [], "OpenRun", {}, {"command": ["OpenRun"]}, {"command": "commit"}])
    def test_what_is_no_command(self, document: Any) -> None:
        with pytest.raises(CommandRefusedError):
            decoded(document, "run")


PROGRESS = {
    "previous_calibrated_by",
    "previous_calibration_sha256",
    "status",
    "step_index",
    "percent",
    "step_started_at",
    "promoted_at",
    "ended_at",
    "last_check",
    "reasons",
    "paused_at",
    "paused_seconds",
    "phase_paused_seconds",
}
"""The fields of a rollout that its beginning leaves as they are."""

METHODS = {
    commands.OpenRun: Runs.open,
    commands.CloseRun: Runs.close,
    commands.ReleaseStaleRun: Runs.release_stale,
    commands.KeepRequest: KeptRequests.keep,
    commands.KeepRefused: KeptRequests.keep_refused,
    commands.BeginRemoval: Removals.begin,
    commands.RegisterVersion: Versions.register,
    commands.MarkEvaluated: Versions.mark_evaluated,
    commands.JudgeRestoration: Restorations.judge,
    commands.Waive: Waivers.grant,
    commands.Retire: Versions.retire,
    commands.StepRollout: Rollouts.step,
    commands.RecordCheck: Rollouts.record_check,
    commands.PauseRollout: Rollouts.pause,
    commands.ResumeRollout: Rollouts.resume,
    commands.Promote: Rollouts.promote,
    commands.RollBack: Rollouts.roll_back,
    commands.EndRollout: Rollouts.end,
    commands.NoteReconciled: Rollouts.note_reconciled,
    commands.Republish: Rollouts.republish,
    commands.NoteDeployment: Reconciliations.note,
    commands.BeginDrill: Drills.begin,
    commands.EndDrill: Drills.end,
    commands.RecordReproduction: Reproductions.record,
    commands.RevokeWaiver: Waivers.revoke,
    commands.RevertCalibration: Calibrations.revert,
    commands.FreezeCalibrations: Calibrations.freeze,
    commands.ResumeCalibrations: Calibrations.resume,
}


class TestFields:
    @pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"StartRollout", "PublishCalibration"}))
    def test_a_command_has_what_the_stores_method_takes(self, name: str) -> None:
        method: Any = METHODS[COMMANDS[name]]
        wanted = {n: p.annotation for n, p in inspect.signature(method).parameters.items() if n != "self"}
        assert {n: f.type for n, f in COMMANDS[name].__dataclass_fields__.items()} == wanted

    def test_a_rollouts_beginning_is_its_record_without_the_progress(self) -> None:
        fields = {n: f.type for n, f in Rollout.__dataclass_fields__.items() if n not in PROGRESS | {"model"}}
        begun = {n: f.type for n, f in StartRollout.__dataclass_fields__.items() if n not in ("at", "actor")}
        assert begun == {n: kind for n, kind in fields.items() if n != "DOCUMENTS"}

    def test_a_calibration_is_sent_as_its_record(self) -> None:
        fields = {
            n: f.type for n, f in CalibrationRecord.__dataclass_fields__.items() if n not in ("model", "DOCUMENTS")
        }
        assert {n: f.type for n, f in commands.PublishCalibration.__dataclass_fields__.items()} == fields


class TestAnswering:
    def test_the_record_comes_back_and_the_audit_says_by_whom(self, direct: RegistryStore, locked: LockedAudit) -> None:
        def store_for(caller: str) -> RegistryStore:
            return RegistryStore(direct.ledger.client, direct.ledger.table, direct.model, via=caller)

        answered = answer(encoded(OPEN), "run", store_for, locked)
        assert answered == {"record": direct.runs.get("train-1").to_json()}
        (record,) = direct.ledger.audit_records()
        assert record.details["via"] == "run"
        assert verify_audit(direct).sound

    def test_a_refusal_is_an_answer(self, direct: RegistryStore, locked: LockedAudit) -> None:
        open_run(direct, "train-9", when=at(1))
        refused = answer(encoded(OPEN), "run", lambda _: direct, locked)["refused"]
        assert refused["error"] == "RunAlreadyActiveError"
        assert refused["facts"] == {"model": "flights", "run_id": "train-9", "started_at": text_at(1)}

    def test_a_busy_table_is_an_answer_too(
        self, direct: RegistryStore, client: UnreliableClient, locked: LockedAudit
    ) -> None:
        client.faults = ["before"]
        assert answer(encoded(OPEN), "run", lambda _: direct, locked)["refused"]["error"] == ServiceBusyError.__name__

    def test_what_is_broken_is_raised(self, locked: LockedAudit) -> None:
        def store_for(caller: str) -> RegistryStore:
            raise KeyError("EVERLOOP_TABLE")

        with pytest.raises(KeyError):
            answer(encoded(OPEN), "run", store_for, locked)


def test_every_audit_record_of_a_life_says_through_whom_it_came(client: UnreliableClient) -> None:
    function = FakeRegistryFunction(client, "flights")
    crown(remote_registry(client, "flights", function=function), "train-1")
    store = RegistryStore(client, TABLE, "flights")
    via = [(r.action, r.details["via"]) for r in store.ledger.audit_records()]
    assert via == [
        ("run_opened", "run"),
        ("registered", "register"),
        ("transition", "register"),
        ("rollout_started", "rollout"),
        ("transition", "rollout"),
        ("promoted", "rollout"),
        ("transition", "rollout"),
        ("rollout_completed", "rollout"),
        ("run_closed", "run"),
    ]
