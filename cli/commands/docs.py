"""``everloop docs``."""

from __future__ import annotations

from pathlib import Path

import click

import everloop
from everloop.cli.exceptions import CommandError

PAGES = Path(everloop.__file__).parent / "docs"


@click.command()
@click.argument("page", required=False)
@click.option("--path", "only_path", is_flag=True, help="Print where the page's file is, to open it elsewhere.")
def docs(page: str | None, only_path: bool) -> None:
    """Show a PAGE of the documentation that came with this version; without one, list them."""
    if page is None:
        for file in sorted(PAGES.glob("*.md")):
            click.echo(f"{file.stem:16} {_title(file)}")
        return
    file = PAGES / f"{page.removeprefix('docs/').removesuffix('.md')}.md"
    if not file.is_file() or file.parent != PAGES:
        raise CommandError(f"there is no page {page!r}", "`everloop docs` lists them")
    if only_path:
        click.echo(file)
        return
    click.echo_via_pager(file.read_text(encoding="utf-8"))


def _title(file: Path) -> str:
    return file.read_text(encoding="utf-8").split("\n", 1)[0].lstrip("# ")
