"""The CDK app. ``cdk deploy --all``, or without the CDK's command line: ``CDK_OUTDIR=cdk.out python app.py``."""

from __future__ import annotations

import sys
from pathlib import Path

from everloop.infra.exceptions import SynthesisError
from everloop.infra.node import start_node
from everloop.shown import visible

ROOT = Path(__file__).resolve().parent


def main() -> int:
    """Synthesize; the exit status is 2 when a declaration or the set-up does not allow it."""
    try:
        # Importing the CDK would start Node.js elsewhere, so it can't stand at the top.
        start_node()
        from everloop.infra.application import add_stacks, new_app, settings_of

        app = new_app()
        add_stacks(app, settings_of(app, ROOT))
        app.synth()
    except SynthesisError as error:
        print(visible(str(error)), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
