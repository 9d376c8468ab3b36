"""What the training toolkit makes of hyperparameters and requirements."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.services.sagemaker.jobs.exceptions import ClientFailureError
from localcloud.services.sagemaker.jobs.script_mode import Script
from localcloud.services.sagemaker.jobs.training import unmet_requirements

NAMES = {"sagemaker_program": "train.py", "sagemaker_submit_directory": "s3://b/c.tar.gz"}


def test_user_hyperparameters_become_arguments_by_name() -> None:
    script = Script.from_hyperparameters({**NAMES, "depth": "3", "a": "x", "name": '"quoted"', "flag": "true"})
    assert script.arguments() == ["-a", "x", "--depth", "3", "--flag", "True", "--name", "quoted"]
    assert script.user_hyperparameters == {"depth": 3, "a": "x", "name": "quoted", "flag": True}


def test_the_sdk_quotes_the_program_and_step_functions_does_not() -> None:
    quoted = Script.from_hyperparameters({name: f'"{value}"' for name, value in NAMES.items()})
    assert quoted == Script.from_hyperparameters(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_job_without_a_script_is_refused(name: str) -> None:
    with pytest.raises(ClientFailureError, match=name):
        Script.from_hyperparameters({key: value for key, value in NAMES.items() if key != name})


def test_requirements_that_are_not_met_are_remarked(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(
        "# comment\n-r other.txt\npytest\npytest==0.0.1 \\\n    --hash=sha256:00\nno-such-package-here>=1\n"
        "pytest==0.0.2; python_version < '3'\n"
    )
    remarks = unmet_requirements(file)
    assert len(remarks) == 2
    assert remarks[0].startswith("requirements.txt: pytest==0.0.1 is wanted, ")
    assert "no-such-package-here>=1 is not installed" in remarks[1]
