"""What a probe continues, as a training that is asked to does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from everloop.documents.probe import PlannedWarmStart, ProbePlan
from everloop.model_file.schema import ModelDeclaration
from everloop.training.channels import Split
from everloop.training.exceptions import ParentError
from everloop.training.kept_estimator import read_kept
from everloop.training.learning import continued_or_not


@dataclass(frozen=True)
class WarmStart:
    """What a probe continues.

    Attributes
    ----------
    kept : callable
        Gives the kept estimator of the version.
    rows : Split or None
        All rows there were when the window began, of which the later ones are learned from; None where the probes got a
        sample. The version has learned from all rows, so a fresh probe of a sample would lose to it for that alone.
    """

    planned: PlannedWarmStart
    kept: Callable[[PlannedWarmStart], bytes]
    rows: Split | None

    @classmethod
    def of(
        cls,
        planned: PlannedWarmStart,
        kept: Callable[[PlannedWarmStart], bytes],
        plan: ProbePlan,
        by_span: Iterable[tuple[int | None, Split]],
    ) -> Self:
        """As a plan asks for it.

        Parameters
        ----------
        by_span : iterable of (int or None, Split)
            The rows that probes learn from, the fresh one's among them; those of all days under None.
        """
        labelled = {plan["fresh_days"]: plan["labelled_rows"]}
        labelled |= {span["days"]: span["labelled_rows"] for span in plan["spans"]}
        found = dict(by_span)
        whole = all(labelled[days] == len(rows) for days, rows in found.items() if days in (None, plan["fresh_days"]))
        return cls(planned, kept, found.get(None) if whole else None)

    @property
    def name(self) -> str:
        """What a probe's document calls it where it is left out."""
        return f"warm start of version {self.planned['version']}"

    def continued(self, declaration: ModelDeclaration, folder: Path, window: Split) -> tuple[Any | None, int, str]:
        """The version continued, with how many later rows; None, and why not, where that can't be done.

        Parameters
        ----------
        folder : Path
            The model's folder.
        window : Split
            The rows that it is scored on, which it may not have learned from.
        """
        planned, rows = self.planned, self.rows
        if rows is None:
            return None, 0, "the fresh probe learned from a sample, and that version from all rows; raise probe_rows"
        try:
            parent = read_kept(
                self.kept(planned),
                version=planned["version"],
                sha256=planned["estimator_sha256"],
                model=declaration.model,
            )
        except ParentError as error:
            return None, 0, str(error)
        estimator, reason = continued_or_not(declaration, folder, rows, window, parent)
        return estimator, int(rows.after(parent.about["learned_until"]).sum()), reason.sentence
