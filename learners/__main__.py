"""`python -m learners JOB_DIR`: the worker process for jobs that read or change weights."""

from __future__ import annotations

import sys

from learners.worker import main

HANDLERS = {
    "train": "learners.training:train",
    "import": "learners.models:import_base",
    "views": "learners.viewing:views",
}

if __name__ == "__main__":
    main(sys.argv[1:], HANDLERS)
