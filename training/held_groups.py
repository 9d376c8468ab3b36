"""Held-out groups in the jobs: no training learns from them, and an evaluation judges by their rows.

See :mod:`everloop.dataset.held_groups` for what they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from everloop.dataset.held_groups import HeldGroups
from everloop.dataset.held_rows import held_rows
from everloop.evaluation.held_groups_report import Basis, HeldGroupsFacts
from everloop.evaluation.metrics import estimate
from everloop.evaluation.significance import metric_value
from everloop.model_file.schema import ModelDeclaration
from everloop.numbers_of import number_of
from everloop.training.channels import Split
from everloop.training.exceptions import ChannelError, DataDiffersError, OlderVersionError


def groups_of(declaration: ModelDeclaration, rows: Split) -> np.ndarray | None:
    """The group of each row, texts [rows]; None where rows are taken apart by time alone."""
    held = HeldGroups.of(declaration)
    return None if held is None else rows.features[held.column].to_numpy()


def require_unlearned(declaration: ModelDeclaration, train: Split) -> HeldGroups | None:
    """The groups that a training learns nothing from; None where none are declared.

    Raises
    ------
    DataDiffersError
        When a row to learn from is of one.
    """
    held = HeldGroups.of(declaration)
    if held is None:
        return None
    inside = held_rows(held, train.features[held.column])
    if inside.any():
        raise DataDiffersError(
            f"{int(inside.sum()):,} of {number_of(len(train), 'row')} to learn from are of held-out groups of"
            f" {held.column} (data.split), from which nothing may be learned. The training set was made by another"
            " declaration: deploy this one, and start a new run"
        )
    return held


def to_refit_on(declaration: ModelDeclaration, test: Split) -> Split | None:
    """The test rows that a refit learns from: those of no held-out group; None where there are none."""
    held = HeldGroups.of(declaration)
    if held is None:
        return test
    known = ~held_rows(held, test.features[held.column])
    return test.only(known) if known.any() else None


@dataclass(frozen=True)
class Apart:
    """The test rows by what candidate and champion know of their groups.

    Attributes
    ----------
    held : HeldGroups
        As declared.
    judged : ndarray of bool, shape (rows,)
        Of a held-out group: these judge the candidate.
    """

    held: HeldGroups
    judged: np.ndarray

    @classmethod
    def of(cls, declaration: ModelDeclaration, test: Split, training: Mapping[str, Any]) -> Apart | None:
        """None where rows are taken apart by time alone.

        Parameters
        ----------
        training : mapping
            The candidate's ``training.json``.

        Raises
        ------
        OlderVersionError
            When the candidate has learned from groups that are held out now: a version of before that was declared.
        ChannelError
            When no row is of a held-out group.
        """
        held = HeldGroups.of(declaration)
        if held is None:
            return None
        known = HeldGroups.from_record(training)
        if not _covers(known, held):
            raise OlderVersionError(
                f"this version was trained before {held.share:.0%} of the groups of {held.column} were held out"
                " (data.split), so the rows of these say nothing about how it answers for groups that it has not seen:"
                " train a new one"
            )
        judged = held_rows(held, test.features[held.column])
        if not judged.any():
            raise ChannelError(f"none of {number_of(len(test), 'test row')} is of a held-out group of {held.column}")
        return cls(held, judged)

    def comparable(self, champion: HeldGroups | None, test: Split) -> tuple[np.ndarray, Basis]:
        """On which rows a champion is no better off than the candidate, bool [rows], and of which groups they are.

        Where the champion has learned nothing from the same groups, or from some of them, those. A champion from
        before would be ahead on them for ever: it is compared on rows of the groups that both have learned from.
        """
        if champion is None:
            return ~self.judged, "learned"
        theirs = held_rows(champion, test.features[champion.column]) if champion.column in test.features else None
        if theirs is not None and (champion.column, champion.salt) == (self.held.column, self.held.salt):
            return self.judged & theirs, "held_out"
        return ~self.judged if theirs is None else ~self.judged & ~theirs, "learned"

    def told(
        self, metric: str, test: Split, scores: np.ndarray, basis: Basis | None, champion_groups: int | None
    ) -> HeldGroupsFacts:
        """What the report says: of the candidate's ``metric`` on the other groups too, none of whose rows it learned.

        Parameters
        ----------
        test, scores : Split, ndarray
            Of the whole test part.
        """
        groups, known = test.features[self.held.column].to_numpy(), ~self.judged
        of_known = None
        if known.any():
            rows = test.only(known)
            of_known = metric_value(estimate(metric, rows.labels, scores[known]), rows.days, groups[known])
        return HeldGroupsFacts(
            column=self.held.column,
            share=self.held.share,
            groups=len(np.unique(groups[self.judged])),
            test_rows=len(test),
            known_groups=len(np.unique(groups[known])),
            known_rows=int(known.sum()),
            known=of_known,
            champion_basis=basis,
            champion_groups=champion_groups,
        )


def _covers(known: HeldGroups | None, held: HeldGroups) -> bool:
    """Whether a version that learned nothing from the groups of one has learned nothing from those of the other."""
    return known is not None and (known.column, known.salt) == (held.column, held.salt) and known.share >= held.share
