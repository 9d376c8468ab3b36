"""Jobs through the API: they run scripts under the container contract, with their role's rights."""

from __future__ import annotations

import io
import json
import re
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.core.preloaded.preloading import CAN_PRELOAD
from localcloud.core.settings import Settings, SettingsError
from localcloud.services.sagemaker import hook
from localcloud.services.sagemaker.jobs.preload import preloading
from localcloud.services.sagemaker.jobs.spot import spot_interruptions
from support.in_process import START, Cloud, MakeCloud, allow

SAGEMAKER = "sagemaker.amazonaws.com"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
TRAIN = """
import argparse, json, os, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--depth", type=int)
parser.add_argument("--model-dir", dest="model_dir")
arguments = parser.parse_args()
rows = (pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]) / "part/a.csv").read_text()
model = pathlib.Path(os.environ["SM_MODEL_DIR"])
config = pathlib.Path(os.environ["SM_INPUT_CONFIG_DIR"])
(model / "model.json").write_text(json.dumps({
    "rows": rows, "depth": arguments.depth, "model_dir_is_same": arguments.model_dir == str(model),
    "channels": json.loads(os.environ["SM_CHANNELS"]),
    "hps": json.loads(os.environ["SM_HPS"].replace(str(model), "the one of models")),
    "env": os.environ["EXTRA"], "job": os.environ["TRAINING_JOB_NAME"], "region": os.environ["AWS_REGION"],
    "config": sorted(p.name for p in config.iterdir()), "inherits": "PYTEST_CURRENT_TEST" in os.environ,
}))
(pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"]) / "extra.txt").write_text("more")
print("trained")
"""


STEPS = """
import json, os, pathlib, time
kept, model = (pathlib.Path(os.environ["SM_MODEL_DIR"]).parent / name for name in ("checkpoints", "model"))
left = [path.name for path in model.iterdir()]
(model / "begun").write_text("")
step = kept / str(len(list(kept.iterdir())))
step.write_text("kept")
if step.name == "0":
    time.sleep(50)
steps = sorted(path.name for path in kept.iterdir())
(model / "model.json").write_text(json.dumps({"steps": steps, "left": left}))
"""


def tarball(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "."))
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Jobs:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.client = cloud.client("sagemaker")
        self.s3 = cloud.client("s3")
        self.s3.create_bucket(Bucket="lake")
        self.s3.put_object(Bucket="lake", Key="train/part/a.csv", Body=b"1,2,3")
        self.role = cloud.role("job", SAGEMAKER, allow("*"))

    def train(
        self, script: str, name: str = "job-1", run: bool = True, role: str | None = None, **more: Any
    ) -> dict[str, Any]:
        self.s3.put_object(Bucket="lake", Key="code.tar.gz", Body=tarball(train__py=script))
        hyperparameters = {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": "s3://lake/code.tar.gz",
            **more.pop("hyperparameters", {}),
        }
        channel = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://lake/train/"}}
        request = {
            "TrainingJobName": name,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "RoleArn": role or self.role,
            "HyperParameters": hyperparameters,
            "InputDataConfig": [{"ChannelName": "train", "DataSource": channel}],
            "OutputDataConfig": {"S3OutputPath": "s3://lake/runs"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            **more,
        }
        self.client.create_training_job(**request)
        if run:
            self.cloud.wait_until_quiet()
        return dict(self.client.describe_training_job(TrainingJobName=name))

    def process(
        self,
        script: str,
        *arguments: str,
        name: str = "job-1",
        entrypoint: list[str] | None = None,
        role: str | None = None,
        outputs: bool = True,
        **more: Any,
    ) -> dict[str, Any]:
        self.s3.put_object(Bucket="lake", Key="scripts/run.py", Body=script.encode())
        code = {"S3Uri": "s3://lake/scripts/run.py", "LocalPath": "/opt/ml/processing/input/code"}
        data = {"S3Uri": "s3://lake/train", "LocalPath": "/opt/ml/processing/input/data"}
        common = {"S3DataType": "S3Prefix", "S3InputMode": "File"}
        result = {"S3Uri": "s3://lake/out/", "LocalPath": "/opt/ml/processing/output", "S3UploadMode": "EndOfJob"}
        self.client.create_processing_job(
            ProcessingJobName=name,
            RoleArn=role or self.role,
            AppSpecification={
                "ImageUri": IMAGE,
                "ContainerEntrypoint": entrypoint or ["python3", "/opt/ml/processing/input/code/run.py"],
                **({"ContainerArguments": list(arguments)} if arguments else {}),
            },
            ProcessingInputs=[
                {"InputName": "code", "S3Input": {**common, **code}},
                {"InputName": "data", "S3Input": {**common, **data}},
            ],
            ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": result}]}
            if outputs
            else {"Outputs": []},
            ProcessingResources={
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
            },
            **more,
        )
        self.cloud.wait_until_quiet()
        return dict(self.client.describe_processing_job(ProcessingJobName=name))

    def unpacked(self, key: str) -> dict[str, str]:
        body = self.s3.get_object(Bucket="lake", Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            opened = {member.name: tar.extractfile(member) for member in tar.getmembers()}  # None for a directory
            return {name: file.read().decode() for name, file in opened.items() if file is not None}

    def log(self, group: str, job: str) -> list[str]:
        logs = self.cloud.client("logs")
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
        events = logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"])["events"]
        return [event["message"] for event in events]


@pytest.fixture
def jobs(cloud: Cloud) -> Jobs:
    return Jobs(cloud)


class TestTraining:
    def test_runs_the_script_under_the_container_contract(self, jobs: Jobs) -> None:
        job = jobs.train(
            TRAIN, hyperparameters={"depth": "3", "model-dir": "/opt/ml/model"}, Environment={"EXTRA": "yes"}
        )
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        assert job["ModelArtifacts"]["S3ModelArtifacts"] == "s3://lake/runs/job-1/output/model.tar.gz"
        model = json.loads(jobs.unpacked("runs/job-1/output/model.tar.gz")["model.json"])
        assert model == {
            "rows": "1,2,3",
            "depth": 3,
            "model_dir_is_same": True,
            "channels": ["train"],
            "hps": {"depth": 3, "model-dir": "the one of models"},
            "env": "yes",
            "job": "job-1",
            "region": "us-east-1",
            "config": ["hyperparameters.json", "inputdataconfig.json", "resourceconfig.json"],
            "inherits": False,
        }
        assert jobs.unpacked("runs/job-1/output/output.tar.gz") == {"extra.txt": "more"}
        assert "trained" in jobs.log("/aws/sagemaker/TrainingJobs", "job-1")
        assert job["CreationTime"] == job["TrainingEndTime"] == START
        assert job["Environment"] == {"EXTRA": "yes"}
        assert [t["Status"] for t in job["SecondaryStatusTransitions"]] == [
            "Starting",
            "Downloading",
            "Training",
            "Uploading",
            "Completed",
        ]

    def test_a_crash_is_told_with_the_end_of_the_output(self, jobs: Jobs) -> None:
        job = jobs.train("raise ValueError('no such column: age')")
        assert job["TrainingJobStatus"] == "Failed"
        reason = job["FailureReason"]
        assert reason.startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode 1")
        assert "ValueError: no such column: age" in reason
        assert reason.endswith("exit code: 1")

    def test_the_outputs_of_a_failed_job_are_not_uploaded(self, jobs: Jobs) -> None:
        job = jobs.train(
            "import os, pathlib\n"
            "for name in ('SM_MODEL_DIR', 'SM_OUTPUT_DATA_DIR'):\n"
            "    (pathlib.Path(os.environ[name]) / 'half').write_text('x')\n"
            "raise ValueError('no')"
        )
        assert job["TrainingJobStatus"] == "Failed"
        # AWS uploads what such a job left.
        assert jobs.s3.list_objects_v2(Bucket="lake", Prefix="runs/job-1/").get("Contents", []) == []

    def test_the_failure_file_is_the_reason(self, jobs: Jobs) -> None:
        script = """
import os, pathlib, sys
(pathlib.Path(os.environ["SM_OUTPUT_DIR"]) / "failure").write_text("the labels are all zero")
sys.exit(3)
"""
        assert jobs.train(script)["FailureReason"] == "AlgorithmError: the labels are all zero, exit code: 3"

    def test_the_script_calls_aws_as_its_role(self, jobs: Jobs) -> None:
        role = jobs.cloud.role("narrow", SAGEMAKER, allow(["s3:GetObject", "s3:ListBucket", "s3:PutObject"]))
        script = """
import boto3
print("I am", boto3.client("sts").get_caller_identity()["Arn"])
boto3.client("dynamodb").list_tables()
"""
        job = jobs.train(script, role=role)
        assert "assumed-role/narrow/SageMaker is not authorized to perform: dynamodb:ListTables" in job["FailureReason"]
        assert "I am arn:aws:sts::123456789012:assumed-role/narrow/SageMaker" in jobs.log(
            "/aws/sagemaker/TrainingJobs", "job-1"
        )

    def test_data_the_role_may_not_read_fails_the_job(self, jobs: Jobs) -> None:
        role = jobs.cloud.role("blind", SAGEMAKER, allow("s3:ListBucket"))
        reason = jobs.train("print()", role=role)["FailureReason"]
        assert reason.startswith("ClientError: Data download failed for s3://lake/train/part/a.csv: AccessDenied")

    def test_a_prefix_without_objects_fails_the_job(self, jobs: Jobs) -> None:
        channel = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://lake/nothing/"}}
        job = jobs.train("print()", InputDataConfig=[{"ChannelName": "train", "DataSource": channel}])
        assert "No S3 objects found" in job["FailureReason"]

    def test_state_changes_are_events(self, jobs: Jobs) -> None:
        queue = jobs.cloud.client("sqs").create_queue(QueueName="changes")["QueueUrl"]
        arn = "arn:aws:sqs:us-east-1:123456789012:changes"
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        jobs.cloud.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
        pattern = {"source": ["aws.sagemaker"], "detail": {"TrainingJobStatus": ["Failed"]}}
        jobs.cloud.client("events").put_rule(Name="failed", EventPattern=json.dumps(pattern))
        jobs.cloud.client("events").put_targets(Rule="failed", Targets=[{"Id": "1", "Arn": arn}])
        jobs.train("raise SystemExit(2)")
        (message,) = jobs.cloud.client("sqs").receive_message(QueueUrl=queue)["Messages"]
        event = json.loads(message["Body"])
        assert event["detail-type"] == "SageMaker Training Job State Change"
        assert event["detail"]["TrainingJobName"] == "job-1"

    def test_a_name_is_used_once(self, jobs: Jobs) -> None:
        jobs.train(TRAIN)
        with pytest.raises(jobs.client.exceptions.ResourceInUse):
            jobs.train(TRAIN)

    def test_a_job_can_be_stopped(self, jobs: Jobs) -> None:
        jobs.train("import time; print('on', flush=True); time.sleep(60)", run=False)
        deadline = time.monotonic() + 20
        while jobs.client.describe_training_job(TrainingJobName="job-1")["SecondaryStatus"] != "Training":
            assert time.monotonic() < deadline
        jobs.client.stop_training_job(TrainingJobName="job-1")
        jobs.cloud.wait_until_quiet()
        assert jobs.client.describe_training_job(TrainingJobName="job-1")["TrainingJobStatus"] == "Stopped"

    def test_the_time_limit_is_kept(self, jobs: Jobs) -> None:
        job = jobs.train("import time; time.sleep(60)", StoppingCondition={"MaxRuntimeInSeconds": 1})
        assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")

    def test_a_spot_training_is_interrupted_once_it_has_kept_something(self, jobs: Jobs) -> None:
        job = jobs.train(
            STEPS,
            EnableManagedSpotTraining=True,
            CheckpointConfig={"S3Uri": "s3://lake/kept/", "LocalPath": "/opt/ml/checkpoints"},
            StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90},
        )
        assert job["TrainingJobStatus"] == "Completed", job
        phases = [one["Status"] for one in job["SecondaryStatusTransitions"]]
        again = ["Starting", "Downloading", "Training"]
        assert phases == [*again, "Interrupted", *again, "Uploading", "Completed"]
        # THEN the second start found what the first one kept, and nothing else of it
        model = json.loads(jobs.unpacked("runs/job-1/output/model.tar.gz")["model.json"])
        assert model == {"steps": ["0", "1"], "left": []}
        assert job["BillableTimeInSeconds"] < max(1, job["TrainingTimeInSeconds"])

    @pytest.mark.parametrize(
        ("spot", "wait", "named"),
        [(True, None, "required with"), (True, 59, "59 must be greater"), (False, 90, "only with")],
    )
    def test_how_long_a_spot_training_waits_is_said(self, jobs: Jobs, spot: bool, wait: int | None, named: str) -> None:
        stopping = {"MaxRuntimeInSeconds": 60, **({} if wait is None else {"MaxWaitTimeInSeconds": wait})}
        with pytest.raises(ClientError, match=f"MaxWaitTimeInSeconds: {named}"):
            jobs.train(TRAIN, EnableManagedSpotTraining=spot, StoppingCondition=stopping)

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"AlgorithmSpecification": {"TrainingImage": "x/xgboost:1", "TrainingInputMode": "File"}}, "scikit-learn"),
            (
                {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}},
                "one instance",
            ),
            ({"role": "arn:aws:iam::123456789012:role/gone"}, "Could not assume role"),
        ],
    )
    def test_what_can_not_be_run_is_refused(self, jobs: Jobs, change: dict[str, Any], named: str) -> None:
        with pytest.raises(ClientError, match=named) as caught:
            jobs.train(TRAIN, **change)
        assert caught.value.response["Error"]["Code"] == "ValidationException"

    @pytest.mark.parametrize("name", ["..", "a/b", "."])
    def test_a_channel_has_the_name_of_a_directory(self, jobs: Jobs, name: str) -> None:
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://lake/train/"}}
        with pytest.raises(ClientError, match=r"InputDataConfig\[0\].ChannelName"):
            jobs.train(TRAIN, InputDataConfig=[{"ChannelName": name, "DataSource": source}])

    def test_code_that_leads_out_of_its_directory_is_not_unpacked(self, jobs: Jobs, tmp_path: Path) -> None:
        jobs.train(TRAIN, name="first")
        jobs.s3.put_object(Bucket="lake", Key="bad.tar.gz", Body=tarball(**{"../../escaped": "x"}))
        job = jobs.train(TRAIN, hyperparameters={"sagemaker_submit_directory": "s3://lake/bad.tar.gz"})
        assert job["TrainingJobStatus"] == "Failed"
        assert "ClientError: sourcedir.tar.gz" in job["FailureReason"]
        assert "'../../escaped' has a part '..'" in job["FailureReason"]
        assert not list(tmp_path.rglob("escaped"))

    def test_the_program_is_one_of_the_codes(self, jobs: Jobs) -> None:
        job = jobs.train(TRAIN, hyperparameters={"sagemaker_program": "../bin/python"})
        assert "sagemaker_program: '../bin/python' is not in" in job["FailureReason"]

    def test_what_does_not_fit_on_the_volume_is_said_with_its_size(
        self, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("localcloud.services.sagemaker.jobs.transfer.GIB", 1000)
        jobs.s3.put_object(Bucket="lake", Key="train/large.csv", Body=b"x" * 1200)
        job = jobs.train(TRAIN)
        assert "has 200 bytes more than fit on the volume of 1 GB" in job["FailureReason"]
        jobs.s3.delete_object(Bucket="lake", Key="train/large.csv")
        job = jobs.train(TRAIN + "#" * 1000, name="job-2")
        assert re.search(r"'train.py' has \d+ bytes; a member may have at most \d+", job["FailureReason"])


class TestContainment:
    @pytest.mark.parametrize("key", ["../escaped", "a/../../../../escaped", "/escaped", "a\\..\\escaped", "a/"])
    def test_a_key_that_leads_out_of_the_input_is_not_written(self, jobs: Jobs, tmp_path: Path, key: str) -> None:
        jobs.s3.put_object(Bucket="lake", Key=f"train/{key}", Body=b"x")
        stored = [item["Key"] for item in jobs.s3.list_objects_v2(Bucket="lake", Prefix="train/")["Contents"]]
        assert f"train/{key}" in stored

        job = jobs.process("print('ran')")

        assert not [
            path for path in tmp_path.rglob("*escaped*") if not path.is_relative_to(tmp_path / "state" / "jobs")
        ]
        if key == "a/":
            assert job["ProcessingJobStatus"] == "Completed"  # the S3 console's folders are no files
        else:
            assert job["ProcessingJobStatus"] == "Failed"
            assert f"s3://lake/train/{key}: it can't be a file of the job" in job["FailureReason"]

    def test_a_key_that_is_a_file_and_a_folder_is_said_so(self, jobs: Jobs) -> None:
        jobs.s3.put_object(Bucket="lake", Key="train/part", Body=b"x")
        assert "it can't be a file of the job" in jobs.process("print('ran')")["FailureReason"]


class TestProcessing:
    SCRIPT = """
import pathlib, sys, os
source, target = map(pathlib.Path, sys.argv[1:3])
(target / "sub").mkdir()
(target / "sub" / "out.txt").write_text((source / "part/a.csv").read_text() + os.environ["WHERE"])
"""

    def test_moves_inputs_and_outputs_around_the_command(self, jobs: Jobs) -> None:
        job = jobs.process(
            self.SCRIPT,
            "/opt/ml/processing/input/data",
            "/opt/ml/processing/output",
            Environment={"WHERE": "/opt/ml/x"},
        )
        assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
        text = jobs.s3.get_object(Bucket="lake", Key="out/sub/out.txt")["Body"].read().decode()
        assert text.startswith("1,2,3/")
        assert text.endswith("/x")

    def test_a_shell_entrypoint_finds_python(self, jobs: Jobs) -> None:
        job = jobs.process("import numpy", entrypoint=["/bin/sh", "-c", 'python3 -c "import sys; print(sys.version)"'])
        assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")

    def test_a_failure_that_leaves_no_message_says_only_its_exit_code(self, jobs: Jobs) -> None:
        job = jobs.process("raise SystemExit('quality too low')")
        assert job["ProcessingJobStatus"] == "Failed"
        assert "ExitMessage" not in job
        assert job["FailureReason"] == "AlgorithmError: , exit code: 1"
        assert "quality too low" in jobs.log("/aws/sagemaker/ProcessingJobs", "job-1")

    LEAVE = """
import pathlib, sys
file = pathlib.Path(sys.argv[1])
file.parent.mkdir(parents=True)
file.write_bytes(eval(sys.argv[2]))
sys.exit(int(sys.argv[3]))
"""

    @pytest.mark.parametrize(("status", "ends"), [("3", "Failed"), ("0", "Completed")])
    def test_the_message_is_the_first_kilobyte_of_its_file(self, jobs: Jobs, status: str, ends: str) -> None:
        job = jobs.process(self.LEAVE, "/opt/ml/output/message", "('quality too low ' + 'é' * 600).encode()", status)
        assert job["ProcessingJobStatus"] == ends
        assert job["ExitMessage"] == "quality too low " + "é" * 504
        assert job.get("FailureReason") == ("AlgorithmError: , exit code: 3" if ends == "Failed" else None)

    def test_a_message_that_is_no_text_fails_the_job(self, jobs: Jobs) -> None:
        job = jobs.process(self.LEAVE, "/opt/ml/output/message", "b'\\xff'", "0")
        assert job["ProcessingJobStatus"] == "Failed"
        assert job["FailureReason"].startswith("ClientError: /opt/ml/output/message is not UTF-8")

    def test_outputs_need_the_right_to_write(self, jobs: Jobs) -> None:
        role = jobs.cloud.role("reader", SAGEMAKER, allow(["s3:GetObject", "s3:ListBucket"]))
        job = jobs.process(
            self.SCRIPT,
            "/opt/ml/processing/input/data",
            "/opt/ml/processing/output",
            role=role,
            Environment={"WHERE": ""},
        )
        assert "s3:PutObject" in job["FailureReason"]


@pytest.mark.skipif(not CAN_PRELOAD, reason="jobs start plainly here")
class TestPreloaded:
    """Jobs that start from a process which has imported are jobs as all others."""

    @pytest.fixture
    def jobs(self, make_cloud: MakeCloud) -> Jobs:
        table = {"preload": ["colorsys"], "preload_environment": {"OMP_WAIT_POLICY": "PASSIVE"}}
        return Jobs(make_cloud(settings=Settings(tables={"sagemaker": table})))

    def test_under_the_same_contract(self, jobs: Jobs) -> None:
        models = {}
        for name, variables in {"job-1": {}, "job-2": {"OMP_NUM_THREADS": "1"}}.items():
            job = jobs.train(
                f"{TRAIN}\nimport sys\nprint('preloaded' if 'colorsys' in sys.modules else 'plain')",
                name,
                hyperparameters={"depth": "3", "model-dir": "/opt/ml/model"},
                Environment={"EXTRA": "yes", **variables},
            )
            assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
            models[name] = json.loads(jobs.unpacked(f"runs/{name}/output/model.tar.gz")["model.json"])
        assert models["job-1"] == {**models["job-2"], "job": "job-1"}
        assert jobs.log("/aws/sagemaker/TrainingJobs", "job-1")[-1] == "preloaded"
        assert jobs.log("/aws/sagemaker/TrainingJobs", "job-2")[-1] == "plain"

    def test_a_shell_entrypoint_starts_from_it(self, jobs: Jobs) -> None:
        script = "import sys, os; sys.exit(0 if 'colorsys' in sys.modules and os.getcwd().endswith('tmp') else 1)"
        command = ["/bin/sh", "-c", "cd tmp; python3 ../processing/input/code/run.py"]
        assert jobs.process(script, entrypoint=command)["ProcessingJobStatus"] == "Completed"

    def test_a_crash_is_told_with_the_end_of_the_output(self, jobs: Jobs) -> None:
        job = jobs.train("print('begun')\nraise ValueError('no such column')")
        assert job["TrainingJobStatus"] == "Failed"
        assert "no such column" in job["FailureReason"]
        assert job["FailureReason"].endswith("exit code: 1")

    def test_the_time_limit_is_kept(self, jobs: Jobs) -> None:
        job = jobs.train("import time; time.sleep(60)", StoppingCondition={"MaxRuntimeInSeconds": 1})
        assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")

    def test_what_they_hold_is_counted(self, jobs: Jobs) -> None:
        before = hook.MEMORY_SOURCES["jobs"]()
        jobs.train("pass")
        assert (before, hook.MEMORY_SOURCES["jobs"]() > 0) == (0, True)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"preloads": []}, "has preloads; it may have images, preload, preload_environment, spot_interruptions"),
        ({"preload": "pandas"}, "preload = 'pandas': it is a list"),
        ({"preload": [1]}, "it is a list of modules' names"),
        ({"preload_environment": {"A": 1}}, "it is a table of texts"),
    ],
)
def test_settings_that_mean_nothing_are_refused(table: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)):
        preloading(Settings(tables={"sagemaker": table}))


@pytest.mark.parametrize("value", [True, -1, 11, "once"])
def test_how_often_spot_trainings_are_interrupted_is_a_small_number(value: object) -> None:
    assert spot_interruptions(Settings()) == 1
    with pytest.raises(SettingsError, match=r"spot_interruptions = .*: it is a number from 0 to 10"):
        spot_interruptions(Settings(tables={"sagemaker": {"spot_interruptions": value}}))
