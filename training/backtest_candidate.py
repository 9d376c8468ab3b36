"""A backtest's training run: the training job and the evaluation job, one after the other, without a cloud.

    python -m everloop.training.backtest_candidate --train FOLDER --test FOLDER --test-features FOLDER …

Written to ``--output``: what the evaluation job writes. With ``--evaluated`` it is the refit of that candidate, and its
check. The champion is a folder that an earlier run wrote.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tarfile
import tempfile
from pathlib import Path

from everloop.evaluation.exceptions import EvaluationError
from everloop.instants import parse_instant
from everloop.json_text import read_json
from everloop.manifest import CONTRACT, MODEL
from everloop.model_file import ModelDeclaration
from everloop.registry.records import Window
from everloop.serving.contract import ServingContract
from everloop.serving.scorer import Scorer
from everloop.training import train
from everloop.training.candidate import Candidate, read_candidate
from everloop.training.champion import RECORD, Champion
from everloop.training.channels import Split, read_split
from everloop.training.declaration import read_declaration
from everloop.training.evaluate import evaluate
from everloop.training.exceptions import JobError
from everloop.training.onnx_export import ExportRefusedError, ParityError
from everloop.training.refit_check import Run, check_refit, read_sibling


def main(arguments: list[str]) -> int:
    """Run the job; the process's exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", stream=sys.stdout)
    options = _parser().parse_args(arguments)
    try:
        run(options)
    except (JobError, ExportRefusedError, ParityError, EvaluationError) as error:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "failure").write_text(str(error), encoding="utf-8")
        print(error)
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    """Train, export, check, evaluate and write.

    Raises
    ------
    JobError, ExportRefusedError, ParityError, EvaluationError
        As the deployed jobs raise them.
    """
    code = Path.cwd()
    declaration = read_declaration(code)
    test = read_split(options.test, declaration, labelled=True)
    about = Run(options.run_id, options.snapshot_hash)
    if options.evaluated is not None:
        refit = trained(code, options, test, refit=True)
        check_refit(declaration, refit, read_sibling(options.evaluated), test, about, options.output)
        return
    candidate = trained(code, options, test, refit=False)
    champion = champion_in(options, declaration)
    evaluate(declaration, candidate, champion, test, about, options.output, history=lambda: windows_in(options))


def trained(code: Path, options: argparse.Namespace, test: Split, *, refit: bool) -> Candidate:
    """What the training job makes of the rows."""
    with tempfile.TemporaryDirectory(prefix="everloop-candidate-") as scratch:
        folder = Path(scratch)
        train.run(
            train.Job(
                code=code,
                train=options.train,
                test_features=options.test_features,
                model=folder / "model",
                test=options.test if refit else None,
            )
        )
        with tarfile.open(folder / "model.tar.gz", "w:gz", compresslevel=1) as archive:
            archive.add(folder / "model", arcname=".")
        return read_candidate(folder, len(test))


def champion_in(options: argparse.Namespace, declaration: ModelDeclaration) -> Champion | None:
    """The version that serves, from the files that its own run wrote; None before the first."""
    if options.champion is None:
        return None
    folder: Path = options.champion
    contract = ServingContract.from_json((folder / CONTRACT).read_bytes())
    record = read_json((folder / RECORD).read_bytes())
    learned_until = parse_instant(record["time_range"][1])
    scorer = Scorer.from_bytes((folder / MODEL).read_bytes(), contract)
    return Champion(options.champion_version, contract, scorer, learned_until)


def windows_in(options: argparse.Namespace) -> list[Window]:
    """The windows that the loop recorded so far, newest first."""
    if options.windows is None:
        return []
    documents = read_json(options.windows.read_bytes())
    return [Window(each["model"], parse_instant(each["end"]), each) for each in documents]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="backtest_candidate", description=__doc__, allow_abbrev=False)
    for name in ("train", "test", "test-features", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--snapshot-hash", required=True)
    parser.add_argument("--champion", type=Path)
    parser.add_argument("--champion-version", type=int, default=0)
    parser.add_argument("--windows", type=Path)
    parser.add_argument("--evaluated", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
