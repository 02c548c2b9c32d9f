"""How often the gate errs: `python -m benchmarks.gate`.

Two parts. *Simulation*: 1,000 judgements for each size of a loss, by the gate's own code on made-up measurements: the
power curve, and what the default budget can detect. *Real pairs*: versions of SmolLM2 of which it is known beforehand
whether one may replace the other (`pairs/`, one JSON file each), trained and measured as the daemon does it: the rates
of false acceptance and false refusal, with intervals. `simulation`, `pairs` and `rates` compute, `report` tells.
"""
