"""What the HTML pages of reports and cards are made of: one head, one style, tables and notes.

Nothing is loaded from elsewhere, and the pages forbid scripts. Every text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from everloop.shown import on_one_line

_STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:60rem;color:#1c2430;background:#fff}
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .5rem;border-bottom:1px solid #d5dae1}
h3{font-size:1rem;margin:1rem 0 .25rem}
.verdict{padding:.75rem 1rem;border-left:6px solid;border-radius:4px;margin:1rem 0}
.pass{background:#e7f5ec;border-color:#1c7c43}.fail{background:#fdecea;border-color:#b3261e}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #e3e7ec;vertical-align:top}
th{font-weight:600;color:#465264}svg{width:100%;height:auto;max-width:34rem;display:block}
li{margin:.3rem 0}.no{color:#b3261e;font-weight:600}.yes{color:#1c7c43;font-weight:600}
small,.note{color:#5a6675}code{font-size:.85em;overflow-wrap:anywhere}
"""


def page_of(title: str, kind: str, sections: Iterable[str]) -> str:
    """A whole page; ``kind`` says in its title what it is."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{text(title)}: {text(kind)}</title><style>{_STYLE}</style></head><body><h1>{text(title)}</h1>"
    )
    return head + "\n".join(sections) + "</body></html>\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts, which scrolls by itself where it is too wide."""
    top = "".join(f"<th>{text(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def note(told: str) -> str:
    """A sentence in small letters."""
    return f'<p class="note">{text(told)}</p>'


def text(told: str) -> str:
    """The text as HTML, on one line."""
    return escape(on_one_line(told))
