"""Entry point, written like that of every worker package."""

import sys

from learners.worker import run

HANDLERS = {"act": "rehearsal.handlers:act", "absent": "rehearsal.nowhere:act"}

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], HANDLERS))
