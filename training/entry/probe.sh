#!/bin/sh
# The program of a fresh probe's job, at the root of the unpacked code archive. Arguments: see training/fresh_probe.py.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
# Threads that spin while they wait starve each other on a busy machine; this has to be set before OpenMP loads.
OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
export PYTHONPATH OMP_WAIT_POLICY
python3 -m everloop.training.packages "$here/requirements.txt" ||
    python3 -m pip install --no-cache-dir --disable-pip-version-check -r "$here/requirements.txt"
exec python3 -m everloop.training.fresh_probe --code "$here" "$@"
