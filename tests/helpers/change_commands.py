"""The commands that docs/change-a-model.md has people type; tests/loop/test_changed_model.py types each."""

from __future__ import annotations

CHECK = "everloop check late_train --deployed"
CHECK_ALL = "everloop check --deployed"
DEPLOY = "npx aws-cdk@2.1148.1 deploy --all"
START = "everloop rollout start late_train"
TRAIN = "everloop train late_train"
STATUS = "everloop status late_train"
IMPORT = "everloop data import late_train rows.parquet"
STOP = "aws stepfunctions stop-execution --execution-arn ARN"
BACK = 'everloop rollout back late_train --reason "…"'
RELEASE = 'everloop runs release late_train RUN --reason "…"'
MOVE = "aws s3 mv FROM TO"
SAY_REMOVAL = "everloop remove late_train"
REMOVE = 'everloop remove late_train --reason "…" --yes'

ALL = (
    CHECK,
    CHECK_ALL,
    DEPLOY,
    START,
    TRAIN,
    STATUS,
    IMPORT,
    STOP,
    BACK,
    RELEASE,
    MOVE,
    SAY_REMOVAL,
    REMOVE,
)
