"""The training job's program, in SageMaker's script mode.

It lies at the root of the code archive, with everything it imports beside it::

    train_entry.py      this file
    evaluate.sh         the evaluation job's program
    requirements.txt    training/requirements.txt, which script mode installs
    everloop/           the package training/, without entry/, and the parts of the domain that it imports
    declaration.json    the model's declaration, normalised
    user_model/         the model's folder

Arguments are ignored: script mode passes hyperparameters as such, and the declaration has all that counts.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))
# Threads that spin while they wait starve each other on a busy machine; this must be set before OpenMP loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from everloop.training.train import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(ROOT, os.environ))
