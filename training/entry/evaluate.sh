#!/bin/sh
# The evaluation job's program, at the root of the unpacked code archive. Arguments: see training/evaluate.py.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONPATH
python3 -m everloop.training.packages "$here/requirements.txt" ||
    python3 -m pip install --no-cache-dir --disable-pip-version-check -r "$here/requirements.txt"
exec python3 -m everloop.training.evaluate --code "$here" "$@"
