"""The planner: which stage, which method, or nothing.

`candidates` lists what is feasible and says why the rest is not; `prompt` shows it to a language model; `choice`
checks the model's answer and falls back to rules. The planner reads records and numbers; it starts no work.
"""
