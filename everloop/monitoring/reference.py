"""What a champion was trained on and how good it was: the yardstick for every window it serves.

Beside the counts it holds how far a span of days naturally is from the rest. Rows of one day share weather, prices
and outages, so a window of a few days differs from the reference by far more than the sampling of rows explains;
a test that ignores it alarms every day. Here days are the units: for each span of 1, 2, ... days, every run of that
many days of the reference is compared with the reference without them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from everloop.documents.reference import FeatureReferenceDocument, NaturalDocument, ReferenceDocument
from everloop.json_text import read_json
from everloop.monitoring.bins import Bins, NumberBins, bins_from_dict
from everloop.monitoring.exceptions import ProfileFormatError
from everloop.monitoring.profile import BinCounts, Outcomes
from everloop.shown import shown
from everloop.typed_json import DocumentRefusedError, read_as

FORMAT = 1

SCORE = "prediction"
"""What the score is called among the features; no feature may be called so."""


@dataclass(frozen=True)
class Natural:
    """How far ``days`` consecutive days are from the other days of the reference.

    Attributes
    ----------
    days : int
    distance : float
        The mean distance; see :func:`everloop.monitoring.divergence.distance`.
    freedom : float
        Along how many directions, in effect, days differ.
    spans : float
        How many such spans the reference holds side by side, the number of independent ones.
    """

    days: int
    distance: float
    freedom: float
    spans: float

    def as_dict(self) -> NaturalDocument:
        """The variation as JSON values."""
        return {"days": self.days, "distance": self.distance, "freedom": self.freedom, "spans": self.spans}


@dataclass(frozen=True)
class FeatureReference:
    """One feature, or the score: its bins, their counts, and its natural variation, shortest span first."""

    bins: Bins
    counts: BinCounts
    natural: tuple[Natural, ...] = ()

    def natural_of(self, days: int) -> Natural | None:
        """The variation of the longest span of at most ``days`` days; None when the reference is too short."""
        return next((n for n in reversed(self.natural) if n.days <= days), None)

    def as_dict(self) -> FeatureReferenceDocument:
        """Bins, counts and variation in one JSON object; :meth:`from_dict` reads it."""
        return {
            **self.bins.as_dict(),
            "counts": list(self.counts.counts),
            "missing": self.counts.missing,
            "natural": [n.as_dict() for n in self.natural],
        }

    @classmethod
    def from_dict(cls, document: FeatureReferenceDocument) -> FeatureReference:
        """Read what :meth:`as_dict` wrote."""
        counts = BinCounts(tuple(int(n) for n in document["counts"]), int(document["missing"]))
        natural = (
            Natural(int(n["days"]), float(n["distance"]), float(n["freedom"]), float(n["spans"]))
            for n in document["natural"]
        )
        return cls(bins_from_dict(document), counts, tuple(natural))


@dataclass(frozen=True)
class Reference:
    """The reference profile of one version: ``profile.json``.

    Attributes
    ----------
    rows, days : int
        Of the training rows.
    features : dict of str to FeatureReference
        Every declared feature, over the training rows.
    score : FeatureReference or None
        The model's scores of test rows, which it has not seen; None before the evaluation.
    metric : str or None
        The gate's.
    outcomes : Outcomes or None
        How good it was on the test rows; ``outcome_days`` of them.
    score_unjudged : str
        Why the drift of the scores can't be judged by ``score``; empty where it can. Its bins count scores
        all the same, and a reference is taken from the version's own windows: see
        :mod:`everloop.monitoring.own_scores`.
    """

    rows: int
    days: int
    features: dict[str, FeatureReference]
    score: FeatureReference | None = None
    metric: str | None = None
    outcomes: Outcomes | None = None
    outcome_days: int = 0
    score_unjudged: str = ""

    @property
    def score_bins(self) -> NumberBins | None:
        """The bins of the score."""
        if self.score is None or not isinstance(self.score.bins, NumberBins):
            return None
        return self.score.bins

    @cached_property
    def bins_id(self) -> str:
        """Names the bins: two profiles with the same one add up."""
        bins = {name: f.bins.as_dict() for name, f in self.features.items()}
        score = None if self.score is None else self.score.bins.as_dict()
        text = json.dumps([bins, score], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        """The document ``profile.json``."""
        document: ReferenceDocument = {
            "format": FORMAT,
            "rows": self.rows,
            "days": self.days,
            "features": {name: f.as_dict() for name, f in self.features.items()},
            "score": None if self.score is None else self.score.as_dict(),
            "metric": self.metric,
            "outcomes": None if self.outcomes is None else self.outcomes.as_dict(),
            "outcome_days": self.outcome_days,
            "score_unjudged": self.score_unjudged,
        }
        return json.dumps(document, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Reference:
        """Read ``profile.json``.

        Raises
        ------
        ProfileFormatError
            When it is none, or of another format.
        """
        try:
            found = read_json(text)
            if isinstance(found, dict) and "format" in found and found["format"] != FORMAT:
                raise ProfileFormatError(
                    f"a reference of format {shown(found['format'])}; this code reads format {FORMAT}: train again"
                )
            document = read_as(ReferenceDocument, found, "reference profile", "train again")
            score, outcomes = document["score"], document["outcomes"]
            return cls(
                rows=int(document["rows"]),
                days=int(document["days"]),
                features={n: FeatureReference.from_dict(f) for n, f in document["features"].items()},
                score=None if score is None else FeatureReference.from_dict(score),
                metric=document["metric"],
                outcomes=None if outcomes is None else Outcomes.from_dict(outcomes),
                outcome_days=int(document["outcome_days"]),
                score_unjudged=str(document.get("score_unjudged", "")),
            )
        except DocumentRefusedError as error:
            raise ProfileFormatError(str(error)) from error
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ProfileFormatError(f"this is not a reference profile: {shown(error)}") from error
