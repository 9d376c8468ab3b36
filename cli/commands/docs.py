"""``everloop docs``."""

from __future__ import annotations

from pathlib import Path

import click

import everloop
from everloop.cli.exceptions import CommandError
from everloop.cli.options import json_option
from everloop.cli.output import Output

PAGES = Path(everloop.__file__).parent / "docs"


@click.command()
@click.argument("page", required=False)
@click.option("--path", "only_path", is_flag=True, help="Print the path of the page's file.")
@json_option
def docs(page: str | None, only_path: bool, as_json: bool) -> None:
    """Show a PAGE of the documentation of this version, or list all pages."""
    output = Output(as_json)
    if page is None:
        pages = [{"page": file.stem, "title": _title(file), "path": file} for file in sorted(PAGES.glob("*.md"))]
        output.document(pages)
        for one in pages:
            output.say(f"{one['page']:16} {one['title']}")
        return
    file = PAGES / f"{page.removeprefix('docs/').removesuffix('.md')}.md"
    if not file.is_file() or file.parent != PAGES:
        raise CommandError(f"there is no page {page!r}", "`everloop docs` lists the pages")
    output.document({"page": file.stem, "title": _title(file), "path": file, "text": _text(file)})
    if only_path:
        output.say(str(file))
    elif not as_json:
        click.echo_via_pager(_text(file))


def _title(file: Path) -> str:
    return _text(file).split("\n", 1)[0].lstrip("# ")


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")
