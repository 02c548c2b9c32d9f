"""Daemons that kill themselves with SIGKILL, each at the next point of a plan: `python crashing_daemon.py ROOT`.

ROOT/crash-plan.json lists points `before:STATE` (inside the transaction that leaves STATE, not committed) and
`after:STATE` (that transaction is committed, nothing else was done). A point that was hit is taken off the list before
the kill, so each happens once. With an empty plan a daemon runs until no cycle is active.

Every daemon is a process of its own, forked from one that has imported what daemons need and done nothing else; it
prints one line for each that was killed, and exits with the code of the one that was not.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from agent import cycle
from agent.daemon.loop import Daemon, open_context
from agent.root.layout import Layout
from agent.root.settings import load
from agent.store import cycles

real_transition = cycles.transition


def main(root: Path) -> int:
    while True:
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os._exit(live(root))
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code != -signal.SIGKILL:
            return code
        print(f"daemon {pid} was killed")


def live(root: Path) -> int:
    layout = Layout(root)
    plan = root / "crash-plan.json"
    context = open_context(layout, load(layout))
    daemon = Daemon(context)

    def transition(tx, cycle_id, expected, to, *rest, **columns):
        crash_if_planned(plan, f"before:{expected}")
        return real_transition(tx, cycle_id, expected, to, *rest, **columns)

    cycles.transition = transition
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        before = state_of(context)
        daemon.turn(time.monotonic())
        after = state_of(context)
        if before is not None and after != before:
            crash_if_planned(plan, f"after:{before}")
        if after is None and cycle_exists(context):
            return 0
        time.sleep(0.05)
    return 3


def crash_if_planned(plan: Path, point: str) -> None:
    points = json.loads(plan.read_text())
    if point in points:
        plan.write_text(json.dumps([other for other in points if other != point]))
        os.kill(os.getpid(), signal.SIGKILL)


def state_of(context) -> str | None:
    with context.store.read() as tx:
        active = cycles.active(tx)
    return None if active is None else active.state


def cycle_exists(context) -> bool:
    with context.store.read() as tx:
        return bool(cycles.listing(tx))


if __name__ == "__main__":
    assert set(cycle.STEPS)
    sys.exit(main(Path(sys.argv[1])))
