"""What a project's ``app.py`` runs: all of its models, synthesized."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from everloop.infra.exceptions import SynthesisError
from everloop.infra.leaving_endpoint import refuse_lost_endpoints
from everloop.infra.node import start_node
from everloop.infra.settings import read_models
from everloop.infra.undeclared import lines_about_undeclared, make_client
from everloop.shown import visible


def main(project: Path) -> int:
    """Synthesize the platform and the models of the project in a folder.

    Returns
    -------
    int
        The exit status: 2 when a declaration or the set-up does not allow it, which is told on the standard error.
    """
    try:
        # Importing the CDK would start Node.js elsewhere, so it can't stand at the top.
        start_node(project / ".cache")
        from everloop.infra.application import add_stacks, new_app, settings_of

        app = new_app()
        settings = settings_of(app, project, region=os.environ.get("CDK_DEFAULT_REGION"))
        add_stacks(app, settings)
        app.synth()
        without = {m.declaration.model for m in read_models(settings.models) if m.declaration.serving.endpoint is None}
        refuse_lost_endpoints(without, os.environ, make_client)
        declared = {path.name for path in settings.models.iterdir()}
        for line in lines_about_undeclared(declared, os.environ, make_client):
            print(visible(line), file=sys.stderr)
    except SynthesisError as error:
        print(visible(str(error)), file=sys.stderr)
        return 2
    return 0
