"""Import this before numpy: one thread for every program that is timed."""

import os

for variable in (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",  # mixedlm, mixedlm-rs, lme-python
    "POLARS_MAX_THREADS",
):
    os.environ[variable] = "1"
