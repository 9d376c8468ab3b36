"""``everloop check``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError
from everloop.cli.operations.changes import changes_against_deployed, moved_address, removed_champion
from everloop.cli.operations.declarations import find_declaration, model_folders, sample_of
from everloop.cli.options import json_option, models_directory_option
from everloop.cli.output import Output
from everloop.evaluation.bounds import rows_needed
from everloop.model_file.exceptions import Mistake, ModelFileError
from everloop.model_file.schema import ModelDeclaration
from everloop.model_file.worst_case import training_run_usd
from everloop.numbers_of import number_of
from everloop.reasons import Reason
from everloop.typed_json import JsonObject
from everloop.undeclared import undeclared


@click.command()
@click.argument("models", nargs=-1)
@click.option("--no-sample", is_flag=True, help="Check only the declarations.")
@click.option(
    "--deployed", is_flag=True, help=("Also check against the account: the champion, and the rows in the lake.")
)
@models_directory_option
@json_option
def check(models: tuple[str, ...], no_sample: bool, deployed: bool, models_directory: Path, as_json: bool) -> None:
    """Check the declarations of MODELS, or all of them.

    Where a `sample.csv` or `sample.parquet` lies beside a declaration, the model is also tried on it, as `everloop
    try` does. The gate's verdict on a sample is shown, and is not a mistake.

    With --deployed, what the champion still needs, and columns that lie in the lake as another type, are mistakes too:
    type it before you deploy a changed declaration. So is a deployed model whose folder is gone. Where callers will
    have to ask at another address, that is said and is no mistake. It reads the account; without it, nothing does.

    Every mistake of every model is named: of the declaration, of what its folder holds, of what the limits of the
    services allow. Exit status 1 when any has one.
    """
    output = Output(as_json)
    folders, account = model_folders(models_directory), Account() if deployed else None
    gone = {} if account is None else undeclared(account.model_names(), folders)
    names = list(dict.fromkeys(models)) or [*folders, *gone]
    if not names:
        raise CommandError(
            f"no models/<name>/model.yaml in {models_directory.resolve()}",
            "`everloop docs add-a-model` shows how to add one",
        )
    results: list[JsonObject] = []
    for name in names:
        if name in gone:
            results.append({"model": name, "ok": False, "mistakes": [], "undeclared": gone[name]})
            output.say(f"{name}: {gone[name]}")
            continue
        try:
            declaration = find_declaration(name, models_directory)
        except ModelFileError as error:
            results.append({"model": name, "ok": False, "mistakes": error.mistakes})
            for line in str(error).split("\n"):
                output.say(line)
        except CommandError as error:
            # A model that is not there is a mistake among the others, and no end of the check.
            mistakes = [Mistake("", 0, error.message, error.remedy)]
            results.append({"model": name, "ok": False, "mistakes": mistakes})
            output.say(f"{name}: {error.message}")
            output.say(f"  → {error.remedy}")
        else:
            results.append(_good(output, name, declaration))
            if not no_sample:
                results[-1] |= _tried(output, name, declaration, models_directory / name)
            if account is not None:
                results[-1] |= _against_deployed(output, name, declaration, account)
    output.document(results)
    if not all(result["ok"] for result in results):
        sys.exit(1)


def _good(output: Output, name: str, declaration: ModelDeclaration) -> JsonObject:
    features, cost = len(declaration.data.features), training_run_usd(declaration)
    kind = f"{declaration.problem.type}, {number_of(features, 'feature')}"
    gate = declaration.gate
    rows = max(gate.minimum_test_rows, rows_needed(gate.confidence, gate.rarest_fault))
    output.say(
        f"{name}: good ({kind}, at most ${cost:.3f} for the jobs of a training run, "
        f"{number_of(rows, 'test row')} for the gate)"
    )
    return {"model": name, "ok": True, "mistakes": [], "training_run_usd": cost, "test_rows_needed": rows}


def _tried(output: Output, name: str, declaration: ModelDeclaration, folder: Path) -> JsonObject:
    """What came of trying the model on its sample, where there is one."""
    sample = sample_of(folder)
    if sample is None:
        return {}
    from everloop.cli.operations.trial import try_file  # with pandas, which a check without samples does not need

    try:
        trial = try_file(declaration, folder, sample, say=output.note)
    except CommandError as error:
        output.say(f"{name}: {sample.name}, which must be a plain CSV or Parquet file, has a mistake: {error}")
        return {"ok": False, "sample": {"file": str(sample), "error": error.message, "remedy": error.remedy}}
    output.say(f"{name}: {sample.name} trains, is exported and evaluated; the gate {_judged(trial.reasons)}")
    return {"sample": {"file": str(sample), "verdict": trial.verdict, "reasons": trial.reasons}}


def _against_deployed(output: Output, name: str, declaration: ModelDeclaration, account: Account) -> JsonObject:
    changes = changes_against_deployed(account, declaration)
    for change in changes:
        output.say(f"{name}: {change.sentence}")
    removed = removed_champion(account, name)
    if removed is not None:
        output.say(
            f"{name}: was removed, but version {removed} is still its champion; after you deploy it again,"
            f" `everloop rollout start {name}` makes it serve"
        )
    moved = moved_address(account, declaration)
    if moved is not None:
        output.say(f"{name}: {moved}")
    if not changes:
        output.say(f"{name}: fits what is {'deployed' if removed is None else 'left of it'}")
    return {"changes": changes, "moved": moved, **({"ok": False} if changes else {})}


def _judged(reasons: Sequence[Reason]) -> str:
    failed = [reason.sentence for reason in reasons if not reason.passed]
    missed = [reason.sentence for reason in reasons if reason.code == "rarest_fault"]
    return f"would pass it. {' '.join(missed)}" if not failed else f"would refuse it: {' '.join(failed)}"
