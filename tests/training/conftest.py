"""Small fits are quicker on one thread than on many that wait for each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
