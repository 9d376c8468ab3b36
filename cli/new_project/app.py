"""The CDK app: ``cdk deploy --all``, or without the CDK's command line ``CDK_OUTDIR=cdk.out python app.py``."""

import sys
from pathlib import Path

from everloop.infra.app import main

if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent))
