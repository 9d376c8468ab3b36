"""The waivers of a model: which refusing reasons of the gate a person lets pass, until when, and why.

A waiver is granted for what one run's gate refused. It changes nothing by itself: whoever wants the version to serve
asks for it (`everloop restore`), and the gate judges it again on the newest rows, with the waivers that are in force.
Neither who started the run nor who asks for the version may have granted them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from everloop.documents.records import GateVerdict
from everloop.evaluation.waivers import failed_reasons, may_be_waived
from everloop.instants import instant_text
from everloop.registry import changes, keys
from everloop.registry.audit import Entry
from everloop.registry.changes import holds
from everloop.registry.exceptions import NotWaivableError
from everloop.registry.items import Record
from everloop.registry.ledger import Ledger, Plan
from everloop.registry.records import Run, Version
from everloop.registry.runs import Runs
from everloop.registry.versions import Versions

WAIVED, REVOKED = "waived", "waiver_revoked"
"""What the audit chain calls them."""

LONGEST_DAYS = 90
"""A waiver that holds for longer would be another limit: that belongs into the declaration."""

LEAST_WORDS = 3
"""Of the text that says why."""


@dataclass(frozen=True)
class Waiver(Record):
    """One reason that one person lets pass for one version.

    Attributes
    ----------
    run_id : str
        The run whose gate refused the version.
    code : str
        The reason's code.
    until : datetime
        From then on it counts for nothing.
    by : str
        Who granted it: an ARN, from STS.
    revoked_at, revoked_by, revoked_why : datetime or None, str or None, str or None
        Who took it back before its end; it counts for nothing from then on.
    """

    model: str
    version: int
    run_id: str
    code: str
    why: str
    until: datetime
    by: str
    at: datetime
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    revoked_why: str | None = None

    def holds(self, at: datetime) -> bool:
        """Whether it is in force."""
        return self.at <= at < self.until and (self.revoked_at is None or at < self.revoked_at)

    @property
    def key(self) -> tuple[str, str]:
        """Its place in the model's partition, by version, code and end."""
        return keys.partition(self.model), keys.waiver(self.version, self.code, self.until)


class Waivers:
    """The waivers of a model."""

    def __init__(self, ledger: Ledger, versions: Versions, runs: Runs) -> None:
        self._ledger = ledger
        self._versions = versions
        self._runs = runs
        self.model = ledger.model

    def all(self) -> list[Waiver]:
        """Every one that was ever granted, the newest first."""
        return sorted(self._ledger.all(Waiver, keys.WAIVERS), key=lambda one: one.at, reverse=True)

    def in_force(self, number: int, at: datetime, *, not_by: str | None = None) -> list[Waiver]:
        """Those of a version that hold ``at``, and were granted by somebody else than ``not_by``; one for each code."""
        found = self._ledger.all(Waiver, keys.waivers(number))
        held = [one for one in found if one.holds(at) and one.by != not_by]
        return list({one.code: one for one in sorted(held, key=lambda one: one.until)}.values())

    def lacking(self, version: Version, at: datetime, *, not_by: str | None) -> list[str]:
        """The codes of the reasons that refused a version at its registration, and that no waiver is in force for."""
        held = {one.code for one in self.in_force(version.version, at, not_by=not_by)}
        refused = {reason["code"] for reason in failed_reasons(version.gate.get("reasons", []))}
        return sorted(refused - held)

    def check(self, number: int, gate: GateVerdict, at: datetime, *, not_by: str | None) -> None:
        """Refuse a verdict with a reason that passes by a waiver, where that is not in force (any more).

        Raises
        ------
        NotWaivableError
        """
        held = {one.code for one in self.in_force(number, at, not_by=not_by)}
        used = {reason["code"] for reason in gate.get("reasons", []) if reason.get("waived")}
        missing = sorted(used - held)
        if missing:
            raise NotWaivableError(
                f"model {self.model}: no waiver of {', '.join(missing)} for version {number} is in force at"
                f" {instant_text(at)}: have it waived again, and ask for the version again"
            )

    def grant(self, run_id: str, *, code: str, why: str, until: datetime, at: datetime, actor: str) -> Waiver:
        """Let the reason ``code`` that refused the version of run ``run_id`` pass until ``until``.

        Raises
        ------
        UnknownRunError
        NotWaivableError
            When the run's gate did not refuse for it, nobody may waive it, ``actor`` started the run, it is not known
            who did, ``until`` or ``why`` will not do, or that very waiver was revoked.
        """
        run = self._runs.get(run_id)
        number = self._refused(run, code)
        self._require(run, code, why, until, at, actor)
        waiver = Waiver(self.model, number, run_id, code, why.strip(), until, actor, at)

        def plan() -> Plan:
            version = self._versions.get(number)
            details = {"code": code, "until": instant_text(until), "granted_on": run_id}
            entry = Entry(at, WAIVED, actor, number, run_id, waiver.why, details)
            what = f"{code} of version {number} is not waived until {instant_text(until)} yet"
            unmoved = changes.require(version.key, holds(f"version {number} is {version.state}", state=version.state))
            return Plan((changes.create(waiver, what), unmoved), (entry,))

        operation = f"waive:{number}:{code}:{instant_text(until)}"
        self._ledger.commit(operation, f"waive {code} of version {number}", plan)
        found = self._ledger.read(Waiver, waiver.key[1])
        assert found is not None  # it was just written, or before
        if found.revoked_at is not None:
            raise NotWaivableError(
                f"model {self.model}: the waiver of {code} for version {number} until {instant_text(until)} was revoked"
                f" at {instant_text(found.revoked_at)} ({found.revoked_why}): grant one with another end"
            )
        return found

    def revoke(self, number: int, *, code: str, why: str, at: datetime, actor: str) -> Waiver:
        """Take back what is in force ``at`` for the reason ``code`` of version ``number``; the longest of them.

        Anybody may who may grant: a check that counts again harms nobody. A version that serves by then goes on.

        Raises
        ------
        NotWaivableError
            When none is in force, or ``why`` will not do.
        """
        self._require_words(f"why the waiver of {code} is revoked", why)
        operation = f"revoke:{number}:{code}:{instant_text(at)}"

        def plan() -> Plan:
            held = [one for one in self._granted(number, code) if one.holds(at)]
            if not held:
                raise NotWaivableError(
                    f"model {self.model}: no waiver of {code} for version {number} is in force at {instant_text(at)}:"
                    f" `everloop trace {self.model} --version {number}` shows all that were granted"
                )
            revoked = [replace(one, revoked_at=at, revoked_by=actor, revoked_why=why.strip()) for one in held]
            entries = [
                Entry(
                    at,
                    REVOKED,
                    actor,
                    number,
                    one.run_id,
                    why.strip(),
                    {"code": code, "until": instant_text(one.until)},
                )
                for one in revoked
            ]
            meaning = f"{code} of version {number} is waived"
            overwritten = [changes.replace(one, holds(meaning, by=one.by, revoked_by=None)) for one in revoked]
            return Plan(tuple(overwritten), tuple(entries))

        self._ledger.commit(operation, f"revoke the waiver of {code} for version {number}", plan)
        return max((one for one in self._granted(number, code) if one.revoked_at == at), key=lambda one: one.until)

    def _granted(self, number: int, code: str) -> list[Waiver]:
        return [one for one in self._ledger.all(Waiver, keys.waivers(number)) if one.code == code]

    def _refused(self, run: Run, code: str) -> int:
        """The version that the run's gate refused, for this reason among others."""
        failed = failed_reasons(run.gate_reasons)
        if run.version is None or run.verdict != "fail":
            said = "has not judged anything" if run.verdict is None else "let its version pass"
            raise NotWaivableError(
                f"model {self.model}: the gate of run {run.run_id} {said}: there is nothing to waive"
            )
        reason = next((one for one in failed if one["code"] == code), None)
        if reason is None:
            raise NotWaivableError(
                f"model {self.model}: {code} is no reason for which run {run.run_id} was refused; these are:"
                f" {', '.join(sorted({one['code'] for one in failed}))}"
            )
        if not all(may_be_waived(one) for one in failed if one["code"] == code):
            raise NotWaivableError(
                f"model {self.model}: {code} can't be waived: it says that the report, the files or what was compared"
                f" can't be relied on ({reason['sentence']}); start a new run"
            )
        return run.version

    def _require(self, run: Run, code: str, why: str, until: datetime, at: datetime, actor: str) -> None:
        person = run.trigger.get("started_by")
        by_a_rule = run.trigger.get("window_end") is not None
        if person == actor:
            raise NotWaivableError(
                f"model {self.model}: {actor} started run {run.run_id}, and somebody else has to waive {code}"
            )
        if person is None and not by_a_rule:
            raise NotWaivableError(
                f"model {self.model}: run {run.run_id} does not say who started it, so nobody can be told to be"
                " somebody else: start a new run"
            )
        self._require_words(f"why {code} is waived", why)
        if not at < until <= at + timedelta(days=LONGEST_DAYS):
            raise NotWaivableError(
                f"a waiver holds for at most {LONGEST_DAYS} days from {instant_text(at)} on, not until"
                f" {instant_text(until)}; a limit that is to change for good is changed in the declaration"
            )

    def _require_words(self, what: str, why: str) -> None:
        if len(why.split()) < LEAST_WORDS:
            raise NotWaivableError(f"{what} takes a sentence that others understand, not {why.strip()!r}")
