"""Whether anything that is declared needs what declared capture leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from everloop.model_file.misfit import Misfit
from everloop.model_file.names import closest_name
from everloop.model_file.partial import known, value_of, written

_AT = ("serving", "capture")


def capture_misfits(declaration: Any) -> Iterator[Misfit]:
    """Masked columns are features that nothing reads of captured rows, and high risk keeps every row."""
    capture = declaration.serving.capture
    if capture is None:
        return
    share = value_of(capture, "share")
    if share is not None and share < 1 and _part(_part(declaration, "risk"), "tier") == "high":
        yield Misfit((*_AT, "share"), share, "1: with risk.tier high, what was asked and answered is kept of every row")
    masked = list(known(value_of(capture, "mask", [])))
    yield from _names(declaration.data, masked)
    if masked:
        yield from _readers(declaration)
        yield from _groups(_part(declaration, "recalibration"), [name for _, name in masked])


def _names(data: Any, masked: list[tuple[int, str]]) -> Iterator[Misfit]:
    features = [written(feature, "name") for _, feature in known(data.features)]
    near = [closest_name(name) for name in features if isinstance(name, str)]
    seen: set[str] = set()
    for index, name in masked:
        at = (*_AT, "mask", index)
        if name == value_of(data, "key"):
            yield Misfit(
                at, name, "a feature: labels find captured rows by the key, so send one that says nothing of a person"
            )
        elif name not in features and name not in near:
            yield Misfit(at, name, f"the name of a feature: {', '.join(map(str, features))}")
        elif name in seen:
            yield Misfit(at, name, "each feature once")
        seen.add(name)


def _readers(declaration: Any) -> Iterator[Misfit]:
    """What asks a version, or trains one, with captured rows."""
    rollout, retraining = _part(declaration, "rollout"), _part(declaration, "retraining")
    guardrail = _part(rollout, "guardrail")
    readers = (
        (("rollout", "shadow"), _part(rollout, "shadow"), "asks a candidate what captured rows hold"),
        *(
            (("rollout", "guardrail", name), _part(guardrail, name), "asks both versions what captured rows hold")
            for name in ("scores", "disagreement", "quality", "business")
        ),
        (("retraining", "investment"), _part(retraining, "investment"), "trains probes on captured rows"),
        (("retraining", "volume"), _part(retraining, "volume"), "counts captured rows, and none is trained on"),
    )
    for place, declared, why in readers:
        if declared is not None:
            remedy = f"no {place[-1]!r} with serving.capture.mask: it {why}, which lack masked features"
            yield Misfit(place, {}, remedy)


def _groups(recalibration: Any, masked: list[str]) -> Iterator[Misfit]:
    fairness = _part(recalibration, "fairness")
    for place, section in ((("recalibration",), recalibration), (("recalibration", "fairness"), fairness)):
        by = _part(section, "by")
        if by in masked:
            yield Misfit(
                (*place, "by"),
                by,
                "a feature that serving.capture.mask does not name: groups are told from captured rows",
            )


def _part(section: Any, name: str) -> Any:
    """What is declared under a key; None where nothing is, or nothing that is known."""
    return None if section is None else value_of(section, name)
