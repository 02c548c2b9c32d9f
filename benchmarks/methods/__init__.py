"""Every method on sequences of real tasks: what it learns, what it forgets, and what that costs.

    setup          what is compared, as one frozen record with a digest
    streams        which tasks in which orders
    tasks          one task of the shared data: training records and a suite
    preferences    the tasks of continual alignment, and which of them revises another
    made_pairs     pairs that are made of published data by rule
    pair_readings  what a version makes of held-out pairs: accuracy, margin, entropy
    alignment      what stage ca is read for beside its scores
    one_run        one method over one order, in a process of its own
    running        which runs are missing, and starting them
    standings      scores and costs over orders; who forgets least
    ca_standings   margins, entropy, other suites and changed norms over orders
    ca_report      how those are told
    report         the tables, for a terminal and for docs/benchmarks.md
    plots          the curves
    published      results that the repository keeps
    choosing       docs/choosing.md, written from them

`python -m benchmarks.methods --quick` runs the small form.
"""
