"""A backtest's fresh probe: the job of a probe, without a cloud.

    python -m everloop.training.backtest_probe --train FOLDER --window FOLDER --plan FOLDER --output FOLDER

Written to ``--output``: what the job of a probe writes. Kept probes and versions are folders that earlier jobs wrote.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from everloop.documents.probe import KeptProbe, OlderVersion
from everloop.training.backtest_candidate import version_in
from everloop.training.champion import Champion
from everloop.training.exceptions import ChampionError, JobError, KeptProbeError
from everloop.training.fresh_probe import measure
from everloop.training.onnx_export import ExportRefusedError, ParityError


@dataclass(frozen=True)
class FilesHere:
    """Where a backtest keeps them: addresses are folders of this machine."""

    def of_probe(self, kept: KeptProbe, name: str) -> bytes:
        """See :class:`everloop.training.probe_files.ProbeFiles`."""
        try:
            return (Path(kept["uri"]) / name).read_bytes()
        except OSError as error:
            raise KeptProbeError(f"it can't be read: {error}") from error

    def version(self, older: OlderVersion) -> Champion:
        """See :class:`everloop.training.probe_files.ProbeFiles`."""
        try:
            return version_in(Path(older["uri"]), older["version"])
        except OSError as error:
            raise ChampionError(f"it can't be read: {error}") from error


def main(arguments: list[str]) -> int:
    """Run the job; the process's exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", stream=sys.stdout)
    options = _parser().parse_args(arguments)
    try:
        measure(
            Path.cwd(),
            train=options.train,
            window=options.window,
            plan=options.plan,
            output=options.output,
            files=FilesHere(),
        )
    except (JobError, ExportRefusedError, ParityError) as error:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "failure").write_text(str(error), encoding="utf-8")
        print(error)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="backtest_probe", description=__doc__, allow_abbrev=False)
    for name in ("train", "window", "plan", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
