"""Our trainer beside a plain trl SFTTrainer: throughput and memory at equal work.

    contenders  what one contender does in a process of its own, and what it measures there

`python -m benchmarks.training` runs them in turn, round after round.
"""
