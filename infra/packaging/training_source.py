"""The source of a model's SageMaker jobs: one ``sourcedir.tar.gz`` for training and evaluation.

``python -m everloop.infra.packaging.training_source MODEL_FOLDER TARGET`` writes it out as a folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

from everloop.infra.exceptions import PackagingError
from everloop.infra.packaging.files import read_folder, write_folder
from everloop.infra.packaging.imports import LocalModules, modules_of
from everloop.infra.packaging.own_packages import with_own_packages
from everloop.infra.settings import PACKAGE, DeclaredModel
from everloop.model_file.exceptions import ModelFileError
from everloop.model_file.reader import read_model_file
from everloop.model_file.samples import SAMPLES
from everloop.shown import visible

ENTRY_FOLDER = "entry"
USER_FOLDER = "user_model"
REQUIREMENTS = "requirements.txt"


def training_source(model: Path, declaration: bytes, *, root: Path = PACKAGE.parent) -> dict[str, bytes]:
    """What the archive holds.

    At its root the programs of ``training/entry/`` (SageMaker's script mode starts ``train_entry.py`` there),
    ``requirements.txt`` (which script mode installs, the packages of the model's own among them) and
    ``declaration.json``; next to them ``everloop/`` with the package ``training`` and the parts that it and the user's
    code import, and the model's folder as ``user_model/``.
    Sample rows in that folder stay behind: they are for trying the model, and would change the code's hash.

    Parameters
    ----------
    model : Path
        The model's folder.
    declaration : bytes
        The content of ``declaration.json``.
    root : Path
        Holds ``everloop/``.

    Raises
    ------
    PackagingError
        When a job's program or the requirements are missing, or the model's own requirements are not locked.
    """
    training = root / "everloop" / "training"
    entry = read_folder(training / ENTRY_FOLDER) if (training / ENTRY_FOLDER).is_dir() else {}
    for needed in ("train_entry.py", "evaluate.sh", "probe.sh"):
        if needed not in entry:
            raise PackagingError(f"{training / ENTRY_FOLDER / needed}: no such file; it starts the job")
    own = read_folder(training)
    if REQUIREMENTS not in own:
        raise PackagingError(f"{training / REQUIREMENTS}: no such file; the jobs install their packages from it")
    package = {n: d for n, d in own.items() if n.endswith(".py") and not n.startswith(f"{ENTRY_FOLDER}/")}
    user = {name: data for name, data in read_folder(model).items() if name not in SAMPLES}
    entries = [training / ENTRY_FOLDER / n for n in entry if n.endswith(".py")]
    entries += [training / n for n in package]
    entries += [model / n for n in user if n.endswith(".py")]
    modules = modules_of(root, "everloop") if root == PACKAGE.parent else LocalModules(root, "everloop")
    shared = modules.of(entries)
    return {
        **entry,
        REQUIREMENTS: with_own_packages(own[REQUIREMENTS], user.get(REQUIREMENTS), model / REQUIREMENTS),
        "declaration.json": declaration,
        **{f"everloop/training/{name}": data for name, data in package.items()},
        **{path.as_posix(): (root / path).read_bytes() for path in shared},
        **{f"{USER_FOLDER}/{name}": data for name, data in user.items()},
    }


def main(arguments: list[str]) -> int:
    """Write the source of the model in a folder to another folder; the exit status."""
    model, target = map(Path, arguments)
    try:
        declared = DeclaredModel(read_model_file(model / "model.yaml"), model)
        source = training_source(model, declared.document)
        write_folder(source, target)
    except (ModelFileError, PackagingError) as error:
        print(visible(str(error)), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
