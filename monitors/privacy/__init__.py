"""What training left in a version that should not be there: canaries, rare strings, traces of membership.

Each file is one measure, a pure function of an engine's answers; `monitors.audit` asks them of a version. They report;
what says a canary that was planted once is held by judging (`monitors.gate.withheld`). No result holds a secret:
records are named by id, canaries by their name.
"""
