"""What learning from the test days as well is worth, on streams that change.

    python benchmarks/refit.py [--streams weather electricity …] [--seed 7] [--data FOLDER]

A model is trained on the beginning of a stream and once more every fortnight, on all rows labelled by then; the newest
seven days are its test part. Every candidate is promoted: what differs between the columns is the model that serves.

- frozen: the first model, for ever.
- none: the model that was evaluated, which learned from nothing of the test part.
- after_gate: its refit, as long as the product's own decision (everloop.evaluation.refit) lets it serve.

The table gives the log loss and the AUC over all rows served. Beside them stands how far refits were from their
siblings, in the unit of ``training.refit_max_difference``, and the same for three faults that a refit may have: the
newest labels turned over, labels that belong to other rows, and the newest rows alone. So one sees which bound tells
sound refits from these.

The streams are public, in the order they come in: covtype (every tenth row), electricity and weather are files of the
source package scikit-multiflow 0.4.1, which is fetched with pip into .cache; SEA and Hyperplane are made here after
their papers, from the seed. A stream has no dates: so many rows in a row are a day.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from everloop.evaluation.refit import difference_and_fit  # noqa: E402
from everloop.model_file.schema import Gate, Training  # noqa: E402
from everloop.training.refit_check import score_difference  # noqa: E402

PACKAGE, FOLDER = "scikit-multiflow==0.4.1", "scikit-multiflow-0.4.1/src/skmultiflow/data/datasets/"
HISTORY_DAYS, TEST_DAYS, EVERY_DAYS = 56, 7, 14
SETTINGS = ("frozen", "none", "after_gate")


@dataclass(frozen=True)
class Stream:
    """Rows in their order, so many of them a day."""

    name: str
    features: np.ndarray
    target: np.ndarray
    rows_a_day: int

    @property
    def days(self) -> int:
        """The whole days there are."""
        return len(self.target) // self.rows_a_day

    def between(self, first_day: int, last_day: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of the days from the first on, up to but without the last."""
        rows = slice(first_day * self.rows_a_day, last_day * self.rows_a_day)
        return self.features[rows], self.target[rows]


def main() -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", nargs="*", choices=sorted(STREAMS), default=list(STREAMS))
    parser.add_argument("--models", nargs="*", choices=sorted(MODELS), default=list(MODELS))
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--data", type=Path, default=ROOT / ".cache" / "streams", help="where the files are kept")
    options = parser.parse_args()
    found = [
        measure(STREAMS[name](options.data, options.seed), model, options.seed)
        for name in options.streams
        for model in options.models
    ]
    print(table(found))
    print()
    print(distances(found))
    return 0


@dataclass
class Measured:
    """What one stream and one kind of model came to."""

    stream: str
    model: str
    retrainings: int
    rows: int
    log_loss: dict[str, float]
    auc: dict[str, float]
    refits: int = 0
    distance: dict[str, list[float]] = field(default_factory=dict)
    gain: dict[str, list[float]] = field(default_factory=dict)


def measure(stream: Stream, kind: str, seed: int) -> Measured:
    """Live through the stream once for all three settings: their trainings are the same."""
    scores: dict[str, list[np.ndarray]] = {name: [] for name in SETTINGS}
    distance: dict[str, list[float]] = {name: [] for name in ("sound", *FAULTS)}
    gain: dict[str, list[float]] = {name: [] for name in distance}
    trainings = range(HISTORY_DAYS, stream.days, EVERY_DAYS)
    refits, frozen, started = 0, None, time.monotonic()
    for number, day in enumerate(trainings):
        train, test = stream.between(0, day - TEST_DAYS), stream.between(day - TEST_DAYS, day)
        sibling, refit = fit(kind, train, seed), fit(kind, stream.between(0, day), seed)
        held = judge(sibling, refit, test, distance["sound"], gain["sound"])
        refits += held
        for name, fault in FAULTS.items():
            rng = np.random.default_rng([seed, number])
            judge(sibling, fit(kind, fault(train, test, rng), seed), test, distance[name], gain[name])
        frozen = frozen or (refit if held else sibling)
        asked, _ = stream.between(day, min(day + EVERY_DAYS, stream.days))
        serving = {"frozen": frozen, "none": sibling, "after_gate": refit if held else sibling}
        for name, model in serving.items():
            scores[name].append(answer(model, asked))
        sys.stderr.write(
            f"\r{stream.name}, {kind}: {number + 1} of {len(trainings)} trainings, {time.monotonic() - started:.0f} s "
        )
    sys.stderr.write("\n")
    _, target = stream.between(HISTORY_DAYS, stream.days)
    whole = {name: np.concatenate(parts) for name, parts in scores.items()}
    return Measured(
        stream=stream.name,
        model=kind,
        retrainings=len(trainings) - 1,
        rows=len(target),
        log_loss={name: float(log_loss(target, answers, labels=[0, 1])) for name, answers in whole.items()},
        auc={name: float(roc_auc_score(target, answers)) for name, answers in whole.items()},
        refits=refits,
        distance=distance,
        gain=gain,
    )


Rows = tuple[np.ndarray, np.ndarray]


class Classifier(Protocol):
    """What scikit-learn's classifiers have in common."""

    def fit(self, features: np.ndarray, target: np.ndarray) -> Self:
        """Learn from the rows; the classifier itself."""
        ...

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """The probability of each class, one row each: array (rows, classes)."""
        ...


def fit(kind: str, rows: Rows, seed: int) -> Classifier:
    """Train one model."""
    return MODELS[kind](seed).fit(*rows)


def answer(model: Classifier, features: np.ndarray) -> np.ndarray:
    """The probability of the positive class for each row."""
    return np.asarray(model.predict_proba(features)[:, 1])


def judge(sibling: Classifier, refit: Classifier, test: Rows, distance: list[float], gain: list[float]) -> bool:
    """Note distance and fit of a refit, and whether the product lets it serve by these two."""
    features, target = test
    before, after = answer(sibling, features), answer(refit, features)
    found = score_difference(before, after, target)
    loss_before, loss_after = (float(log_loss(target, scores, labels=[0, 1])) for scores in (before, after))
    if found.relative is not None:
        distance.append(found.relative)
    gain.append(loss_after - loss_before)
    reasons = difference_and_fit(found, "log_loss", loss_before, loss_after, Training(), Gate(metric="log_loss"))
    return all(reason.passed for reason in reasons)


def turned_over(train: Rows, test: Rows, rng: np.random.Generator) -> Rows:
    """Train and test rows, the test labels turned over."""
    return np.vstack([train[0], test[0]]), np.concatenate([train[1], 1 - test[1]])


def of_other_rows(train: Rows, test: Rows, rng: np.random.Generator) -> Rows:
    """Train and test rows, each with the label of some other one."""
    return np.vstack([train[0], test[0]]), rng.permutation(np.concatenate([train[1], test[1]]))


def newest_alone(train: Rows, test: Rows, rng: np.random.Generator) -> Rows:
    """The test rows alone, where these have both classes."""
    return test if len(np.unique(test[1])) == 2 else train


FAULTS: dict[str, Callable[[Rows, Rows, np.random.Generator], Rows]] = {
    "newest labels turned over": turned_over,
    "labels of other rows": of_other_rows,
    "newest rows alone": newest_alone,
}


def _trees(seed: int) -> Classifier:
    found: Classifier = HistGradientBoostingClassifier(
        random_state=seed, early_stopping=False, learning_rate=0.05, max_iter=150, max_leaf_nodes=15
    )
    return found


def _linear(seed: int) -> Classifier:
    found: Classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    return found


MODELS: dict[str, Callable[[int], Classifier]] = {"trees": _trees, "linear": _linear}


def covtype(data: Path, seed: int) -> Stream:
    """Is the cover lodgepole pine? Every tenth of 581,012 rows, 100 a day."""
    frame = read("covtype.csv", data).iloc[::10]
    return Stream("covtype", frame.iloc[:, :-1].to_numpy(float), (frame.iloc[:, -1] == 2).to_numpy(int), 100)


def electricity(data: Path, seed: int) -> Stream:
    """Does the price rise? 45,312 half hours."""
    frame = read("elec.csv", data)
    return Stream("electricity", frame.iloc[:, :-1].to_numpy(float), frame.iloc[:, -1].to_numpy(int), 48)


def weather(data: Path, seed: int) -> Stream:
    """Does it rain? 18,159 days of half a century, thirty of which are called a day here."""
    frame = read("weather.csv", data)
    return Stream("weather", frame.iloc[:, :-1].to_numpy(float), frame.iloc[:, -1].to_numpy(int), 30)


def sea(data: Path, seed: int) -> Stream:
    """Street and Kim (2001): four thresholds one after another, a tenth of the labels wrong."""
    rng = np.random.default_rng(seed)
    days, rows_a_day = 350, 60
    features = rng.uniform(0, 10, (days * rows_a_day, 3))
    concept = np.arange(len(features)) * 4 // len(features)
    threshold = np.array([8.0, 9.0, 7.0, 9.5])[concept]
    target = (features[:, 0] + features[:, 1] <= threshold).astype(int)
    wrong = rng.random(len(target)) < 0.1
    return Stream("sea", features, np.where(wrong, 1 - target, target), rows_a_day)


def hyperplane(data: Path, seed: int) -> Stream:
    """Hulten, Spencer and Domingos (2001): a plane in ten dimensions that turns a little every row."""
    rng = np.random.default_rng(seed)
    days, rows_a_day = 350, 60
    features = rng.random((days * rows_a_day, 10))
    weights = rng.random(10) + np.cumsum(rng.choice([-1, 1], 10)[None, :] * np.full((len(features), 1), 1e-4), axis=0)
    target = ((features * weights).sum(1) >= weights.sum(1) / 2).astype(int)
    wrong = rng.random(len(target)) < 0.05
    return Stream("hyperplane", features, np.where(wrong, 1 - target, target), rows_a_day)


STREAMS: dict[str, Callable[[Path, int], Stream]] = {
    "covtype": covtype,
    "electricity": electricity,
    "weather": weather,
    "sea": sea,
    "hyperplane": hyperplane,
}


def read(name: str, data: Path) -> pd.DataFrame:
    """A file of the package, which is fetched first where it is not there yet."""
    file = data / name
    if not file.is_file():
        fetch(data)
    return pd.read_csv(file)


def fetch(data: Path) -> None:
    """Take the streams out of the source package. pip wants to prepare what it downloads, so it is given the tools."""
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        tools = Path(scratch) / "tools"
        python = str(tools / "bin" / "python")
        subprocess.run([sys.executable, "-m", "venv", str(tools)], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "setuptools<80", "wheel", "numpy", "cython"], check=True)
        options = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", scratch]
        subprocess.run([python, "-m", "pip", "download", "-q", *options, PACKAGE], check=True)
        (archive,) = Path(scratch).glob("*.tar.gz")
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if member.isfile() and member.name.startswith(FOLDER) and member.name.endswith(".csv"):
                    stream = tar.extractfile(member)
                    assert stream is not None
                    (data / Path(member.name).name).write_bytes(stream.read())


def table(found: list[Measured]) -> str:
    """Log loss and AUC of the three settings, as Markdown."""
    head = ["stream", "model", "rows served", "retrained", "refits that served"]
    head += [f"log loss {name}" for name in SETTINGS] + [f"AUC {name}" for name in SETTINGS]
    rows = [
        [m.stream, m.model, f"{m.rows:,}", str(m.retrainings), f"{m.refits} of {m.retrainings + 1}"]
        + [f"{m.log_loss[name]:.4f}" for name in SETTINGS]
        + [f"{m.auc[name]:.4f}" for name in SETTINGS]
        for m in found
    ]
    return markdown(head, rows)


def distances(found: list[Measured]) -> str:
    """How far refits were from their siblings: least, median and largest mean difference, and the loss they added."""
    head = ["stream", "model", "refit", "distance least", "median", "largest", "loss more: least", "median", "largest"]
    rows = [
        [m.stream, m.model, name, *_three(m.distance[name], ".3f"), *_three(m.gain[name], "+.4f")]
        for m in found
        for name in m.distance
    ]
    return markdown(head, rows)


def _three(values: list[float], form: str) -> Iterator[str]:
    for value in (min(values), float(np.median(values)), max(values)):
        yield format(value, form)


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
