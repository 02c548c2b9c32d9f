"""`python -m monitors JOB_DIR`: the worker process for jobs that read data or measure a version."""

from __future__ import annotations

import sys

from learners.worker import main

HANDLERS = {
    "measure": "monitors.measure:measure",
    "diagnose": "monitors.gaps.diagnosing:diagnose",
    "choose": "monitors.choose:choose",
    "intake": "monitors.intake:intake",
    "audit": "monitors.audit:audit",
    "prove": "monitors.forgetting:prove",
    "relearn": "monitors.relearning:relearn",
}

if __name__ == "__main__":
    main(sys.argv[1:], HANDLERS)
