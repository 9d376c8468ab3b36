"""A small model, its rows, and its jobs as SageMaker would run them."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from everloop.infra.pipeline_jobs import evaluation_job, older_evaluation_job, refit_check_job
from everloop.model_file.schema import ModelDeclaration
from everloop.training.channels import Split
from tests.fakes.registry_table import TABLE
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.job_python import VARIABLES, job_path

ROOT = Path(__file__).parents[2]
OPT_ML = "/opt/ml"
CLASSIFIER = """
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder


def train(features, target, *, seed, parameters):
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    pre = ColumnTransformer([("cat", encoder, ["line", "operator"])], remainder="passthrough")
    model = HistGradientBoostingClassifier(random_state=seed, max_iter=parameters.get("trees", 20))
    return Pipeline([("pre", pre), ("model", model)]).fit(features, target)
"""
REGRESSOR = """
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def train(features, target, *, seed, parameters):
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    pre = ColumnTransformer(
        [
            ("num", numbers, ["distance", "wind"]),
            ("cat", OneHotEncoder(handle_unknown="ignore"), ["line", "operator"]),
        ]
    )
    noise = np.random.normal(0, 1e-3, len(target))  # the unseeded kind that scripts have
    return make_pipeline(pre, Ridge()).fit(features, target + noise)
"""


def classification() -> ModelDeclaration:
    problem = {"baseline": {"kind": "group_mean", "by": "line"}}
    gate = {"slices": {"by": [{"by": "line"}, {"by": "wind"}], "pairs": True, "max_worse_than_baseline": 0.1}}
    gate["fairness"] = {"by": [{"by": "line"}], "max_calibration_gap": 0.5}
    return declare(binary_document(training={"seed": 7, "parameters": {"trees": 25}}, problem=problem, gate=gate))


def regression() -> ModelDeclaration:
    return declare(regression_document())


def rows(declaration: ModelDeclaration, count: int, first_day: int, seed: int) -> pd.DataFrame:
    """Labelled rows as a snapshot holds them, 100 to a day, with nulls where values are missing."""
    rng = np.random.default_rng(seed)
    distance = rng.integers(1, 900, count).astype(float)
    wind = np.where(rng.random(count) < 0.1, np.nan, rng.gamma(2, 6, count))
    line = rng.choice(["north", "south"], count)
    operator = rng.choice(np.array(["a", "b", "c", None]), count, p=[0.5, 0.3, 0.1, 0.1])
    z = -1 + 0.08 * np.nan_to_num(wind, nan=20) + 0.8 * (line == "north") - 0.001 * distance
    late = rng.random(count) < 1 / (1 + np.exp(-z))
    classes = declaration.problem.type == "binary_classification"
    start = np.datetime64("2013-01-01T06:00:00", "ms") + np.timedelta64(first_day, "D")
    time = start + (np.arange(count) // 100) * np.timedelta64(1, "D") + np.arange(count) % 100
    return pd.DataFrame(
        {
            "key": [f"t{first_day}-{i}" for i in range(count)],
            "time": time,
            "label": late.astype(float) if classes else 10 * z + rng.normal(0, 3, count),
            "distance": distance,
            "wind": wind,
            "line": line,
            "operator": operator,
        }
    )


def write_parts(frame: pd.DataFrame, folder: Path, parts: int = 1) -> Path:
    folder.mkdir(parents=True)
    for index, positions in enumerate(np.array_split(np.arange(len(frame)), parts)):
        frame.iloc[positions].to_parquet(folder / f"part-{index}.parquet", index=False)
    return folder


def unpacked_source(folder: Path, declaration: ModelDeclaration, script: str) -> Path:
    """The code archive's content, as a folder."""
    ignore = shutil.ignore_patterns("__pycache__", "entry", "cli", "functions", "infra")
    shutil.copytree(ROOT / "everloop", folder / "everloop", ignore=ignore)
    for name in ("train_entry.py", "evaluate.sh", "probe.sh"):
        shutil.copy(ROOT / "training" / "entry" / name, folder / name)
    shutil.copy(ROOT / "training" / "requirements.txt", folder / "requirements.txt")
    (folder / "declaration.json").write_text(declaration.model_dump_json(), encoding="utf-8")
    (folder / "user_model").mkdir()
    (folder / "user_model" / "train.py").write_text(script, encoding="utf-8")
    return folder


@dataclass
class Jobs:
    """A training and an evaluation job below ``root``; ``search_path`` is where they find their programs."""

    root: Path
    declaration: ModelDeclaration
    script: str
    count: int = 3000
    environment: dict[str, str] = field(default_factory=dict)
    search_path: str = field(default_factory=job_path)

    def __post_init__(self) -> None:
        self.test_rows = rows(self.declaration, 1000, 31, 2)
        train = rows(self.declaration, self.count, 0, 1)
        self.train_channel = write_parts(train, self.root / "train", parts=3)
        self.test_channel = write_parts(self.test_rows, self.root / "test")
        self.features_channel = write_parts(self.test_rows.drop(columns="label"), self.root / "test_features")
        self.source = unpacked_source(self.root / "source", self.declaration, self.script)

    def train(self, name: str = "model") -> tuple[subprocess.CompletedProcess[str], Path]:
        model = self.root / name
        variables = {
            "SM_MODEL_DIR": str(model),
            "SM_CHANNEL_TRAIN": str(self.train_channel),
            "SM_CHANNEL_TEST_FEATURES": str(self.features_channel),
            "SM_OUTPUT_DIR": str(self.root / "output"),
        }
        command = ["python3", str(self.source / "train_entry.py"), "--trees", "5"]
        return self._run(command, variables), model

    def refit(self, name: str = "refit") -> tuple[subprocess.CompletedProcess[str], Path]:
        """The same program, with the test rows and their labels in place of their features alone."""
        model = self.root / name
        variables = {
            "SM_MODEL_DIR": str(model),
            "SM_CHANNEL_TRAIN": str(self.train_channel),
            "SM_CHANNEL_TEST": str(self.test_channel),
            "SM_OUTPUT_DIR": str(self.root / "output"),
        }
        return self._run(["python3", str(self.source / "train_entry.py")], variables), model

    def check_refit(
        self, model: Path, evaluated: Path, *, name: str = "check"
    ) -> tuple[subprocess.CompletedProcess[str], Path]:
        """Run the check of the refit ``model`` beside what an evaluation wrote."""
        asked = refit_check_job(self.declaration, next_state="JudgeRefit", catch="RefitFailed")["Parameters"]
        return self._process(asked, name, model, {}, evaluated=evaluated)

    def evaluate(
        self, model: Path, *, champion: str = "none", name: str = "evaluation"
    ) -> tuple[subprocess.CompletedProcess[str], Path]:
        """Run the job as the pipeline asks for it, with a folder called ``name`` for the container's ``/opt/ml``."""
        asked = evaluation_job(self.declaration, next_state="Gate", catch="CloseFailed")["Parameters"]
        return self._process(asked, name, model, {"champion_uri": champion})

    def evaluate_older(
        self, older: str, *, champion: str, name: str = "older"
    ) -> tuple[subprocess.CompletedProcess[str], Path]:
        """The same of a registered version in a candidate's place."""
        asked = older_evaluation_job(self.declaration, next_state="JudgeOlder", catch="CloseFailed")["Parameters"]
        return self._process(asked, name, None, {"champion_uri": champion, "older.artifact_uri": older})

    def _process(
        self,
        asked: dict[str, Any],
        name: str,
        model: Path | None,
        run: dict[str, str],
        *,
        evaluated: Path | None = None,
    ) -> tuple[subprocess.CompletedProcess[str], Path]:
        self._fill(asked["ProcessingInputs"], name, model, evaluated)
        run = {"run_id": "train-0123", **run}
        known = {f"$.run.result.{field}": value for field, value in run.items()}
        known["$.snapshot.result.snapshot_hash"] = "abc"
        specification = asked["AppSpecification"]
        written = specification["ContainerArguments.$"].replace("${Table}", TABLE)
        words = re.findall(r"'([^']*)'|(\$[\w.]+)", written)
        arguments = [text if text else known[path] for text, path in words]
        command = [self._inside(name, word) for word in [*specification["ContainerEntrypoint"], *arguments]]
        (output,) = asked["ProcessingOutputConfig"]["Outputs"]
        return self._run(command, {}), Path(self._inside(name, output["S3Output"]["LocalPath"]))

    def message(self, name: str) -> str:
        """What SageMaker would show as the ExitMessage of the evaluation of that name."""
        return Path(self._inside(name, "/opt/ml/output/message")).read_text(encoding="utf-8")

    def _fill(self, inputs: list[dict[str, Any]], name: str, model: Path | None, evaluated: Path | None) -> None:
        places = {item["InputName"]: Path(self._inside(name, item["S3Input"]["LocalPath"])) for item in inputs}
        shutil.copytree(self.test_channel, places.pop("test"))
        if evaluated is not None:
            shutil.copytree(evaluated, places.pop("evaluated"))
        # The archives keep the names they have in S3: the CDK calls its own by their hash.
        for kind, folder, archive in (("code", self.source, "0a1b.gz"), ("model", model, "model.tar.gz")):
            if folder is None:
                continue
            place = places.pop(kind)
            place.mkdir(parents=True)
            with tarfile.open(place / archive, "w:gz", compresslevel=1) as tar:
                for path in sorted(folder.iterdir()):
                    tar.add(path, arcname=path.name)
        assert places == {}, "the pipeline hands over what nobody made here"

    def _inside(self, name: str, word: str) -> str:
        """A word of the command, with a path of the container led to its folder."""
        return str(self.root / name) + word.removeprefix(OPT_ML) if word.startswith(OPT_ML) else word

    def _run(self, command: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
        bare = {"PATH": self.search_path, "HOME": str(self.root), **VARIABLES}
        return subprocess.run(
            command,
            env=bare | self.environment | variables,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def split_of(frame: pd.DataFrame) -> Split:
    """Labelled rows as a job reads them."""
    times = frame["time"].to_numpy().astype("datetime64[ms]")
    first, last = (pd.Timestamp(t, tz="UTC").to_pydatetime() for t in (times.min(), times.max()))
    features = frame[["distance", "wind", "line", "operator"]]
    return Split(features, frame["label"].to_numpy(), times, first, last)
