"""Script mode: what the SageMaker training toolkit makes of a job's request for the program that it runs.

Held against the toolkit itself, name by name, by a test of the product that has it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.services.sagemaker.jobs.exceptions import ClientFailureError
from localcloud.services.sagemaker.jobs.root import JobRoot

HOST = "algo-1"
FRAMEWORK = "sagemaker_sklearn_container.training:main"
"""The image's own module, which calls the toolkit."""

_GROUP = "homogeneousCluster"
_PREFIX = "sagemaker_"
_OF_THE_TOOLKIT = frozenset(
    {
        "sagemaker_program",
        "sagemaker_submit_directory",
        "sagemaker_enable_cloudwatch_metrics",
        "sagemaker_region",
        "sagemaker_container_log_level",
        "sagemaker_job_name",
        "sagemaker_s3_output",
        "_tuning_objective_metric",
    }
)
"""Hyperparameters that the toolkit takes for itself; others of the prefix are a framework's."""

_LOG_LEVEL = 20


@dataclass(frozen=True)
class Script:
    """What to run: the program, its user arguments, and the decoded hyperparameters."""

    program: str
    submit_directory: str
    user_hyperparameters: Mapping[str, Any]
    framework_parameters: Mapping[str, Any]
    log_level: int = _LOG_LEVEL

    @classmethod
    def from_hyperparameters(cls, hyperparameters: Mapping[str, str]) -> Script:
        """Take a request's hyperparameters apart; values are JSON where they can be read as such.

        Raises
        ------
        ClientFailureError
            When the program or its directory is missing.
        """
        decoded = {name: _decode(value) for name, value in hyperparameters.items()}
        for name in ("sagemaker_program", "sagemaker_submit_directory"):
            if not decoded.get(name):
                raise ClientFailureError(
                    f"HyperParameters.{name} is missing: jobs run in script mode, with the program's name in "
                    "sagemaker_program and the s3:// URI of its tar.gz in sagemaker_submit_directory"
                )
        own = {name for name in decoded if name.startswith(_PREFIX)} | _OF_THE_TOOLKIT
        return cls(
            program=str(decoded["sagemaker_program"]),
            submit_directory=str(decoded["sagemaker_submit_directory"]),
            user_hyperparameters={k: v for k, v in decoded.items() if k not in own},
            framework_parameters={k: v for k, v in decoded.items() if k in own - _OF_THE_TOOLKIT},
            log_level=decoded.get("sagemaker_container_log_level", _LOG_LEVEL),
        )

    def arguments(self) -> list[str]:
        """User hyperparameters as ``--name value``, by name."""
        arguments: list[str] = []
        for name, value in sorted(self.user_hyperparameters.items()):
            arguments += [f"--{name}" if len(name) > 1 else f"-{name}", _argument(value)]
        return arguments

    def variables(
        self, root: JobRoot, job_name: str, resource: Mapping[str, Any], channels: Mapping[str, Any]
    ) -> dict[str, str]:
        """The toolkit's ``SM_*`` variables.

        Parameters
        ----------
        resource, channels : mapping
            ``resourceconfig.json`` and ``inputdataconfig.json``.
        """
        parameters = _rewritten(root, dict(self.user_hyperparameters))
        folders = {name: str(root.local(f"/opt/ml/input/data/{name}")) for name in channels}
        groups = {group["instance_group_name"]: group for group in resource["instance_groups"]}
        group = resource["current_group_name"]
        # As the toolkit's object of this name has it, which is a variable as a whole and the source of most others.
        environment: dict[str, Any] = {
            "additional_framework_parameters": dict(self.framework_parameters),
            "channel_input_dirs": folders,
            "current_host": resource["current_host"],
            "current_instance_group": group,
            "current_instance_group_hosts": groups[group]["hosts"],
            "current_instance_type": resource["current_instance_type"],
            "distribution_hosts": [],
            "distribution_instance_groups": [],
            "framework_module": FRAMEWORK,
            "hosts": resource["hosts"],
            "hyperparameters": parameters,
            "input_config_dir": str(root.local("/opt/ml/input/config")),
            "input_data_config": channels,
            "input_dir": str(root.local("/opt/ml/input")),
            "instance_groups": list(groups),
            "instance_groups_dict": groups,
            "is_hetero": False,
            "is_master": True,
            "is_modelparallel_enabled": None,
            "is_smddpmprun_installed": False,
            "is_smddprun_installed": False,
            "job_name": job_name,
            "log_level": self.log_level,
            "master_hostname": resource["current_host"],
            "model_dir": str(root.local("/opt/ml/model")),
            "module_dir": self.submit_directory,
            "module_name": self.program.removesuffix(".py"),
            "network_interface_name": resource["network_interface_name"],
            "num_cpus": os.cpu_count() or 1,
            "num_gpus": 0,
            "num_neurons": 0,
            "output_data_dir": str(root.local("/opt/ml/output/data")),
            "output_dir": str(root.local("/opt/ml/output")),
            "output_intermediate_dir": str(root.local("/opt/ml/output/intermediate")),
            "resource_config": resource,
            "user_entry_point": self.program,
        }
        variables = {name: environment[name] for name in _ALSO_BY_THEMSELVES}
        variables |= {
            "hps": parameters,
            "framework_params": environment["additional_framework_parameters"],
            "channels": sorted(channels),
            "training_env": environment,
            "user_args": [root.rewrite(argument) for argument in self.arguments()],
        }
        variables |= {f"channel_{name}": folder for name, folder in folders.items()}
        variables |= {f"hp_{name}": value for name, value in parameters.items()}
        return {f"SM_{name.upper()}": _variable(value) for name, value in variables.items()}


_ALSO_BY_THEMSELVES = (
    *("hosts", "network_interface_name", "user_entry_point", "resource_config", "input_data_config", "output_data_dir"),
    *("current_host", "current_instance_type", "current_instance_group", "current_instance_group_hosts"),
    *("instance_groups", "instance_groups_dict", "distribution_instance_groups", "is_hetero", "module_name"),
    *("log_level", "framework_module", "input_dir", "input_config_dir", "output_dir", "num_cpus", "num_gpus"),
    *("num_neurons", "model_dir", "module_dir", "output_intermediate_dir"),
)


def resource_config(instance_type: str) -> dict[str, Any]:
    """``resourceconfig.json`` of a job on one instance."""
    return {
        "current_host": HOST,
        "hosts": [HOST],
        "network_interface_name": "lo",
        "current_instance_type": instance_type,
        "current_group_name": _GROUP,
        "instance_groups": [{"instance_group_name": _GROUP, "instance_type": instance_type, "hosts": [HOST]}],
    }


def _decode(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _argument(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{k}={v}" for k, v in sorted(value.items()))
    return "" if value is None else str(value)


def _variable(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _rewritten(root: JobRoot, parameters: dict[str, Any]) -> dict[str, Any]:
    """The same, with texts that are paths of the container led to the job's folder."""
    return {name: root.rewrite(v) if isinstance(v, str) else v for name, v in parameters.items()}
