"""Entry point, written like that of every worker package."""

import sys

from learners.worker import main

HANDLERS = {"act": "rehearsal.handlers:act", "absent": "rehearsal.nowhere:act"}

if __name__ == "__main__":
    main(sys.argv[1:], HANDLERS)
