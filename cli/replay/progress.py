"""Shows a person where the replay is: a live line on a terminal, a line a week elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from everloop.cli.output import plain_console
from everloop.numbers_of import number_of
from everloop.shown import as_entry, on_one_line

PLAIN_EVERY = timedelta(days=14)


@dataclass
class Progress:
    """What is happening now. Set the fields; call :meth:`show`."""

    model: str
    starts_at: datetime
    ends_at: datetime
    quiet: bool = False
    simulated: datetime | None = None
    requests: int = 0
    rows: int = 0
    champion: str = "none"
    step: str = "starting"
    last_event: str = ""
    _console: Console = field(default_factory=lambda: plain_console(stderr=True, soft_wrap=False))
    _live: Live | None = None
    _plain_due: datetime | None = None
    _started: float = field(default_factory=time.monotonic)

    def __enter__(self) -> Progress:
        if self._console.is_terminal and not self.quiet:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def event(self, text: str, at: datetime | None = None) -> None:
        """Something worth a line of its own happened: at ``at``, or now."""
        self.last_event = text
        if self.quiet:
            return
        instant = at or self.simulated
        when = f"{instant:%Y-%m-%d %H:%M}" if instant else " " * 16
        self._console.print(Text.assemble((when, "dim"), f"  {as_entry(text)}"), soft_wrap=True)

    def show(self) -> None:
        """Draw the present state."""
        if self._live is not None:
            self._live.update(self._panel())
        elif not self.quiet and self.simulated and (self._plain_due is None or self.simulated >= self._plain_due):
            self._plain_due = self.simulated + PLAIN_EVERY
            seconds = time.monotonic() - self._started
            line = (
                f"{self.simulated:%Y-%m-%d}  {self._share():4.0%}  {self.rows:>8,} rows in "
                f"{number_of(self.requests, 'request')}  "
                f"champion {self.champion}  {self.step}  ({seconds:.0f} s)"
            )
            self._console.print(on_one_line(line), soft_wrap=True)

    def _share(self) -> float:
        if self.simulated is None:
            return 0.0
        return min(1.0, (self.simulated - self.starts_at) / (self.ends_at - self.starts_at))

    def _panel(self) -> Table:
        table = Table.grid(padding=(0, 2))
        bar = "━" * int(40 * self._share())
        date = f"{self.simulated:%Y-%m-%d %H:%M}" if self.simulated else "…"
        table.add_row("simulated", Text(f"{date}  {self._share():4.0%}"), Text(f"{bar:<40}", style="green"))
        table.add_row("requests", f"{self.requests:,} ({number_of(self.rows, 'row')})", "")
        table.add_row("champion", on_one_line(self.champion), on_one_line(self.step))
        table.add_row("last event", Text(on_one_line(self.last_event), overflow="ellipsis", no_wrap=True), "")
        return table
