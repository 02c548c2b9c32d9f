"""Forgetting on request: which records, who learned them, what it costs, and the certificate that it was done.

    matching      from ids, sources or a question to records
    lineage       which versions learned them, and which never did
    costs         what unlearning would cost
    replay        exact forgetting: the jobs to train again without them, or why they cannot be
    ways          either as a plan
    preview       all of that as `cld forget --dry-run` shows it
    asking        the verb `forget`: withdraw what waits, start the cycle that forgets
    kept          the neighbours that must not be lost
    closing       the end of that cycle: the certificate, the redaction
    remains       what still holds the records, and the command that removes each

Reads and writes the store alone, inside its callers' transactions. The weights are changed by a cycle of stage
`forget`, which a person approves, whose proof is `agent.steps.proving` and whose rule `monitors.gate.forgotten`.
"""
