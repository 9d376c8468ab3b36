"""A backtest's training run: the training job and the evaluation job, one after the other, without a cloud.

    python -m everloop.training.backtest_candidate --train FOLDER --test FOLDER --test-features FOLDER …

Written to ``--output``: what the evaluation job writes. With ``--evaluated`` it is the refit of that candidate, and its
check. With ``--older`` a version that has served before is in the candidate's place, on the test rows that it has not
learned from. Champion and older version are folders that earlier runs wrote.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tarfile
import tempfile
from functools import partial
from pathlib import Path

from everloop.dataset.held_groups import HeldGroups
from everloop.dataset.part_digest import files_of, part_sha256
from everloop.dataset.standing import NONE
from everloop.documents.snapshot import HELD_OUT
from everloop.evaluation.exceptions import EvaluationError
from everloop.evaluation.report import OlderFacts
from everloop.instants import parse_instant
from everloop.json_text import read_json
from everloop.manifest import CONTRACT, MODEL, sha256_hex
from everloop.registry.records import Window
from everloop.serving.contract import ServingContract
from everloop.serving.scorer import Scorer
from everloop.training import train
from everloop.training.candidate import FILES, Candidate, candidate_of, read_candidate
from everloop.training.champion import RECORD, Champion, held_out_of
from everloop.training.channels import Split, read_split
from everloop.training.declaration import read_declaration
from everloop.training.evaluate import evaluate
from everloop.training.exceptions import JobError
from everloop.training.older import Older, unlearned_rows
from everloop.training.onnx_export import ExportRefusedError, ParityError
from everloop.training.refit_check import Run, check_refit, read_sibling
from everloop.training.standing import StandingRows


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
        tuned = None if declaration.training.tuning is None else options.evaluated
        refit = trained(code, options, test, refit=True, tuned=tuned)
        check_refit(declaration, refit, read_sibling(options.evaluated), test, about, options.output)
        return
    champion = None if options.champion is None else version_in(options.champion, options.champion_version)
    older = None
    if options.older is not None:
        older = older_in(options.older, options.older_version)
        test, candidate = unlearned_rows(older, test), older.candidate
    else:
        candidate = trained(code, options, test, refit=False)
    facts = None if older is None else older.facts
    history = partial(windows_in, options)
    standing = None
    if options.standing is not None:
        rows = read_split(options.standing, declaration, labelled=True)
        standing = StandingRows(part_sha256(files_of(options.standing)), rows)
    evaluate(
        declaration, candidate, champion, test, about, options.output, history=history, older=facts, standing=standing
    )


def trained(
    code: Path, options: argparse.Namespace, test: Split, *, refit: bool, tuned: Path | None = None
) -> Candidate:
    """What the training job makes of the rows; a refit takes the parameters that ``tuned`` has."""
    with tempfile.TemporaryDirectory(prefix="everloop-candidate-") as scratch:
        folder = Path(scratch)
        train.run(
            train.Job(
                code=code,
                train=options.train,
                test_features=options.test_features,
                model=folder / "model",
                test=options.test if refit else None,
                tuned=tuned,
                environment={HELD_OUT: options.held_out},
            )
        )
        with tarfile.open(folder / "model.tar.gz", "w:gz", compresslevel=1) as archive:
            archive.add(folder / "model", arcname=".")
        return read_candidate(folder, len(test))


def version_in(folder: Path, number: int) -> Champion:
    """A version that serves or has served, from the files that its own run wrote."""
    contract = ServingContract.from_json((folder / CONTRACT).read_bytes())
    record = read_json((folder / RECORD).read_bytes())
    learned_until = parse_instant(record["time_range"][1])
    scorer = Scorer.from_bytes((folder / MODEL).read_bytes(), contract)
    return Champion(number, contract, scorer, learned_until, held_out_of(record), HeldGroups.from_record(record))


def older_in(folder: Path, number: int) -> Older:
    """A version that has served, to be judged again; the hash of its model stands for that of its manifest."""
    registered = version_in(folder, number)
    files = {name: (folder / name).read_bytes() for name in FILES}
    candidate = candidate_of(files)
    return Older(candidate, registered, OlderFacts(number, sha256_hex(files[MODEL]), registered.learned_until))


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
    parser.add_argument("--older", type=Path)
    parser.add_argument("--older-version", type=int, default=0)
    parser.add_argument("--windows", type=Path)
    parser.add_argument("--evaluated", type=Path)
    parser.add_argument("--standing", type=Path, help="the standing set; without it there is none")
    parser.add_argument("--held-out", default=NONE, help="its period")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
