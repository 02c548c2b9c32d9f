"""Gaps: what the serving version does not know, and the probes that show it.

`cloze` makes probes from new documents, `held_out` from new examples, `clusters` turns failures into named gaps, and
`diagnosing` is the worker's handler that runs the three. Only workers import this family.
"""
