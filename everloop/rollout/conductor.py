"""Carries out a rollout: reads what stands, asks for one decision, writes it down, moves the alias.

The record in the registry leads; what the pipeline carries along only says which rollout, and which step it asks
for. Every method may be repeated, at any time after a crash.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from everloop.documents.pipeline import CheckState, NothingRolledBack, RolloutState
from everloop.documents.records import AliasFound, GuardrailCheck, Phase
from everloop.model_file.worst_case import longest_rollout_minutes
from everloop.reasons import Reason, ReasonDocument
from everloop.registry.exceptions import ChampionChangedError, RolloutEndedError
from everloop.registry.records import Champion, Rollout
from everloop.registry.store import RegistryStore
from everloop.rollout.announcements import Announcer, ServingManifest, serving_manifest
from everloop.rollout.answer_measures import NOTHING_JUDGED, Judged, judge
from everloop.rollout.answered import Answered, Answering
from everloop.rollout.cadence import closest
from everloop.rollout.cleanup import needed_lambda_versions, retire_versions
from everloop.rollout.exceptions import NothingServesError, VersionNotStartedError
from everloop.rollout.first_request import TRIES, why_not_started
from everloop.rollout.guardrails import Decision, Verdict, decide_bake, decide_step
from everloop.rollout.looks import Look
from everloop.rollout.losses import loss_of
from everloop.rollout.metrics import CloudWatchMetrics, first_whole_minute
from everloop.rollout.pauses import Pause, lasted_seconds
from everloop.rollout.plan import RolloutPlan
from everloop.rollout.previous import beside, standby, stood_by
from everloop.rollout.shadow import decide_shadow, wait_in_shadow
from everloop.rollout.shadowing import Shadowing
from everloop.rollout.state import rollout_state, watched_state
from everloop.rollout.strategies import Situation, strategy_for
from everloop.rollout.targets import Published, RolloutTarget, ServedArtifact
from everloop.rollout.version_metrics import VersionMetrics
from everloop.serving.standby import Standby

if TYPE_CHECKING:
    from everloop.model_file.schema import Rollout as DeclaredRollout

COUNTED_WITHIN = timedelta(hours=1)
"""After so long nothing of a stretch is still on its way to CloudWatch."""


@dataclass(frozen=True)
class Conductor:
    """What a rollout is carried out with.

    ``declared`` is the declaration's ``rollout`` section, ``declaration_sha256`` the hash of the whole,
    ``artifact_bucket`` where registered files stand. ``shadowing`` asks candidates unseen, and ``answering`` compares
    what both versions answer, where that is declared. ``stands_by`` says whether the champion before a version answers
    in its place.
    """

    store: RegistryStore
    target: RolloutTarget
    metrics: CloudWatchMetrics
    announcer: Announcer
    declared: DeclaredRollout
    artifact_bucket: str
    declaration_sha256: str = ""
    shadowing: Shadowing | None = None
    answering: Answering | None = None
    stands_by: bool = False
    _long_over: dict[tuple[str, datetime], VersionMetrics] = field(default_factory=dict, repr=False, compare=False)
    _judged_answers: list[tuple[Answered, Judged]] = field(default_factory=list, repr=False, compare=False)

    def start(self, run_id: str, run_kind: str, version: int | None, *, at: datetime) -> RolloutState:
        """Publish the version to roll out, see that it starts, and stage it. One rollout per run, named after it.

        Parameters
        ----------
        run_id, run_kind : str
            Of the open run. Kind ``rollout`` serves the champion under new code.
        version : int or None
            The version to roll out; for new code it may be left out.

        Raises
        ------
        VersionNotStartedError
            When what was published answers no request.
        """
        known = self.store.rollouts.find(run_id)
        if known is not None:
            return rollout_state(known)
        self.store.runs.check_active(run_id)
        self._end_leftovers(run_id, at)
        kind = "code" if run_kind == "rollout" else "version"
        champion = self.store.versions.champion()
        number = self._number(kind, version, champion)
        registered = self.store.versions.get(number)
        champion = self._published_champion(champion, run_id, at)
        fallback = self._stand_on(champion, run_id, at)
        # New code serves what serves now; a version begins with no calibration, since none was learned for it.
        calibration = self._calibration(champion) if kind == "code" else ""
        before = self._standby(number, champion, at, calibration)
        published = self.target.publish(ServedArtifact.of(registered, calibration, before))
        self._check_started(number, published, run_id, at)
        rollout = Rollout(
            model=self.store.model,
            rollout_id=run_id,
            run_id=run_id,
            kind=kind,
            version=number,
            lambda_version=published.lambda_version,
            code_sha256=published.code_sha256,
            fallback_lambda_version=fallback,
            started_at=at,
            previous_version=champion.version if champion else None,
            previous_lambda_version=champion.lambda_version if champion else None,
            previous_code_sha256=champion.code_sha256 if champion else None,
        )
        plan = self._plan(rollout)
        rollout = replace(rollout, unseen_first=bool(plan.steps) and plan.step(0).is_shadow)
        return rollout_state(self.store.rollouts.start(rollout, at=at, actor=_actor(run_id)))

    def shift(self, rollout_id: str, after: int, *, at: datetime) -> RolloutState:
        """Bring the step after step ``after`` into effect; -1 is before the first.

        Raises
        ------
        RolloutEndedError
            When the rollout is past its canary.
        """
        rollout = self.store.rollouts.get(rollout_id)
        index = after + 1
        if index < rollout.step_index:
            return watched_state(rollout, at=at, wait_seconds=0, left_seconds=0)
        if rollout.status != "canary":
            raise RolloutEndedError(f"rollout {rollout.rollout_id} is {rollout.status}, so no traffic can be shifted")
        self.store.runs.check_active(rollout.run_id)
        plan = self._plan(rollout)
        step = plan.step(index) if plan.steps else None
        if step is not None and not step.is_shadow:
            self.target.shift(
                primary=rollout.fallback_lambda_version, candidate=rollout.lambda_version, percent=step.percent
            )
        try:
            stepped = self.store.rollouts.step(
                rollout.rollout_id,
                step_index=index,
                percent=step.percent if step else None,
                at=at,
                actor=_actor(rollout.run_id),
            )
        except RolloutEndedError:
            self._withdraw(rollout)
            raise
        return self._watched(stepped, plan, step.seconds if step else 0, at)

    def check(self, rollout_id: str, phase: Phase, *, at: datetime) -> CheckState:
        """Decide whether the rollout goes on."""
        rollout = self.store.rollouts.get(rollout_id)
        if not rollout.is_open or (phase == "canary" and rollout.status == "baking"):
            return self._answer(rollout, _decided_already(rollout), at)
        last = rollout.last_check
        if last.get("at") == at and last.get("phase") == phase:
            reasons = tuple(Reason.from_dict(r) for r in last["reasons"])
            return self._answer(rollout, Verdict(last["decision"], reasons), at)
        verdict = self._judge(rollout, phase, at)
        if verdict.decision != "hold":
            check: GuardrailCheck = {
                "at": at,
                "phase": phase,
                "decision": verdict.decision,
                "reasons": verdict.reasons_json(),
                "step_index": rollout.step_index,
            }
            rollout = self.store.rollouts.record_check(rollout.rollout_id, check, at=at, actor=_actor(rollout.run_id))
        return self._answer(rollout, verdict, at)

    def pause(self, rollout_id: str, *, reason: str, at: datetime, actor: str) -> RolloutState:
        """Let the open rollout stay where it is; the guardrail goes on. What its last look decided is carried out."""
        return rollout_state(self.store.rollouts.pause(rollout_id, reason=reason, at=at, actor=actor))

    def resume(self, rollout_id: str, *, reason: str, at: datetime, actor: str) -> RolloutState:
        """Let a paused rollout go on from its next look."""
        lasted = lasted_seconds(self.store.rollouts.get(rollout_id), at)
        resumed = self.store.rollouts.resume(rollout_id, lasted_seconds=lasted, reason=reason, at=at, actor=actor)
        return rollout_state(resumed)

    def promote(self, rollout_id: str, *, at: datetime) -> RolloutState:
        """Make the version the champion, give it all the traffic, and announce it."""
        actor = _actor(self.store.rollouts.get(rollout_id).run_id)
        # The registry before the alias: its transaction holds the conditions that say whether this version may
        # take over, and nothing unregistered may ever serve. A crash in between leaves the old champion most of the
        # traffic; a retry finds the transaction done and moves the alias, and so does the next rollout's start.
        rollout = self.store.rollouts.promote(rollout_id, at=at, actor=actor)
        plan = self._plan(rollout)
        if rollout.status == "baking":
            self.target.settle(rollout.lambda_version)
            rollout = self.store.rollouts.get(rollout_id)
            if rollout.status == "rolled_back":
                self._withdraw(rollout)
            elif not rollout.changes_nothing:
                serving = self._manifest(rollout.version, rollout.lambda_version, rollout.code_sha256)
                self.announcer.promoted(rollout, serving, at=at)
        return {**self._watched(rollout, plan, plan.bake_seconds, at), "bake_seconds": plan.bake_seconds}

    def roll_back(
        self,
        rollout_id: str,
        *,
        reasons: list[ReasonDocument] | None = None,
        at: datetime,
        actor: str | None = None,
        only_canary: bool = False,
    ) -> RolloutState | NothingRolledBack:
        """Give the traffic back to what served before, then the registry's states.

        Parameters
        ----------
        reasons : list of ReasonDocument, optional
            The guardrail's last ones when left out.
        actor : str, optional
            The person who asks for it; the pipeline of the rollout's run when left out.
        only_canary : bool
            Leave a promotion as it is.

        Returns
        -------
        dict
            The rollout, with ``rolled_back``: false when there is nothing (left) to roll back.
        """
        rollout = self.store.rollouts.find(rollout_id)
        if rollout is None:
            return {"rollout_id": rollout_id, "rolled_back": False, "reasons": reasons or []}
        if rollout.status == "canary" or (rollout.status == "baking" and not only_canary):
            self._check_still_undoable(rollout)
            # The alias before the registry: callers are off the failing version in seconds, whatever happens
            # next. A retry finds the alias in place and finishes the record.
            self._give_back(rollout)
            why = reasons or rollout.last_check.get("reasons") or [_UNEXPLAINED]
            who = actor or _actor(rollout.run_id)
            try:
                rollout = self.store.rollouts.roll_back(
                    rollout_id, reasons=why, at=at, actor=who, only_canary=only_canary
                )
            except RolloutEndedError:
                # Somebody else brought it to another end meanwhile.
                self._restore(rollout)
                raise
        if rollout.status == "rolled_back":
            self._withdraw(rollout)
            self.announcer.rolled_back(rollout, self._serving(), at=at)
            self.target.release(rollout.lambda_version)
        return {**rollout_state(rollout), "rolled_back": rollout.status == "rolled_back"}

    def retire(self, rollout_id: str, *, at: datetime) -> RolloutState:
        """Complete the rollout, retire what it replaced, and delete function versions nobody needs."""
        rollout = self.store.rollouts.get(rollout_id)
        actor = _actor(rollout.run_id)
        if rollout.status == "baking":
            rollout = self.store.rollouts.end(rollout.rollout_id, status="completed", at=at, actor=actor)
        bake = self.declared.bake_minutes * 60
        needed = needed_lambda_versions(self.store, rollout, at=at)
        return {
            **rollout_state(rollout),
            "retired": retire_versions(self.store, bake_seconds=bake, at=at, actor=actor),
            "deleted_lambda_versions": self.target.prune(needed),
        }

    def _check_started(self, number: int, published: Published, run_id: str, at: datetime) -> None:
        """Ask what was published before any caller does: one that loads longer than it may would give them errors."""
        model, name = self.store.model, f"first-{run_id}"
        said = why_not_started(self.target, published.lambda_version, model=model, name=name, at=at)
        if said:
            self.target.release(published.lambda_version)
            where = ", ".join(
                f"{key} {value}" for key, value in self.target.describe(published).items() if key in _WHERE
            )
            raise VersionNotStartedError(
                f"version {number} of {model} does not start, so no caller was sent to it: asked {TRIES} times, it"
                f" answered {said} ({where}; the request is {name}). Its log may say more. If it takes longer to load"
                " than it may, raise serving.timeout_seconds or serving.memory_mb; otherwise train again"
            )

    def _number(self, kind: str, version: int | None, champion: Champion | None) -> int:
        if kind == "version":
            if version is None:
                raise ValueError("a rollout of a candidate must name its version")
            return version
        if champion is None:
            raise NothingServesError(
                f"model {self.store.model} has no champion to serve under new code; train one first"
            )
        if version is not None and version != champion.version:
            raise ChampionChangedError(
                f"model {self.store.model}: the champion is version {champion.version}, not {version}; new code can"
                " be rolled out only for the champion"
            )
        return champion.version

    def _published_champion(self, champion: Champion | None, run_id: str, at: datetime) -> Champion | None:
        """The champion as a function version serves it.

        The function versions of a model go with its stack, its registry and artefacts don't. Deployed again, the
        champion is published once more from the artefact that was registered, before anything else may serve.
        """
        if champion is None:
            return None
        calibration = self._calibration(champion)
        before = self._standby(champion.version, champion, at, calibration)
        artifact = ServedArtifact.of(self.store.versions.get(champion.version), calibration, before)
        if self.target.holds(champion.lambda_version, artifact):
            return champion
        if not self.target.current().pinned:
            self.target.idle()
        published = self.target.publish(artifact)
        self.store.rollouts.republish(
            run_id,
            champion.version,
            lambda_version=published.lambda_version,
            code_sha256=published.code_sha256,
            at=at,
            actor=_actor(run_id),
        )
        return self.store.versions.champion()

    def _calibration(self, champion: Champion | None) -> str:
        """The text of the calibration that the champion is served with; empty for none."""
        record = self.store.calibrations.in_force(champion)
        return record.calibration if record else ""

    def _standby(self, number: int, champion: Champion | None, at: datetime, own: str) -> Standby | None:
        """What answers where version ``number`` can't: the champion that it is to follow, or that it followed.

        While its rollout may last, the champion is also asked what the version refuses. ``own`` is the calibration that
        the version itself is served with.
        """
        if not self.stands_by or champion is None:
            return None
        if champion.version == number:
            return beside(stood_by(self.store, number), own)
        ends_by = at + timedelta(minutes=longest_rollout_minutes(self.declared))
        serving = self.store.versions.get(champion.version)
        return beside(standby(serving, ends_by, self._calibration(champion)), own)

    def _give_back(self, rollout: Rollout) -> None:
        """Send every request to what served before the rollout.

        In a function that was deployed again that version is gone, and so is the one that was rolled out: nothing
        serves, until the next rollout publishes the champion again.
        """
        before = rollout.fallback_lambda_version
        if not self.target.current().pinned and not self.target.holds(before):
            return
        self.target.settle(before)

    def _stand_on(self, champion: Champion | None, run_id: str, at: datetime) -> str:
        """Put the alias where the registry says it is, and return that function version."""
        if champion is None:
            return self.target.idle()
        before = self.target.current()
        if self.target.settle(champion.lambda_version):
            details: AliasFound = {
                "found": before.primary,
                "candidate": before.candidate,
                "percent": before.percent,
                "settled": champion.lambda_version,
            }
            self.store.rollouts.note_reconciled(run_id, champion.version, details=details, at=at, actor=_actor(run_id))
        return champion.lambda_version

    def _end_leftovers(self, run_id: str, at: datetime) -> None:
        """End the rollouts that earlier runs left open when they died."""
        for rollout in self.store.rollouts.all():
            if not rollout.is_open or rollout.run_id == run_id:
                continue
            if rollout.status == "canary":
                sentence = f"run {rollout.run_id} ended before its rollout did"
                self.roll_back(rollout.rollout_id, reasons=[{"code": "run_ended", "sentence": sentence}], at=at)
            else:
                self.store.rollouts.end(rollout.rollout_id, status="superseded", at=at, actor=_actor(run_id))

    def _withdraw(self, rollout: Rollout) -> None:
        """Take away what an action gave that was under way while somebody else rolled back: it ends after the rollback.

        Stopping an execution does not stop the function it called last.
        """
        state = self.target.current()
        if rollout.lambda_version in (state.primary, state.candidate):
            self._restore(rollout)

    def _restore(self, rollout: Rollout) -> None:
        """Put the alias where the registry's pointer is, unless another canary has it by now."""
        others = (other for other in self.store.rollouts.all() if other.rollout_id != rollout.rollout_id)
        if any(other.status == "canary" for other in others):
            return
        champion = self.store.versions.champion()
        self.target.settle(champion.lambda_version if champion else rollout.fallback_lambda_version)

    def _check_still_undoable(self, rollout: Rollout) -> None:
        champion = self.store.versions.champion()
        standing = champion.version if champion else None
        expected = rollout.version if rollout.status == "baking" else rollout.previous_version
        if standing != expected:
            raise ChampionChangedError(
                f"model {rollout.model}: rollout {rollout.rollout_id} can't be rolled back, because the champion is"
                f" now version {standing}, not {expected}"
            )

    def _plan(self, rollout: Rollout) -> RolloutPlan:
        return strategy_for(self.declared, _situation(rollout)).plan(self.declared)

    def _judge(self, rollout: Rollout, phase: Phase, at: datetime) -> Verdict:
        pause = Pause.at(rollout, at)
        return pause.held(self._judged(rollout, phase, at, pause), at)

    def _judged(self, rollout: Rollout, phase: Phase, at: datetime, pause: Pause) -> Verdict:
        guardrail, situation = self.declared.guardrail, _situation(rollout)
        strategy = strategy_for(self.declared, situation)
        plan, unlooked = strategy.plan(self.declared), strategy.unlooked(situation, phase)
        if unlooked is not None:
            return unlooked
        if phase == "bake":
            begin = rollout.promoted_at or rollout.started_at
            # In the minute of the promotion the alias sent requests to the version before as well.
            found = self.metrics.read(rollout.lambda_version, first_whole_minute(begin), at, alone=True)
            before = self._before_it_began(rollout, timedelta(seconds=plan.bake_seconds), at)
            elapsed = pause.elapsed_seconds(begin, at, plan.bake_seconds)
            ends = elapsed >= plan.bake_seconds
            answers = self._answers(rollout, plan, begin, at, ends=ends, bake=True)
            return decide_bake(plan, guardrail, found, before, elapsed_seconds=elapsed, answers=answers)
        begin = rollout.step_started_at or rollout.started_at
        index = rollout.step_index
        elapsed = pause.elapsed_seconds(begin, at, plan.step(index).seconds)
        if plan.step(index).is_shadow:
            return self._judged_unseen(rollout, plan, elapsed, at)
        # In the minute in which a shadow ended the candidate was asked by no caller.
        counted_from = first_whole_minute(begin) if plan.follows_shadow(index) else begin
        return decide_step(
            plan,
            guardrail,
            step_index=index,
            elapsed_seconds=elapsed,
            metrics=self.metrics.read(rollout.lambda_version, counted_from, at),
            # In the minute in which the step began, requests came before it as well.
            before=self._before(rollout, first_whole_minute(begin), at),
            answers=self._answers(rollout, plan, begin, at, ends=elapsed >= plan.step(index).seconds),
        )

    def _answers(
        self, rollout: Rollout, plan: RolloutPlan, phase: datetime, at: datetime, *, ends: bool, bake: bool = False
    ) -> Judged:
        """What is found of both versions' answers since ``phase``, where something of it is declared."""
        if self.answering is None:
            return NOTHING_JUDGED
        seen = self.answering.seen(self.target, rollout, phase=phase, at=at, ends=ends)
        # A look a minute sees the same for a quarter of an hour, and judging thousands of rows takes seconds.
        for known, judged in self._judged_answers:
            if known is seen:
                return judged
        look = Look.at(plan, self.declared.guardrail, ends=ends)
        judged = judge(self.declared.guardrail, look, seen, loss_of(self.answering.declaration), bake=bake)
        self._judged_answers[:] = [(seen, judged)]
        return judged

    def _judged_unseen(self, rollout: Rollout, plan: RolloutPlan, elapsed: float, at: datetime) -> Verdict:
        """The verdict on a shadow, once its time is over."""
        index, declared = rollout.step_index, self.declared.shadow
        overtime = elapsed - plan.step(index).seconds
        if overtime < 0:
            return wait_in_shadow(self.declared, plan, left_seconds=-overtime)
        assert self.shadowing is not None, "where a shadow is declared there is what asks"
        assert declared is not None, "a step without callers comes of a declared shadow"
        assert rollout.previous_version is not None, "the first champion has no shadow"
        seen = self.shadowing.seen(
            self.target,
            rollout.lambda_version,
            champion=rollout.previous_version,
            least=declared.minimum_rows,
            begin=rollout.step_started_at or rollout.started_at,
            end=at,
        )
        return decide_shadow(self.declared, plan, step_index=index, overtime_seconds=overtime, seen=seen)

    def _before_it_began(self, rollout: Rollout, span: timedelta, at: datetime) -> VersionMetrics | None:
        """What the predecessor did in the last ``span`` before the rollout, which no later look sees otherwise.

        CloudWatch bills each metric of each look, so this is asked for until it is complete, and kept by this process.
        """
        over = (rollout.rollout_id, rollout.started_at - span)
        found = self._long_over.get(over)
        if found is None:
            found = self._before(rollout, rollout.started_at - span, rollout.started_at, alone=True)
            if found is not None and at >= rollout.started_at + COUNTED_WITHIN:
                self._long_over.clear()
                self._long_over[over] = found
        return found

    def _before(
        self, rollout: Rollout, begin: datetime, end: datetime, *, alone: bool = False
    ) -> VersionMetrics | None:
        """What the predecessor's function version did; None where there is none."""
        if rollout.previous_lambda_version is None:
            return None
        return self.metrics.read(rollout.previous_lambda_version, begin, end, alone=alone)

    def announce_calibrated(self, *, at: datetime) -> None:
        """Say with what calibration the champion serves now."""
        champion, serving = self.store.versions.champion(), self._serving()
        if champion is not None and serving is not None:
            self.announcer.calibrated(champion, serving, at=at)

    def _serving(self) -> ServingManifest | None:
        """The manifest of the champion; None where nothing serves."""
        champion = self.store.versions.champion()
        if champion is None:
            return None
        return self._manifest(champion.version, champion.lambda_version, champion.code_sha256)

    def _manifest(self, number: int, lambda_version: str, code_sha256: str) -> ServingManifest:
        champion = self.store.versions.champion()
        # Another version than the champion's begins without one.
        record = self.store.calibrations.in_force(champion) if champion and champion.version == number else None
        return serving_manifest(
            self.store.versions.get(number),
            bucket=self.artifact_bucket,
            target=self.target.describe(Published(lambda_version, code_sha256)),
            calibration={"sha256": record.calibration_sha256, "text": record.calibration} if record else None,
            declaration_sha256=self.declaration_sha256,
        )

    def _watched(self, rollout: Rollout, plan: RolloutPlan, seconds: int, at: datetime) -> RolloutState:
        """The state as a phase of so many seconds begins, with its first look."""
        wait = min(seconds, closest(plan, self.declared.guardrail))
        return watched_state(rollout, at=at, wait_seconds=wait, left_seconds=seconds)

    def _answer(self, rollout: Rollout, verdict: Verdict, at: datetime) -> CheckState:
        state = watched_state(rollout, at=at, wait_seconds=verdict.wait_seconds, left_seconds=verdict.left_seconds)
        return {
            "decision": verdict.decision,
            "reasons": verdict.reasons_json(),
            "wait_seconds": verdict.wait_seconds,
            "rollout": state,
        }


_WHERE = ("function", "lambda_version", "endpoint", "variant")
"""What names a published version among what describes it."""

_UNEXPLAINED: ReasonDocument = {"code": "pipeline_failed", "sentence": "the pipeline failed during the rollout"}


def _situation(rollout: Rollout) -> Situation:
    return Situation(rollout.lambda_version, rollout.previous_version is not None, rollout.changes_nothing)


def _actor(run_id: str) -> str:
    return f"pipeline {run_id}"


def _decided_already(rollout: Rollout) -> Verdict:
    """What a check says that comes after its own decision was carried out."""
    decisions: dict[str, Decision] = {"rolled_back": "rollback", "baking": "promote"}
    sentence = f"rollout {rollout.rollout_id} is {rollout.status} already"
    return Verdict(decisions.get(rollout.status, "ok"), (Reason("decided_already", sentence),))
