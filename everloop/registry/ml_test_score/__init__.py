"""The ML Test Score of a model: 28 tests in four groups, each from what is on record, or an honest zero.

A test earns half a point where somebody did it by hand and that is on record, and a whole one where a system does it
again and again. A group has the sum of its seven, and the score is the smallest of the four sums: no strength makes up
for a group that is left out.

References
----------
E. Breck, S. Cai, E. Nielsen, M. Salib, D. Sculley, "The ML Test Score: A Rubric for ML Production Readiness and
Technical Debt Reduction", IEEE International Conference on Big Data (2017), section VI and tables I to IV.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from everloop.registry.ml_test_score.data import data_tests
from everloop.registry.ml_test_score.facts import Facts, Finding
from everloop.registry.ml_test_score.infra import infra_tests
from everloop.registry.ml_test_score.model import model_tests
from everloop.registry.ml_test_score.monitoring import monitoring_tests
from everloop.typed_json import JsonObject

__all__ = ["Facts", "Finding", "TestScore", "score_of"]

_GROUPS: dict[str, Callable[[Facts], Iterator[Finding]]] = {
    "features and data": data_tests,
    "model development": model_tests,
    "infrastructure": infra_tests,
    "monitoring": monitoring_tests,
}

_MEANING = (
    (0.0, "more of a research project than a system for production"),
    (1.0, "not untested, but there may be serious gaps"),
    (2.0, "a first pass at what production takes"),
    (3.0, "reasonably tested; more of it could be automatic"),
    (5.0, "strong, fit for what a business depends on"),
)
"""The paper's reading of scores up to these; above it is exceptional."""


@dataclass(frozen=True)
class TestScore:
    """The findings by group."""

    __test__ = False  # no test of pytest's

    groups: dict[str, tuple[Finding, ...]]

    @property
    def sums(self) -> dict[str, float]:
        """The points of each group, 0 to 7."""
        return {name: sum(finding.points for finding in findings) for name, findings in self.groups.items()}

    @property
    def score(self) -> float:
        """The smallest sum."""
        return min(self.sums.values())

    @property
    def weakest(self) -> str:
        """The group with the smallest sum."""
        return min(self.sums, key=lambda name: self.sums[name])

    @property
    def meaning(self) -> str:
        """What the paper says of such a score."""
        return next((text for most, text in _MEANING if self.score <= most), "exceptional")

    def to_json(self) -> JsonObject:
        """Score, sums and findings as JSON values."""
        found = {name: [asdict(finding) for finding in findings] for name, findings in self.groups.items()}
        return {"score": self.score, "meaning": self.meaning, "sums": self.sums, "groups": found}


def score_of(facts: Facts) -> TestScore:
    """Run all 28 tests."""
    return TestScore({name: tuple(tests(facts)) for name, tests in _GROUPS.items()})
