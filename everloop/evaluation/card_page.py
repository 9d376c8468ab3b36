"""The model card as one HTML page: what is declared, and below it what an evaluation found, if there is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from everloop.evaluation.card import DICTIONARY, NOTHING, dictionary, facts
from everloop.evaluation.page_parts import note, page_of, table
from everloop.evaluation.page_parts import text as escaped
from everloop.evaluation.report import Report
from everloop.evaluation.report_page import About, sections_of

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


def card_page(declaration: ModelDeclaration, evaluation: tuple[Report, About] | None = None) -> str:
    """The page.

    Parameters
    ----------
    evaluation : tuple or None
        The report of a version of this model, and what its page says of the version.
    """
    return page_of(declaration.model, "model card", _sections(declaration, evaluation))


def _sections(declaration: ModelDeclaration, evaluation: tuple[Report, About] | None) -> Iterator[str]:
    for title, found in facts(declaration):
        yield f"<h2>{escaped(title)}</h2>"
        yield table(["", "declared"], found) if found else note(NOTHING)
    yield "<h2>Data dictionary</h2>"
    yield table(DICTIONARY, dictionary(declaration))
    if evaluation is None:
        yield note("This card is made from the declaration alone: it says nothing of what was measured.")
        return
    report, about = evaluation
    yield f"<h2>Evaluation of version {about.version}</h2>"
    yield from sections_of(report, about)
